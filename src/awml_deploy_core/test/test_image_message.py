"""Images and camera infos as messages, whole and malformed."""

from array import array
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from awml_deploy_core.errors import AwmlDeployError, ImageError
from awml_deploy_core.image_message import ENCODINGS, calibration_of, check_size, pixels_of

CHANNELS = {"bgr8": 3, "rgb8": 3, "bgra8": 4, "rgba8": 4}
SIZES = st.integers(2, 9)


@dataclass
class Message:
    height: int
    width: int
    encoding: str
    step: int
    data: Any
    is_bigendian: int = 0


def message_of(height: int, width: int, encoding: str, padding: int, seed: int) -> Message:
    step = width * CHANNELS.get(encoding, 1) + padding
    data = np.random.default_rng(seed).integers(0, 256, height * step, dtype=np.uint8)
    return Message(height, width, encoding, step, array("B", data.tobytes()))


@given(SIZES, SIZES, st.sampled_from(ENCODINGS), st.integers(0, 5), st.integers(0, 99))
def test_padding_and_byte_order_change_nothing(
    height: int, width: int, encoding: str, padding: int, seed: int
) -> None:
    message = message_of(height, width, encoding, padding, seed)
    found = pixels_of(message)
    assert (found.shape, found.dtype) == ((height, width, 3), np.uint8)
    row = width * CHANNELS.get(encoding, 1)
    rows = np.frombuffer(message.data, np.uint8).reshape(height, message.step)[:, :row]
    tight = Message(height, width, encoding, row, rows.copy(), is_bigendian=1)
    np.testing.assert_array_equal(pixels_of(tight), found)
    first = rows[0, :3]
    if encoding.startswith("bgr"):
        assert found[0, 0].tolist() == first.tolist()
    elif encoding.startswith("rgb"):
        assert found[0, 0].tolist() == first[::-1].tolist()
    elif encoding == "mono8":
        assert (found == rows[:, :, None]).all()


def test_colours_are_views_of_the_message() -> None:
    for encoding in CHANNELS:
        message = message_of(4, 5, encoding, 3, 0)
        assert np.shares_memory(pixels_of(message), np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize("encoding", ["mono16", "bayer_rggb16", "yuv422", "jpeg", "", "BGR8", "8UC3"])
def test_another_encoding_is_named_with_those_that_are_read(encoding: str) -> None:
    with pytest.raises(ImageError) as caught:
        pixels_of(Message(1, 1, encoding, 3, b"abc"))
    assert repr(encoding) in str(caught.value)
    assert all(name in str(caught.value) for name in ENCODINGS)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"height": 0}, "image: has no pixels"),
        ({"width": 0}, "image: has no pixels"),
        ({"step": 11}, "image.step: is shorter than a row"),
        ({"data": b"x" * 23}, "image.data: wrong length; got 23 bytes; expected 24"),
        ({"data": b"x" * 25}, "image.data: wrong length; got 25 bytes; expected 24"),
        ({"data": b""}, "image.data: wrong length"),
        ({"height": 2**32 - 1}, "image.data: wrong length"),
        ({"encoding": "bayer_rggb8", "height": 1, "step": 24}, "smaller than its Bayer pattern"),
    ],
)
def test_a_contradiction_is_a_typed_error(changes: dict[str, Any], words: str) -> None:
    message = Message(2, 4, "rgb8", 12, b"x" * 24)
    message.__dict__.update(changes)
    with pytest.raises(ImageError, match=words.replace(".", r"\.")):
        pixels_of(message)


@given(
    st.builds(
        Message,
        st.integers(0, 2**32 - 1) | st.integers(0, 4),
        st.integers(0, 2**32 - 1) | st.integers(0, 4),
        st.sampled_from([*ENCODINGS, "mono16"]),
        st.integers(0, 2**32 - 1) | st.integers(0, 16),
        st.binary(max_size=64),
        st.integers(0, 255),
    )
)
def test_whatever_comes_is_an_image_or_a_typed_error(message: Message) -> None:
    try:
        found = pixels_of(message)
    except AwmlDeployError:
        return
    assert found.shape == (message.height, message.width, 3)


@dataclass
class Info:
    height: int = 48
    width: int = 64
    distortion_model: str = "plumb_bob"
    d: Any = (-0.1, 0.02, 0.001, 0.002, 0.003)
    k: Any = (100.0, 0.0, 32.0, 0.0, 110.0, 24.0, 0.0, 0.0, 1.0)
    r: Any = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    p: Any = (90.0, 0.0, 31.0, 0.0, 0.0, 95.0, 23.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    binning_x: int = 0
    binning_y: int = 0
    roi: Any = field(default_factory=lambda: SimpleNamespace(x_offset=0, y_offset=0))


def test_a_raw_image_has_k_and_its_distortion() -> None:
    found = calibration_of(Info(), np.eye(4))
    assert found.camera_matrix.tolist() == [[100, 0, 32], [0, 110, 24], [0, 0, 1]]
    assert found.distortion.tolist() == [-0.1, 0.02, 0.001, 0.002, 0.003]
    assert calibration_of(Info(d=(0.1, 0.2, 0.3, 0.4)), np.eye(4)).distortion.tolist()[4] == 0.0


@pytest.mark.parametrize("d", [(), (0.0,) * 5, (0.0,) * 8])
def test_without_distortion_the_model_does_not_matter(d: tuple[float, ...]) -> None:
    found = calibration_of(Info(d=d, distortion_model="rational_polynomial"), np.eye(4))
    assert not found.distortion.any()


def test_a_rectified_image_has_p_and_is_turned() -> None:
    turn = (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    move = np.eye(4)
    move[:3, 3] = 1, 2, 3
    found = calibration_of(Info(r=turn), move, rectified=True)
    assert found.camera_matrix.tolist() == [[90, 0, 31], [0, 95, 23], [0, 0, 1]]
    assert not found.distortion.any()
    assert found.lidar_to_camera[:3, 3].tolist() == [-2, 1, 3]
    assert move[:3, 3].tolist() == [1, 2, 3]
    assert (calibration_of(Info(r=(0.0,) * 9), move, rectified=True).lidar_to_camera == move).all()


@pytest.mark.parametrize(
    ("info", "rectified", "words"),
    [
        (Info(distortion_model="rational_polynomial", d=(0.1,) * 8), False, "'rational_polynomial' with 8"),
        (Info(distortion_model="equidistant", d=(0.1,) * 4), False, "cannot be undone"),
        (Info(d=(0.1,) * 3), False, "with 3 coefficients"),
        (Info(d=(float("nan"),) * 5), False, "calibration.distortion"),
        (Info(k=(0.0,) * 9), False, "has no focal length"),
        (Info(binning_x=2), False, "cut or binned"),
        (Info(roi=SimpleNamespace(x_offset=4, y_offset=0)), False, "cut or binned"),
        (Info(p=(90.0, 0, 31, -45, 0, 95, 23, 0, 0, 0, 1, 0)), True, "second camera of a stereo pair"),
        (Info(p=(0.0,) * 12), True, "has no focal length"),
    ],
)
def test_what_cannot_be_used_is_a_typed_error(info: Info, rectified: bool, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        calibration_of(info, np.eye(4), rectified=rectified)


def test_the_camera_info_has_to_be_of_the_images_size() -> None:
    check_size(Info(), Message(48, 64, "bgr8", 0, b""))
    with pytest.raises(ImageError, match="64 x 48 px; expected 32 x 24 px"):
        check_size(Info(), Message(24, 32, "bgr8", 0, b""))
