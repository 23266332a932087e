from __future__ import annotations

import logging
from typing import Any

import numba
import numpy as np
import pytest
from numba import types

from awml_extractors.jit import COLUMN, kernel, read_only


def test_a_kernel_takes_any_layout_and_no_other_dtype() -> None:
    @kernel(COLUMN)
    def total(column: Any) -> Any:
        result = np.float32(0)
        for value in column:
            result += value
        return result

    table = np.arange(12, dtype=np.float32).reshape(6, 2)
    assert total(table[:, 1]) == 36
    assert total(np.broadcast_to(np.float32(2), 5)) == 10
    with pytest.raises(TypeError):
        total(table[:, 1].astype(np.float64))


def test_results_are_not_contracted_to_fused_multiply_add() -> None:
    @kernel(read_only(types.float32))
    def multiply_add(values: Any) -> Any:
        return values[0] * values[1] + values[2]

    a = np.float32(1 + 2**-12)
    assert multiply_add(np.array([a, a, -(a * a)], np.float32)) == 0


def test_without_a_place_for_the_cache_kernels_still_compile(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain = numba.njit

    def njit(**options: Any) -> Any:
        if options.pop("cache", False):
            raise RuntimeError("no locator available")
        return plain(**options)

    monkeypatch.setattr(numba, "njit", njit)

    @kernel(types.int64)
    def double(value: int) -> int:
        return 2 * value

    with caplog.at_level(logging.WARNING):
        assert double(21) == 42
    assert "NUMBA_CACHE_DIR" in caplog.text
