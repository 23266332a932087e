"""What turns one tensor into another, in plain words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_core.verification.tensor_diagnosis import diagnose_tensor

Array = np.ndarray[Any, Any]

MAPS = np.random.default_rng(0).normal(size=(1, 4, 9, 9)).astype(np.float32)
OTHER = np.random.default_rng(1).normal(size=MAPS.shape).astype(np.float32)


def channels(order: list[int], signs: list[float]) -> Callable[[Array], Array]:
    return lambda values: values[:, order] * np.array(signs, np.float32).reshape(1, -1, 1, 1)


def scaled(channel: int, factor: float, constant: float) -> Callable[[Array], Array]:
    def change(values: Array) -> Array:
        values = values.copy()
        values[:, channel] = values[:, channel] * np.float32(factor) + np.float32(constant)
        return values

    return change


@pytest.mark.parametrize(
    ("change", "texts"),
    [
        (channels([0, 2, 1, 3], [1] * 4), ["channels 1 and 2 are swapped"]),
        (channels([0, 1, 2, 3], [1, -1, 1, 1]), ["channel 1 has the opposite sign"]),
        (channels([0, 1, 2, 3], [-1] * 4), ["all channels have the opposite sign"]),
        (
            channels([1, 0, 2, 3], [-1, -1, 1, 1]),
            ["channels 0 and 1 are swapped", "channels 0 and 1 have the opposite sign"],
        ),
        (
            channels([1, 2, 0, 3], [1] * 4),
            [f"channel {a} is the reference's channel {b}" for a, b in ((0, 1), (1, 2), (2, 0))],
        ),
        (scaled(3, 2.0, 0.0), ["channel 3 is 2 times the reference"]),
        (scaled(0, 1.0, -0.9), ["a constant is added to channel 0: -0.9"]),
        (lambda values: values * np.float32(1.5), ["all channels are 1.5 times the reference"]),
        (lambda values: np.zeros_like(values), ["it is zero everywhere"]),
        (lambda values: 1 / (1 + np.exp(-values)), ["it is the sigmoid of the reference"]),
        (np.exp, ["it is the exponential of the reference"]),
        (lambda values: np.maximum(values, 0), ["it is the reference without its negative values"]),
        (lambda values: np.swapaxes(values, 2, 3), ["its last two axes are transposed"]),
        (lambda values: OTHER, ["it is the reference's other"]),
        (lambda values: np.sin(3 * values), []),
    ],
)
def test_a_mistake_is_named(change: Callable[[Array], Array], texts: list[str]) -> None:
    assert list(diagnose_tensor(MAPS, change(MAPS), {"other": OTHER})) == texts


def test_channels_that_nothing_explains_are_named_where_others_are_right() -> None:
    values = MAPS.copy()
    values[:, 2] = OTHER[:, 2]
    assert diagnose_tensor(MAPS, values) == ("channel 2 differs",)
    rows = np.moveaxis(MAPS[0], 0, -1)
    test = np.moveaxis(values[0], 0, -1)
    names = ("x", "y", "time_lag", "z")
    assert diagnose_tensor(rows, test, channels=names) == ("time_lag differs",)


def test_a_reversed_axis_is_named() -> None:
    values = np.random.default_rng(2).normal(size=(1, 2, 70, 5))
    assert diagnose_tensor(values, values[:, :, ::-1]) == ("axis 2 is reversed",)


def test_nothing_is_said_of_other_shapes_and_of_what_is_not_finite() -> None:
    values = MAPS.copy()
    values[0, 0, 0, 0] = np.nan
    assert diagnose_tensor(MAPS, values) == ()
    assert diagnose_tensor(MAPS, MAPS[:, :2]) == ()
    assert diagnose_tensor(MAPS[:0], MAPS[:0]) == ()
    assert diagnose_tensor(np.arange(3), np.arange(3) + 1) == ()


@given(st.permutations(range(4)), st.lists(st.sampled_from([-1.0, 1.0]), min_size=4, max_size=4))
def test_every_order_and_sign_of_channels_is_explained(order: list[int], signs: list[float]) -> None:
    test = channels(order, signs)(MAPS)
    said = " ".join(diagnose_tensor(MAPS, test))
    assert "differ" not in said
    assert bool(said) == (order != list(range(4)) or -1.0 in signs)
