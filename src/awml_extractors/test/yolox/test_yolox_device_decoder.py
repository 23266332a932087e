"""Decoding and suppression on an emulated GPU: bit for bit what the CPU does."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from cuda_emulation import EmulatedContext
from hypothesis import given, settings
from hypothesis import strategies as st
from yolox_images import SCENES, assert_same_image, config_of, decoded, on_cpu, output_of, uploaded

from awml_deploy_core.errors import ParameterError
from awml_extractors.yolox.config import YoloxConfig
from awml_extractors.yolox.device.decoder import DeviceDecoder
from awml_extractors.yolox.device.parameters import ROW, Parameters
from awml_extractors.yolox.options import YoloxOptions

# Their numbers of cells: 21, 126, 630.
CONFIGS = (config_of((32, 32), 1), config_of((64, 96), 2), config_of((160, 192), 3))
LARGE = CONFIGS[-1]

score = st.one_of(st.sampled_from([0.0, 0.01, 0.25, 0.5, 1.0]), st.floats(0, 1))


@st.composite
def options_of(draw: Any) -> YoloxOptions:
    return YoloxOptions(
        decoder=draw(st.sampled_from(["mmdet", "autoware"])),
        score_threshold=draw(score),
        nms_threshold=draw(score),
        max_detections=draw(st.sampled_from([1, 3, 40, 300, 100_000])),
    )


def decoder_of(
    config: YoloxConfig, options: YoloxOptions, output: Any, room: int = 2048, *, seed: int = 0
) -> tuple[EmulatedContext, DeviceDecoder]:
    context = EmulatedContext(seed)
    memory = uploaded(context, output)
    made = DeviceDecoder(context.as_context(), config, options, memory, room, load=context.load)
    return context, made


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(CONFIGS),
    st.sampled_from(SCENES),
    options_of(),
    st.sampled_from([40, 2048]),
    st.integers(0, 1000),
)
def test_bit_for_bit(config: YoloxConfig, scene: str, options: YoloxOptions, room: int, seed: int) -> None:
    output = output_of(config, scene, seed)
    context, decoder = decoder_of(config, options, output, room, seed=seed)
    found = decoded(context, decoder)
    assert_same_image(found, on_cpu(config, options, output))
    assert found.on_host == (found.candidates > room)
    context.check_guards()


@pytest.mark.parametrize("decoder", ["mmdet", "autoware"])
@pytest.mark.parametrize("scene", SCENES)
def test_every_scene_with_its_many_boxes(decoder: str, scene: str) -> None:
    options = YoloxOptions(decoder=decoder, score_threshold=0.05, nms_threshold=0.5)
    output = output_of(LARGE, scene, 1)
    context, device = decoder_of(LARGE, options, output, seed=5)
    found = decoded(context, device)
    assert_same_image(found, on_cpu(LARGE, options, output))
    assert not found.on_host
    assert (found.boxes_decoded > 100) == (scene not in ("below", "empty"))
    assert (found.kept.num_non_finite > 0) == (scene in ("broken", "endless"))
    if scene == "pile":
        assert len(found.kept) < 30
    elif scene in ("noise", "ties"):
        assert 30 < len(found.kept) < found.boxes_decoded


def test_a_box_that_a_suppressed_one_overlaps_is_kept() -> None:
    """A chain across the border of two words of 32 boxes: every second box is left."""
    output = np.zeros((LARGE.num_cells, LARGE.num_values), np.float32)
    for cell in range(70):
        # 24 columns of 8 pixels; boxes of 20 pixels, 4 apart, in the first row.
        row, column = divmod(cell, 24)
        output[cell, :4] = 0.5 * cell - column, -row, np.log(2.5), np.log(2.5)
        output[cell, 4:6] = 1.0 - 0.01 * cell, 1.0
    # Neighbours share two thirds of their union, those after them less than half.
    options = YoloxOptions(nms_threshold=0.6, score_threshold=0.1)
    context, decoder = decoder_of(LARGE, options, output, seed=3)
    found = decoded(context, decoder)
    np.testing.assert_array_equal(found.kept.scores, (1.0 - 0.01 * np.arange(0, 70, 2)).astype(np.float32))
    assert_same_image(found, on_cpu(LARGE, options, output))


def test_classes_suppress_each_other_with_autowares_decoder_only() -> None:
    output = np.zeros((LARGE.num_cells, LARGE.num_values), np.float32)
    output[5] = 0.3, 0.3, 2.0, 2.0, 1.0, 0.9, 0.8, 0.0
    kept = {}
    for decoder in ("mmdet", "autoware"):
        # The same box of two classes: one candidate, or two of which one goes.
        for cell, label in ((6, 1), (7, 2)):
            output[cell] = output[5]
            output[cell, 0] = 0.3 + 5 - cell
            output[cell, 5:] = 0.0
            output[cell, 5 + label] = 0.5
        options = YoloxOptions(decoder=decoder, score_threshold=0.1)
        context, device = decoder_of(LARGE, options, output)
        found = decoded(context, device)
        assert_same_image(found, on_cpu(LARGE, options, output))
        kept[decoder] = (found.candidates, found.kept.labels.tolist())
    assert kept == {"mmdet": (3, [0, 1, 2]), "autoware": (4, [0])}


def test_options_change_between_images_without_another_launch() -> None:
    output = output_of(LARGE, "noise", 3)
    context, decoder = decoder_of(LARGE, YoloxOptions(), output)
    sizes = set()
    for options in (
        YoloxOptions(),
        YoloxOptions(decoder="autoware", score_threshold=0.7),
        YoloxOptions(max_detections=7),
        YoloxOptions(),
    ):
        decoder.set_options(options)
        found = decoded(context, decoder)
        assert_same_image(found, on_cpu(LARGE, options, output))
        sizes.add(len(found.kept))
    assert len(sizes) == 3


def test_results_stay_when_the_next_image_comes() -> None:
    context, decoder = decoder_of(LARGE, YoloxOptions(), output_of(LARGE, "noise", 0))
    first = decoded(context, decoder)
    copy = first.kept.boxes.copy()
    context.upload(decoder._output.address, output_of(LARGE, "noise", 1))
    decoded(context, decoder)
    np.testing.assert_array_equal(first.kept.boxes, copy)


@pytest.mark.parametrize("decoder", ["mmdet", "autoware"])
def test_too_many_candidates_are_counted_and_decoded_on_the_host(decoder: str) -> None:
    options = YoloxOptions(decoder=decoder, score_threshold=0.3)
    output = output_of(LARGE, "noise", 0)
    expected = on_cpu(LARGE, options, output)
    for room, on_host in ((expected.candidates, False), (expected.candidates - 1, True)):
        context, device = decoder_of(LARGE, options, output, room)
        device.warm_up()
        found = decoded(context, device)
        assert (found.on_host, found.candidates) == (on_host, expected.candidates)
        assert_same_image(found, expected)
        context.check_guards()


def test_what_the_kernels_cannot_take_is_refused() -> None:
    output = output_of(CONFIGS[0], "empty", 0)
    with pytest.raises(ParameterError, match=r"max_boxes: is out of range; got 0; expected 1\.\.32768"):
        decoder_of(CONFIGS[0], YoloxOptions(), output, 0)
    huge = config_of((8192, 8192), 2000)
    with pytest.raises(ParameterError, match="cells times classes; expected less than 2147483648"):
        decoder_of(huge, YoloxOptions(), output)


def test_layouts_have_no_gaps() -> None:
    ends = [
        getattr(Parameters, name).offset + getattr(Parameters, name).size for name, _ in Parameters._fields_
    ]
    assert ends[-1] == ctypes.sizeof(Parameters)
    assert all(getattr(Parameters, name).offset in (0, *ends) for name, _ in Parameters._fields_)
    assert ROW.itemsize == 32
