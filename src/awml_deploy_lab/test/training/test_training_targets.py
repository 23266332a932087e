from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from training_scenes import TINY, TINY_CONFIG, boxes_as_batch

from awml_deploy_lab.training.targets import REGRESSION, TargetMaker, gaussian_radius
from awml_extractors.centerpoint.config import MMDET3D_CONVENTION, CenterPointConfig
from awml_extractors.centerpoint.convention import dim_map, rot_map
from awml_extractors.centerpoint.decode import HeadMaps, decode_autoware
from awml_extractors.centerpoint.options import PostprocessOptions

CAR = [3.1, -4.7, 0.8, 4.4, 1.9, 1.6, 2.5, 3.0, -1.5]
PEDESTRIAN = [-7.3, 5.2, 0.9, 0.7, 0.6, 1.7, -0.4, 0.5, 1.0]


def make(boxes, labels, num_points=None, config=TINY_CONFIG, **options):
    batch = boxes_as_batch(boxes, labels, num_points or [5] * len(labels))
    return TargetMaker(config, **{"min_points": 1, "regression_radius": 1, **options}).make(batch)


def reference_radius(length, width, overlap):
    b1, c1 = length + width, width * length * (1 - overlap) / (1 + overlap)
    r1 = (b1 + math.sqrt(b1**2 - 4 * c1)) / 2
    b2, c2 = 2 * (length + width), (1 - overlap) * width * length
    r2 = (b2 + math.sqrt(b2**2 - 16 * c2)) / 2
    a3, b3, c3 = 4 * overlap, -2 * overlap * (length + width), (overlap - 1) * width * length
    r3 = (b3 + math.sqrt(b3**2 - 4 * a3 * c3)) / 2
    return min(r1, r2, r3)


def reference_heatmap(config, boxes, labels):
    """Box by box, as mmdet3d draws them."""
    w, h = config.output_size
    step = config.voxel_size[0] * config.out_size_factor
    heatmap = np.zeros((len(config.class_names), h, w))
    for box, label in zip(boxes, labels, strict=True):
        radius = max(2, int(reference_radius(box[3] / step, box[4] / step, 0.1)))
        cx, cy = (int((box[axis] - config.point_cloud_range[axis]) / step) for axis in (0, 1))
        sigma = (2 * radius + 1) / 6
        for y in range(max(0, cy - radius), min(h, cy + radius + 1)):
            for x in range(max(0, cx - radius), min(w, cx + radius + 1)):
                value = math.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2))
                heatmap[label, y, x] = max(heatmap[label, y, x], value)
    return heatmap


@pytest.mark.parametrize("overlap", [0.1, 0.5, 0.7])
def test_radii_are_those_of_mmdet3d(overlap):
    sizes = np.random.default_rng(0).uniform(0.5, 60, (50, 2))
    got = gaussian_radius(*torch.from_numpy(sizes).unbind(1), min_overlap=overlap)
    expected = [reference_radius(length, width, overlap) for length, width in sizes]
    np.testing.assert_allclose(got, expected, rtol=1e-9)


@pytest.mark.parametrize("strides", [(1, 2, 2), (2, 2, 2)])
def test_heatmaps_are_those_of_mmdet3d(strides):
    config = CenterPointConfig.model_validate({**TINY, "backbone_strides": strides})
    boxes = [
        CAR,
        PEDESTRIAN,
        [*CAR[:1], -4.0, *CAR[2:]],
        [12.7, -12.7, *CAR[2:]],
        [0, 0, 1, 24, 3, 3, 1, 0, 0],
    ]
    labels = [0, 1, 0, 0, 0]
    targets = make(boxes, labels, config=config)
    np.testing.assert_allclose(targets.heatmap[0], reference_heatmap(config, boxes, labels), atol=1e-6)
    assert targets.positives == len(boxes)


def head_maps(config, targets):
    """What a head that has learned the targets writes, by name ``[1, c, h, w]``."""
    w, h = config.output_size
    table = torch.full((h * w, targets.values.shape[1]), torch.nan)
    learned = targets.weights > 0
    table[targets.cells[learned]] = targets.values[learned]
    parts = table.T.reshape(1, -1, h, w).split(list(REGRESSION.values()), dim=1)
    score = targets.heatmap.clamp(1e-4, 0.95)
    maps = {"heatmap": (score / (1 - score)).log(), **dict(zip(REGRESSION, parts, strict=True))}
    return {name: value.numpy() for name, value in maps.items()}


def as_exported(config, maps):
    """The maps in the convention that the model is exported with."""
    for name, mapping in (
        ("dim", dim_map(MMDET3D_CONVENTION, config.head_convention)),
        ("rot", rot_map(MMDET3D_CONVENTION, config.head_convention)),
    ):
        signs = np.array(mapping.signs, np.float32).reshape(1, -1, 1, 1)
        maps = {**maps, name: maps[name][:, list(mapping.order)] * signs}
    return maps


@pytest.mark.parametrize("yaw", [-3.0, -1.2, 0.0, 0.7, 2.5])
def test_targets_decode_to_the_box_in_every_cell_that_learns(yaw):
    boxes = [[*CAR[:6], yaw, *CAR[7:]], PEDESTRIAN]
    maps = HeadMaps.from_outputs(
        TINY_CONFIG, as_exported(TINY_CONFIG, head_maps(TINY_CONFIG, make(boxes, [0, 1])))
    )
    # The cells beside a pedestrian's centre have exp(-0.72) = 0.487, those at its corners 0.237.
    options = PostprocessOptions(default_score_threshold=0.48)
    decoded = decode_autoware(maps, TINY_CONFIG, options)
    found = decoded.detections
    for label, box in enumerate(boxes):
        mine = found.select(found.labels == label)
        assert len(mine) >= 5
        np.testing.assert_allclose(mine.centers, np.tile(box[:3], (len(mine), 1)), atol=1e-5)
        np.testing.assert_allclose(mine.sizes, np.tile(box[3:6], (len(mine), 1)), rtol=1e-5)
        np.testing.assert_allclose(mine.yaws, box[6], atol=1e-5)
        np.testing.assert_allclose(mine.velocities, np.tile(box[7:], (len(mine), 1)), rtol=1e-5)


def test_neighbours_learn_less_and_not_at_all_if_asked():
    targets = make([CAR], [0])
    assert len(targets.weights) == 9
    assert (targets.weights == 1).sum() == 1
    assert (targets.weights > 0).all()
    alone = make([CAR], [0], regression_radius=0)
    assert alone.weights.tolist() == [1.0]
    assert (alone.values[0, :2] >= 0).all()
    assert (alone.values[0, :2] < 1).all()


def test_a_cell_between_boxes_learns_from_the_nearer_one():
    first, second = [0.2, 0.2, *PEDESTRIAN[2:]], [0.6, 0.2, *PEDESTRIAN[2:]]
    targets = make([first, second], [1, 1])
    learned = targets.weights > 0
    cells, counts = targets.cells[learned].unique(return_counts=True)
    # Adjacent centres: twelve cells in all, and none learns from both.
    assert len(cells) == 12
    assert (counts == 1).all()
    centers = targets.weights == 1
    assert centers.sum() == 2
    np.testing.assert_allclose(targets.values[centers, :2], [[0.5, 0.5], [0.5, 0.5]], atol=1e-5)


@pytest.mark.parametrize(
    ("box", "label", "points"),
    [
        ([13.0, *CAR[1:]], 0, 5),
        ([-13.0, *CAR[1:]], 0, 5),
        ([12.8, *CAR[1:]], 0, 5),
        ([*CAR[:2], 4.5, *CAR[3:]], 0, 5),
        ([math.nan, *CAR[1:]], 0, 5),
        (CAR, 0, 0),
        (CAR, -1, 5),
    ],
)
def test_boxes_that_cannot_be_learned_are_ignored(box, label, points):
    targets = make([box], [label], [points])
    assert targets.heatmap.max() == 0
    assert targets.positives == 0
    assert targets.weights.max() == 0


def test_the_least_number_of_points_is_a_setting():
    assert make([CAR, PEDESTRIAN], [0, 1], [4, 5], min_points=5).positives == 1
    assert make([CAR, PEDESTRIAN], [0, 1], [0, 0], min_points=0).positives == 2


def test_frames_without_boxes_have_empty_targets():
    targets = make([], [])
    assert targets.heatmap.abs().sum() == 0
    assert len(targets.cells) == 0


def test_frames_do_not_mix():
    batch = boxes_as_batch([CAR, PEDESTRIAN], [0, 1], [5, 5])
    batch = replace(batch, box_frame=torch.tensor([0, 2]), size=3)
    targets = TargetMaker(TINY_CONFIG, min_points=1, regression_radius=1).make(batch)
    alone = [make([CAR], [0]), None, make([PEDESTRIAN], [1])]
    w, h = TINY_CONFIG.output_size
    for frame, expected in enumerate(alone):
        if expected is None:
            assert targets.heatmap[frame].max() == 0
            continue
        torch.testing.assert_close(targets.heatmap[frame], expected.heatmap[0], rtol=0, atol=0)
        mine = slice(0, 9) if frame == 0 else slice(9, 18)
        assert torch.equal(targets.cells[mine] - frame * w * h, expected.cells)
