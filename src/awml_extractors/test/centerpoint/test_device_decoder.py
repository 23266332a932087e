"""Decoding and suppression on an emulated GPU: bit for bit what the CPU does."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from cuda_emulation import EmulatedContext
from decoder_frames import SCENES, assert_same_frame, config_of, head_of, on_cpu, on_device
from hypothesis import given, settings
from hypothesis import strategies as st

from awml_deploy_core.errors import ParameterError, TensorMismatchError
from awml_extractors.centerpoint.config import AUTOWARE_CONVENTION, MMDET3D_CONVENTION, CenterPointConfig
from awml_extractors.centerpoint.device.decoder import DeviceDecoder
from awml_extractors.centerpoint.device.parameters import MAX_BINS, ROW, Parameters
from awml_extractors.centerpoint.options import PostprocessOptions

score = st.one_of(st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.floats(0, 1, width=32))
distance = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 6))


def decoder_of(
    config: CenterPointConfig, options: PostprocessOptions, room: int, *, half: bool = False, seed: int = 0
) -> tuple[EmulatedContext, DeviceDecoder]:
    context = EmulatedContext(seed)
    made = DeviceDecoder(context.as_context(), config, options, room, half=half, load=context.load)
    return context, made


@st.composite
def options_of(draw: Any) -> PostprocessOptions:
    bins = draw(st.integers(1, 3))
    limits = tuple(sorted(draw(st.sets(st.floats(0.5, 12, width=32), min_size=bins, max_size=bins))))
    scores = st.tuples(*[score] * bins)
    return PostprocessOptions(
        decoder=draw(st.sampled_from(["autoware", "mmdet3d"])),
        distance_bin_upper_limits=limits,
        min_confidence_scores=draw(st.dictionaries(st.sampled_from(["CAR", "pedestrian"]), scores)),
        default_score_threshold=draw(score),
        yaw_norm_thresholds={"CAR": draw(score)},
        circle_nms_dist_threshold=draw(distance),
        iou_nms_search_distance_2d=draw(distance),
        iou_nms_threshold=draw(score),
        mmdet3d_pre_max=draw(st.integers(1, 300)),
        mmdet3d_score_threshold=draw(score),
        mmdet3d_min_radius=draw(distance),
        mmdet3d_post_max=draw(st.integers(1, 120)),
    )


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(SCENES),
    options_of(),
    st.sampled_from([(8, 12), (13, 7), (1, 1), (40, 30)]),
    st.sampled_from([1, 3]),
    st.sampled_from([AUTOWARE_CONVENTION, MMDET3D_CONVENTION]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([16, 512]),
    st.integers(0, 1000),
)
def test_bit_for_bit(
    scene: str,
    options: PostprocessOptions,
    size: tuple[int, int],
    classes: int,
    convention: Any,
    half: bool,
    rich: bool,
    room: int,
    seed: int,
) -> None:
    config = config_of(*size, classes, head_convention=convention, has_variance=rich, has_twist=not rich)
    head = head_of(config, scene, seed, half=half)
    context, decoder = decoder_of(config, options, room, half=half, seed=seed)
    found = on_device(context, decoder, head)
    assert_same_frame(found, on_cpu(config, options, head))
    assert found.on_host == (found.candidates > room)
    context.check_guards()


@pytest.mark.parametrize("decoder", ["autoware", "mmdet3d"])
@pytest.mark.parametrize("scene", SCENES)
def test_every_scene_with_its_many_boxes(decoder: str, scene: str) -> None:
    config = config_of(48, 40, 7)
    head = head_of(config, scene, 1)
    options = PostprocessOptions(
        decoder=decoder,
        distance_bin_upper_limits=(3.0, 6.0, 50.0),
        min_confidence_scores={"CAR": (0.0, 0.6, 0.7), "BUS": (0.9, 0.0, 0.5)},
        circle_nms_dist_threshold=0.6,
        mmdet3d_pre_max=1500,
        mmdet3d_score_threshold=0.0 if scene == "subnormal" else 0.7,
        mmdet3d_min_radius=0.3,
        mmdet3d_post_max=1000,
    )
    context, device = decoder_of(config, options, 16384, seed=5)
    found = on_device(context, device, head)
    assert_same_frame(found, on_cpu(config, options, head))
    assert not found.on_host
    assert (found.boxes_decoded > 50) == (scene != "empty")
    assert (found.boxes_non_finite > 0) == (scene == "broken")


def test_a_box_with_more_near_it_than_are_listed_waits_for_all_of_them() -> None:
    config = config_of(30, 20)
    head = head_of(config, "cluster", 0)
    options = PostprocessOptions(circle_nms_dist_threshold=1.0, iou_nms_search_distance_2d=0.0)
    context, decoder = decoder_of(config, options, 1024)
    found = on_device(context, decoder, head)
    assert found.boxes_decoded > 200
    assert 3 < len(found.detections) < 20
    assert_same_frame(found, on_cpu(config, options, head))


def test_the_first_box_beyond_the_list_counts() -> None:
    """One kept, 32 that it suppresses, one apart from those, and one that only the last suppresses."""
    config = config_of(48, 4)
    head = head_of(config, "empty", 0)
    xs = [0.0, *[0.9] * 32, 2.5, 1.7]
    for cell, x in enumerate(xs):
        head["heatmap"][0, 0, 0, cell] = 5.0 - 0.1 * cell
        head["reg"][0, :, 0, cell] = (x / 0.5 - cell + 24, 2.0)
        head["rot"][0, :, 0, cell] = (1.0, 0.0)
    options = PostprocessOptions(circle_nms_dist_threshold=1.0, iou_nms_search_distance_2d=0.0)
    context, decoder = decoder_of(config, options, 64)
    found = on_device(context, decoder, head)
    np.testing.assert_array_equal(found.detections.centers[:, 0], np.array([0.0, 2.5], np.float32))
    assert_same_frame(found, on_cpu(config, options, head))


@pytest.mark.parametrize("decoder", ["autoware", "mmdet3d"])
def test_more_boxes_are_left_than_a_block_has_threads(decoder: str) -> None:
    config = config_of(48, 40, 1)
    head = head_of(config, "noise", 2)
    options = PostprocessOptions(
        decoder=decoder,
        default_score_threshold=0.05,
        circle_nms_dist_threshold=0.0,
        iou_nms_search_distance_2d=0.0,
        mmdet3d_pre_max=1800,
        mmdet3d_score_threshold=0.05,
        mmdet3d_min_radius=0.0,
        mmdet3d_post_max=1500,
    )
    context, device = decoder_of(config, options, 2048, seed=7)
    found = on_device(context, device, head)
    assert len(found.detections) > 1400
    assert_same_frame(found, on_cpu(config, options, head))
    context.check_guards()


@pytest.mark.parametrize("radius", [0.1, 0.5, 3.0])
def test_what_is_near_is_found_across_bins_however_far_away(radius: float) -> None:
    """Pairs on both sides of the radius; bins repeat, so that far boxes lie in the bins of others."""
    config = config_of(64, 4)
    head = head_of(config, "empty", 0)
    rng = np.random.default_rng(int(10 * radius))
    period = 128 * max(0.25, 1.25 * radius)
    bases = np.array([0.0, period, -period, 7 * period, 1e3, -1e5, 3e6, 1e18])
    for cell in range(64):
        base = bases[cell // 8] + (cell // 2 % 4) * 4.1 * radius
        shift = cell % 2 * radius * rng.choice([0.9, 0.9999, 1.0, 1.0001, 1.1])
        head["heatmap"][0, 0, 0, cell] = 1.0 + rng.random()
        head["reg"][0, :, 0, cell] = ((base + shift) / 0.5 - cell + 32, 2.0 + base / 0.5)
        head["rot"][0, :, 0, cell] = (1.0, 0.0)
    options = PostprocessOptions(
        distance_bin_upper_limits=(1e19,),
        circle_nms_dist_threshold=radius,
        iou_nms_search_distance_2d=0.0,
    )
    context, decoder = decoder_of(config, options, 64, seed=3)
    found = on_device(context, decoder, head)
    assert found.boxes_decoded == 64
    assert 30 < len(found.detections) < 64
    assert_same_frame(found, on_cpu(config, options, head))


@pytest.mark.parametrize(("side", "left"), [(0.05, 2), (0.2, 1)])
def test_tiny_boxes_at_one_place_do_not_overlap(side: float, left: int) -> None:
    config = config_of(8, 4)
    head = head_of(config, "empty", 0)
    for cell in (2, 3):
        head["heatmap"][0, 0, 0, cell] = 2.0
        head["reg"][0, :, 0, cell] = (4 - cell, 2.0)
        head["dim"][0, :, 0, cell] = np.log(side)
        head["rot"][0, :, 0, cell] = (1.0, 0.0)
    options = PostprocessOptions(circle_nms_dist_threshold=0.0)
    context, decoder = decoder_of(config, options, 64)
    found = on_device(context, decoder, head)
    assert len(found.detections) == left
    assert_same_frame(found, on_cpu(config, options, head))


@pytest.mark.parametrize(("apart", "left"), [(1.38, 1), (1.42, 2)])
def test_boxes_that_touch_by_their_tips_are_told_apart(apart: float, left: int) -> None:
    """Unit squares on their tips, whose centres are just nearer or farther than the diagonal."""
    config = config_of(8, 4)
    head = head_of(config, "empty", 0)
    for cell, x in ((2, 0.0), (3, apart)):
        head["heatmap"][0, 0, 0, cell] = 2.0
        head["reg"][0, :, 0, cell] = (4 - cell + x / 0.5, 2.0)
        head["dim"][0, :, 0, cell] = 0.0
        head["rot"][0, :, 0, cell] = (np.sqrt(0.5), np.sqrt(0.5))
    options = PostprocessOptions(iou_nms_threshold=0.0)
    context, decoder = decoder_of(config, options, 64)
    found = on_device(context, decoder, head)
    assert len(found.detections) == left
    assert_same_frame(found, on_cpu(config, options, head))


def test_of_broken_boxes_those_count_that_are_among_the_best() -> None:
    config = config_of(16, 16)
    head = head_of(config, "broken", 0)
    context, decoder = decoder_of(config, PostprocessOptions(), 1024)
    lost = set()
    for best in range(1, 40):
        options = PostprocessOptions(decoder="mmdet3d", mmdet3d_pre_max=best, mmdet3d_score_threshold=0.0)
        decoder.set_options(options)
        found = on_device(context, decoder, head)
        assert_same_frame(found, on_cpu(config, options, head))
        lost.add(found.boxes_non_finite)
    assert len(lost) > 5


def test_options_change_between_frames_without_another_launch() -> None:
    config = config_of(20, 20)
    head = head_of(config, "noise", 3)
    context, decoder = decoder_of(config, PostprocessOptions(), 1024)
    sizes = set()
    for options in (
        PostprocessOptions(),
        PostprocessOptions(decoder="mmdet3d", mmdet3d_post_max=7),
        PostprocessOptions(default_score_threshold=0.8),
        PostprocessOptions(),
    ):
        decoder.set_options(options)
        found = on_device(context, decoder, head)
        assert_same_frame(found, on_cpu(config, options, head))
        sizes.add(len(found.detections))
    assert len(sizes) == 3


def test_results_stay_when_the_next_frame_comes() -> None:
    config = config_of(20, 20)
    context, decoder = decoder_of(config, PostprocessOptions(), 1024)
    first = on_device(context, decoder, head_of(config, "noise", 0))
    copy = first.detections.centers.copy()
    on_device(context, decoder, head_of(config, "noise", 1))
    np.testing.assert_array_equal(first.detections.centers, copy)


def test_a_frame_without_pillars_has_no_boxes() -> None:
    config = config_of(20, 20)
    head = head_of(config, "noise", 0)
    context, decoder = decoder_of(config, PostprocessOptions(), 1024)
    pillars = context.buffer((1,), np.int32, fill=0)
    found = on_device(context, decoder, head, pillars=pillars.address)
    assert found.as_dict() == {"boxes_decoded": 0, "boxes_non_finite": 0, "boxes": 0}
    context.fill(pillars.address, 1, 4)
    assert len(on_device(context, decoder, head, pillars=pillars.address).detections)


def test_too_many_candidates_are_decoded_on_the_host() -> None:
    config = config_of(20, 20)
    head = head_of(config, "noise", 0)
    context, decoder = decoder_of(config, PostprocessOptions(), 1024)
    candidates = on_device(context, decoder, head).candidates
    for room, on_host in ((candidates, False), (candidates - 1, True)):
        context, decoder = decoder_of(config, PostprocessOptions(), room)
        found = on_device(context, decoder, head)
        assert (found.on_host, found.candidates) == (on_host, candidates)
        assert_same_frame(found, on_cpu(config, PostprocessOptions(), head))
        context.check_guards()


def test_what_the_kernels_cannot_take_is_refused() -> None:
    context = EmulatedContext()
    many = PostprocessOptions(distance_bin_upper_limits=tuple(float(i) for i in range(1, MAX_BINS + 2)))
    _, decoder = decoder_of(config_of(8, 8), PostprocessOptions(), 64)
    with pytest.raises(
        ParameterError, match=f"distance_bin_upper_limits: {MAX_BINS + 1}, at most {MAX_BINS}"
    ):
        decoder.set_options(many)
    with pytest.raises(ParameterError, match=r"max_boxes: is out of range; got 0; expected 1\.\.32768"):
        DeviceDecoder(context.as_context(), config_of(8, 8), PostprocessOptions(), 0, load=context.load)
    with pytest.raises(TensorMismatchError, match="have no address\n  - vel"):
        decoder.enqueue(0, dict.fromkeys(("heatmap", "reg", "height", "dim", "rot"), 256))


def test_layouts_have_no_gaps() -> None:
    ends = [
        getattr(Parameters, name).offset + getattr(Parameters, name).size for name, _ in Parameters._fields_
    ]
    assert ends[-1] == ctypes.sizeof(Parameters)
    assert all(getattr(Parameters, name).offset in (0, *ends) for name, _ in Parameters._fields_)
    assert ROW.itemsize == 48
