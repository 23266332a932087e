from __future__ import annotations

import itertools

import numpy as np
import pytest
from head_encoding import convert_head_outputs, encode_size, encode_yaw
from hypothesis import given
from hypothesis import strategies as st

from awml_extractors.centerpoint.config import (
    AUTOWARE_CONVENTION,
    MMDET3D_CONVENTION,
    HeadConvention,
)
from awml_extractors.centerpoint.convention import decode_size, decode_yaw

CONVENTIONS = [
    HeadConvention(dim_order=order, rot_encoding=rot)
    for order, rot in itertools.product(("lwh", "wlh"), ("sin_cos", "neg_cos_neg_sin"))
]
yaws = st.floats(-3.14159, 3.14159)
lengths = st.floats(0.05, 30.0)
conventions = st.sampled_from(CONVENTIONS)


def head_of_one_box(
    length: float, width: float, height: float, yaw: float, convention: HeadConvention
) -> dict[str, np.ndarray]:
    dim = encode_size(np.array([length, width, height]), convention)
    rot = encode_yaw(np.array(yaw), convention)
    zeros = {"heatmap": 3, "reg": 2, "height": 1, "vel": 2}
    return {
        **{name: np.zeros((1, channels, 1, 1)) for name, channels in zeros.items()},
        "dim": dim.reshape(1, 3, 1, 1),
        "rot": np.array(rot).reshape(1, 2, 1, 1),
    }


def autoware_box(outputs: dict[str, np.ndarray]) -> tuple[float, float, float, float]:
    """Length, width, height and ROS yaw as Autoware's node reads the head."""
    width, length, height = np.exp(outputs["dim"][0, :3, 0, 0])
    yaw = np.arctan2(outputs["rot"][0, 0, 0, 0], outputs["rot"][0, 1, 0, 0])
    return length, width, height, -yaw - np.pi / 2


def mmdet3d_box(outputs: dict[str, np.ndarray]) -> tuple[float, float, float, float]:
    """Length, width, height and yaw as mmdet3d's box coder reads the head."""
    length, width, height = np.exp(outputs["dim"][0, :3, 0, 0])
    return length, width, height, np.arctan2(outputs["rot"][0, 0, 0, 0], outputs["rot"][0, 1, 0, 0])


def assert_same_box(actual: tuple[float, ...], expected: tuple[float, ...]) -> None:
    np.testing.assert_allclose(actual[:3], expected[:3], rtol=1e-6)
    turn = (actual[3] - expected[3] + np.pi) % (2 * np.pi) - np.pi
    assert abs(turn) < 1e-6


@given(lengths, lengths, lengths, yaws)
def test_box_written_for_mmdet3d_is_the_same_box_for_autoware(
    length: float, width: float, height: float, yaw: float
) -> None:
    box = (length, width, height, yaw)
    trained = head_of_one_box(*box, MMDET3D_CONVENTION)
    assert_same_box(mmdet3d_box(trained), box)
    exported = convert_head_outputs(trained, MMDET3D_CONVENTION, AUTOWARE_CONVENTION)
    assert_same_box(autoware_box(exported), box)


@given(yaws.filter(lambda yaw: abs(abs(yaw) - np.pi / 2) > 1e-3))
def test_forgotten_conversion_gives_another_box(yaw: float) -> None:
    box = (4.5, 1.9, 1.6, yaw)
    length, width, _, _ = autoware_box(head_of_one_box(*box, MMDET3D_CONVENTION))
    assert (length, width) == pytest.approx((1.9, 4.5))


@given(conventions, conventions, lengths, lengths, lengths, yaws)
def test_conversion_between_any_two_conventions_and_back(
    source: HeadConvention, target: HeadConvention, length: float, width: float, height: float, yaw: float
) -> None:
    outputs = head_of_one_box(length, width, height, yaw, source)
    converted = convert_head_outputs(outputs, source, target)
    expected = head_of_one_box(length, width, height, yaw, target)
    restored = convert_head_outputs(converted, target, source)
    for name in outputs:
        np.testing.assert_allclose(converted[name], expected[name], rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(restored[name], outputs[name])


@given(conventions, yaws)
def test_yaw_round_trip(convention: HeadConvention, yaw: float) -> None:
    assert float(decode_yaw(*encode_yaw(np.array([yaw]), convention), convention)[0]) == pytest.approx(yaw)


@given(conventions, lengths, lengths, lengths)
def test_size_round_trip(convention: HeadConvention, length: float, width: float, height: float) -> None:
    size = np.array([[length, width, height]])
    np.testing.assert_allclose(decode_size(encode_size(size, convention), convention), size)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_yaw_is_above_minus_pi(convention: HeadConvention, dtype: type) -> None:
    rot = np.array([[0.0, -0.0], [-1.0, -1.0]], dtype)
    if convention.rot_encoding == "neg_cos_neg_sin":
        rot = -rot[::-1]
    yaw = decode_yaw(rot[0], rot[1], convention)
    assert yaw.dtype == dtype
    np.testing.assert_array_equal(yaw, np.array([np.pi, np.pi], dtype))


def test_variances_follow_their_values_and_keep_their_sign() -> None:
    outputs = {
        "dim": np.array([1.0, 2.0, 3.0, -10.0, -20.0, -30.0]).reshape(1, 6, 1, 1),
        "rot": np.array([0.6, 0.8, -1.0, -2.0]).reshape(1, 4, 1, 1),
    }
    converted = convert_head_outputs(outputs, MMDET3D_CONVENTION, AUTOWARE_CONVENTION)
    assert converted["dim"].ravel().tolist() == [2.0, 1.0, 3.0, -20.0, -10.0, -30.0]
    assert converted["rot"].ravel().tolist() == [-0.8, -0.6, -2.0, -1.0]


def test_conversion_keeps_the_dtype() -> None:
    outputs = {"dim": np.zeros((1, 3, 2, 2), np.float32), "rot": np.ones((1, 2, 2, 2), np.float32)}
    converted = convert_head_outputs(outputs, MMDET3D_CONVENTION, AUTOWARE_CONVENTION)
    assert {value.dtype for value in converted.values()} == {np.dtype(np.float32)}
