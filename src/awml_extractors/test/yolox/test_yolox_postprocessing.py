from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from awml_deploy_core.detections2d import pairwise_iou
from awml_deploy_core.errors import ImageError
from awml_deploy_core.images import Image
from awml_extractors.yolox.config import parse_config
from awml_extractors.yolox.decode import Decoder
from awml_extractors.yolox.letterbox import GREY, Letterbox, resize_bilinear
from awml_extractors.yolox.nms import suppress, suppress_by_class

SIZE = (64, 96)
CONFIG = parse_config({"input_size": SIZE, "class_names": ["a", "b"]})


def output(**cells: list[float]) -> np.ndarray:
    """Rows of an output by the cell's index; the others are certain that nothing is there."""
    result = np.zeros((CONFIG.num_cells, 7), np.float32)
    for name, values in cells.items():
        result[int(name.removeprefix("c"))] = values
    return result


def decode(
    values: np.ndarray, threshold: float = 0.1, every_class: bool = False
) -> list[tuple[object, ...]]:
    found = Decoder(CONFIG).decode(values, threshold, every_class=every_class)
    return [
        (box.tolist(), pytest.approx(score), label)
        for box, score, label in zip(found.boxes, found.scores.tolist(), found.labels.tolist(), strict=True)
    ]


def test_box_of_every_level() -> None:
    # Levels have 12 x 8, 6 x 4 and 3 x 2 cells.
    cells = {8: 12 * 2 + 5, 16: 96 + 6 * 1 + 4, 32: 96 + 24 + 3 * 1 + 2}
    places = {8: (5, 2), 16: (4, 1), 32: (2, 1)}
    for stride, cell in cells.items():
        found = decode(output(**{f"c{cell}": [0.25, 0.5, math.log(2), math.log(4), 0.5, 0.25, 0.75]}))
        x, y = (places[stride][0] + 0.25) * stride, (places[stride][1] + 0.5) * stride
        assert [([*np.float32(found[0][0])], *found[0][1:])] == [
            (pytest.approx([x - stride, y - 2 * stride, x + stride, y + 2 * stride]), 0.375, 1)
        ]


def test_best_class_or_every_class() -> None:
    values = output(c3=[0, 0, 0, 0, 0.8, 0.5, 0.9], c5=[0, 0, 0, 0, 1.0, 0.05, 0.6])
    assert [(score, label) for _, score, label in decode(values)] == [(0.72, 1), (0.6, 1)]
    every = decode(values, every_class=True)
    assert [(score, label) for _, score, label in every] == [(0.72, 1), (0.6, 1), (0.4, 0)]


def test_score_has_to_exceed_the_threshold() -> None:
    assert not decode(output(c3=[0, 0, 0, 0, 0.5, 0.5, 0]), threshold=0.25)


@pytest.mark.parametrize("bad", [[0, 0, 200, 0], [math.nan, 0, 0, 0], [0, math.inf, 0, 0]])
def test_boxes_that_are_not_finite_are_counted(bad: list[float]) -> None:
    found = Decoder(CONFIG).decode(
        output(c1=[*bad, 1, 1, 0], c2=[0, 0, 0, 0, 1, 1, 0]), 0.1, every_class=False
    )
    assert (len(found), found.num_non_finite) == (1, 1)


BOXES = hnp.arrays(
    np.float32, st.tuples(st.integers(0, 30), st.just(4)), elements=st.integers(0, 40).map(float)
)


@settings(deadline=None)
@given(BOXES, st.sampled_from([0.0, 0.3, 0.65]))
def test_suppression_keeps_what_overlaps_no_better_box(corners: np.ndarray, threshold: float) -> None:
    boxes = np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:]], axis=1)
    kept = suppress(boxes, threshold, 1000)
    overlap = pairwise_iou(boxes, boxes)
    assert np.array_equal(kept, np.unique(kept))
    for index in range(len(boxes)):
        better = kept[kept < index]
        assert (index in kept) == bool((overlap[index, better] <= threshold).all())


@settings(deadline=None)
@given(BOXES, st.integers(0, 2**16))
def test_suppression_by_class_is_that_of_every_class(corners: np.ndarray, seed: int) -> None:
    boxes = np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:]], axis=1)
    labels = np.random.default_rng(seed).integers(0, 3, len(boxes)).astype(np.int32)
    kept = suppress_by_class(boxes, labels, 0.5, 1000)
    alone = [np.flatnonzero(labels == c)[suppress(boxes[labels == c], 0.5, 1000)] for c in range(3)]
    assert np.array_equal(kept, np.sort(np.concatenate(alone)))
    assert np.array_equal(suppress_by_class(boxes, labels, 0.5, 4), kept[:4])


def test_letterbox_is_in_the_upper_left_corner() -> None:
    image = Image(np.full((100, 300, 3), 200, np.uint8))
    box = Letterbox.of(image.width, image.height, SIZE)
    assert (box.scaled_width, box.scaled_height) == (96, 32)
    tensor = box.make_input(image, SIZE)
    assert tensor.shape == (1, 3, *SIZE)
    assert (tensor[:, :, :32] == 200).all()
    assert (tensor[:, :, 32:] == GREY).all()


def test_boxes_come_back_to_the_image() -> None:
    box = Letterbox.of(300, 100, SIZE)
    found = box.to_image(np.array([[9.6, 3.2, 32, 16], [-5, 1, 200, 99]], np.float32))
    np.testing.assert_allclose(found, [[30, 10, 100, 50], [0, 3.125, 300, 100]], rtol=1e-6)


@given(st.integers(1, 4000), st.integers(1, 4000))
def test_letterbox_of_any_size_fits(width: int, height: int) -> None:
    if max(width / height / 96, height / width / 64) * min(96, 64) > 1 and min(width, height) < 60:
        return
    box = Letterbox.of(width, height, SIZE)
    assert 0 < box.scaled_width <= SIZE[1]
    assert 0 < box.scaled_height <= SIZE[0]
    assert box.scaled_width == SIZE[1] or box.scaled_height == SIZE[0]


def test_image_that_is_too_narrow() -> None:
    with pytest.raises(ImageError, match="too narrow"):
        Letterbox.of(1, 4000, SIZE)


def test_resizing_keeps_constants_and_ramps() -> None:
    ramp = np.broadcast_to(np.arange(0, 200, 2, dtype=np.uint8)[None, :, None], (40, 100, 3))
    half = resize_bilinear(np.ascontiguousarray(ramp), 50, 20)
    assert np.array_equal(half[3, :, 1], np.arange(1, 200, 4))
    assert (resize_bilinear(np.full((7, 9, 3), 33, np.uint8), 31, 3) == 33).all()
    same = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    assert np.array_equal(resize_bilinear(same, 6, 5), same)
