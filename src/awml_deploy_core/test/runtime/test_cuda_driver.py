import ctypes
from typing import Any

import pytest

from awml_deploy_core.runtime.cuda_driver import cuda_device_count


class FakeDriver:
    def __init__(self, result: int, count: int) -> None:
        self.result, self.count = result, count

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self.result

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self.count
        return 0


@pytest.mark.parametrize(("result", "count", "expected"), [(0, 2, 2), (0, 0, 0), (100, 2, 0)])
def test_counts_what_the_driver_offers(
    monkeypatch: pytest.MonkeyPatch, result: int, count: int, expected: int
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeDriver(result, count))
    assert cuda_device_count() == expected


def test_without_a_driver_there_is_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert cuda_device_count() == 0
