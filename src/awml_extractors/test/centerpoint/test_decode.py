from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from head_encoding import encode_size, encode_yaw
from hypothesis import given, settings
from hypothesis import strategies as st

from awml_deploy_core.errors import TensorMismatchError
from awml_extractors.centerpoint.config import (
    AUTOWARE_CONVENTION,
    MMDET3D_CONVENTION,
    CenterPointConfig,
    HeadConvention,
)
from awml_extractors.centerpoint.decode import HeadMaps, decode_autoware, logit_floor
from awml_extractors.centerpoint.decode_mmdet3d import decode_mmdet3d
from awml_extractors.centerpoint.options import PostprocessOptions

F = np.float32
OFF = F(-12)


def config(**changes: Any) -> CenterPointConfig:
    defaults: dict[str, Any] = {
        "class_names": ("CAR", "TRUCK", "PEDESTRIAN"),
        "point_cloud_range": (-64.0, -32.0, -4.0, 64.0, 32.0, 4.0),
        "voxel_size": (1.0, 1.0, 8.0),
        "neck_strides": (0.5, 1.0, 2.0),
    }
    return CenterPointConfig.model_validate({**defaults, **changes})


class Head:
    """Head outputs in which single boxes are written by hand."""

    def __init__(self, cfg: CenterPointConfig) -> None:
        self.cfg = cfg
        w, h = cfg.output_size
        self.outputs = {name: np.zeros((1, c, h, w), F) for name, c in cfg.head_outputs.items()}
        self.outputs["heatmap"][:] = OFF

    def put(
        self,
        row: int,
        column: int,
        logits: Any,
        size: Any = (4, 2, 1.5),
        yaw: float = 0.0,
        norm: float = 1.0,
    ) -> Head:
        o, convention = self.outputs, self.cfg.head_convention
        o["heatmap"][0, :, row, column] = logits
        o["reg"][0, :2, row, column] = [0.25, 0.5]
        o["height"][0, 0, row, column] = -0.75
        o["dim"][0, :3, row, column] = encode_size(np.array(size, float), convention)
        o["rot"][0, :2, row, column] = norm * np.array(encode_yaw(np.array(yaw), convention))
        o["vel"][0, :2, row, column] = [3.0, -1.0]
        return self

    @property
    def maps(self) -> HeadMaps:
        return HeadMaps.from_outputs(self.cfg, self.outputs)


def logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


@pytest.mark.parametrize(
    "convention",
    [MMDET3D_CONVENTION, AUTOWARE_CONVENTION, HeadConvention(dim_order="wlh", rot_encoding="sin_cos")],
)
@pytest.mark.parametrize("variance", [False, True])
@pytest.mark.parametrize("decoder", [decode_autoware, decode_mmdet3d])
@pytest.mark.parametrize("yaw", [0.0, 2.5, -1.0, np.pi])
def test_a_known_box_comes_out_in_one_convention(
    convention: HeadConvention, variance: bool, decoder: Any, yaw: float
) -> None:
    cfg = config(head_convention=convention, has_variance=variance)
    head = Head(cfg).put(10, 40, [logit(0.8), OFF, OFF], (4.2, 1.9, 1.6), yaw)
    decoded = decoder(head.maps, cfg, PostprocessOptions())
    (box,) = decoded.detections.to_records()
    assert box["class"] == "CAR"
    assert box["score"] == pytest.approx(0.8, abs=1e-6)
    # Two canvas cells of 1 m a map cell.
    np.testing.assert_allclose(box["center"], [(40 + 0.25) * 2 - 64, (10 + 0.5) * 2 - 32, -0.75])
    np.testing.assert_allclose(box["size"], [4.2, 1.9, 1.6], rtol=1e-6)
    assert box["yaw"] == pytest.approx(yaw, abs=1e-6)
    assert box["velocity"] == [3.0, -1.0]
    assert decoded.non_finite == 0


def test_yaw_is_what_autowares_node_computes_from_its_convention() -> None:
    cfg = config()
    for yaw in np.linspace(-3, 3, 13):
        head = Head(cfg).put(16, 32, [3, OFF, OFF], yaw=float(yaw))
        rot0, rot1 = head.outputs["rot"][0, :, 16, 32]
        ros_yaw = -np.arctan2(rot0, rot1) - np.pi / 2
        (box,) = decode_autoware(head.maps, cfg, PostprocessOptions()).detections.to_records()
        assert np.cos(box["yaw"] - ros_yaw) == pytest.approx(1.0, abs=1e-6)


def test_without_twist_there_is_no_velocity() -> None:
    cfg = config(has_twist=False)
    head = Head(cfg).put(10, 40, [3, OFF, OFF])
    detections = decode_autoware(head.maps, cfg, PostprocessOptions()).detections
    assert not detections.has_velocity
    assert not detections.velocities.any()


def test_autoware_takes_the_first_of_equal_classes_also_where_the_sigmoid_saturates() -> None:
    cfg = config()
    head = Head(cfg).put(10, 40, [1, 2, 2]).put(10, 41, [OFF, 40, 60]).put(10, 42, [np.nan, 1, OFF])
    labels = decode_autoware(head.maps, cfg, PostprocessOptions(min_confidence_scores={})).detections.labels
    assert sorted(labels.tolist()) == [1, 1, 1]


def test_autoware_threshold_depends_on_class_and_distance_and_is_inclusive() -> None:
    cfg = config()
    options = PostprocessOptions(
        distance_bin_upper_limits=(20.0, 60.0),
        min_confidence_scores={"CAR": (0.5, 0.7)},
        default_score_threshold=0.3,
    )
    near, far, outside = (15, 33), (15, 50), (15, 63)
    for place, p, names in [
        (near, 0.49, []),
        (near, 0.6, ["CAR"]),
        (far, 0.6, []),
        (far, 0.71, ["CAR"]),
        (outside, 0.99, []),
    ]:
        head = Head(cfg).put(*place, [logit(p), OFF, OFF])
        found = decode_autoware(head.maps, cfg, options).detections
        assert [cfg.class_names[i] for i in found.labels] == names
    # A score equal to the threshold stays; a distance equal to the limit belongs to the next bin.
    head = Head(cfg).put(*near, [0.0, OFF, OFF])
    assert len(decode_autoware(head.maps, cfg, options).detections) == 1
    x, y = (33 + 0.25) * 2 - 64, (15 + 0.5) * 2 - 32
    limit = float(np.hypot(F(x), F(y)))
    edge = options.merged({"distance_bin_upper_limits": (limit, 60.0)}, cfg.class_names)
    assert len(decode_autoware(head.maps, cfg, edge).detections) == 0


def test_thresholds_apply_to_classes_in_any_case() -> None:
    cfg = config(class_names=("car", "truck", "pedestrian"))
    head = Head(cfg).put(10, 40, [3, OFF, OFF], norm=0.29).put(10, 42, [3, OFF, OFF], norm=0.31)
    head.put(10, 44, [OFF, OFF, 3], norm=0.0).put(10, 46, [OFF, logit(0.6), OFF])
    options = PostprocessOptions(min_confidence_scores={"TRUCK": (0.7,) * 4})
    found = decode_autoware(head.maps, cfg, options).detections
    assert sorted(found.class_names[label] for label in found.labels) == ["car", "pedestrian"]


def test_autoware_drops_uncertain_headings_by_class() -> None:
    cfg = config()
    head = Head(cfg).put(10, 40, [3, OFF, OFF], norm=0.29).put(10, 42, [3, OFF, OFF], norm=0.31)
    head.put(10, 44, [OFF, OFF, 3], norm=0.0)
    found = decode_autoware(head.maps, cfg, PostprocessOptions()).detections
    assert found.count_by_class() == {"CAR": 1, "TRUCK": 0, "PEDESTRIAN": 1}


@pytest.mark.parametrize("decoder", [decode_autoware, decode_mmdet3d])
def test_sorted_by_score_then_by_cell(decoder: Any) -> None:
    cfg = config()
    head = Head(cfg)
    for column, value in [(30, 1.0), (31, 2.0), (32, 1.0), (33, 3.0)]:
        head.put(16, column, [value, OFF, OFF])
    detections = decoder(head.maps, cfg, PostprocessOptions()).detections
    columns = [round((x + 64) / 2 - 0.25) for x in detections.centers[:, 0]]
    assert columns == [33, 31, 30, 32]


@pytest.mark.parametrize("decoder", [decode_autoware, decode_mmdet3d])
def test_non_finite_boxes_are_dropped_and_counted(decoder: Any) -> None:
    cfg = config()
    head = Head(cfg).put(10, 40, [3, OFF, OFF]).put(10, 42, [3, OFF, OFF], size=(1e200, 1, 1))
    head.put(10, 44, [3, OFF, OFF]).outputs["height"][0, 0, 10, 44] = np.nan
    decoded = decoder(head.maps, cfg, PostprocessOptions())
    assert (len(decoded.detections), decoded.non_finite) == (1, 2)


@settings(deadline=None)
@given(st.one_of(st.floats(0, 1, width=32), st.integers(0, 400).map(lambda k: float(1 - k * F(2**-24)))))
def test_the_logit_floor_loses_no_cell(threshold: float) -> None:
    logits = np.linspace(-20, 40, 20001, dtype=F)
    scores = (1 / (1 + np.exp(-logits.astype(float)))).astype(F)
    assert not (scores[logits < logit_floor(threshold)] >= F(threshold)).any()


def test_mmdet3d_keeps_the_order_of_cells_among_saturated_scores() -> None:
    cfg = config()
    head = Head(cfg).put(3, 3, [18.0, OFF, OFF])
    head.outputs["heatmap"][0, 0, 4:8] = 25.0
    found = decode_mmdet3d(head.maps, cfg, PostprocessOptions(mmdet3d_pre_max=10)).detections
    assert len(found) == 10
    np.testing.assert_allclose(found.centers[0, :2], [(3 + 0.25) * 2 - 64, (3 + 0.5) * 2 - 32])


def test_autoware_equals_the_definition_on_random_maps() -> None:
    cfg = config()
    rng = np.random.default_rng(0)
    head = Head(cfg)
    for name, value in head.outputs.items():
        value[:] = rng.normal(-1 if name == "heatmap" else 0, 1, value.shape).astype(F)
    options = PostprocessOptions(
        distance_bin_upper_limits=(10.0, 30.0, 55.0), min_confidence_scores={"TRUCK": (0.2, 0.4, 0.6)}
    )
    o = {name: value[0].astype(float) for name, value in head.outputs.items()}
    scores = 1 / (1 + np.exp(-o["heatmap"]))
    rows = []
    for y in range(cfg.output_size[1]):
        for x in range(cfg.output_size[0]):
            label = int(scores[:, y, x].argmax())
            cx, cy = (x + o["reg"][0, y, x]) * 2 - 64, (y + o["reg"][1, y, x]) * 2 - 32
            place = np.searchsorted(options.distance_bin_upper_limits, np.hypot(cx, cy), side="right")
            if place == 3:
                continue
            name = cfg.class_names[label]
            limit = options.min_confidence_scores.get(name, (0.35,) * 3)[place]
            norm = np.hypot(*o["rot"][:, y, x])
            if scores[label, y, x] >= limit and norm >= options.yaw_norm_thresholds[name]:
                rows.append((scores[label, y, x], label, cx, cy))
    rows.sort(key=lambda row: -row[0])
    found = decode_autoware(head.maps, cfg, options).detections
    assert len(found) == len(rows) > 100
    np.testing.assert_array_equal(found.labels, [row[1] for row in rows])
    np.testing.assert_allclose(found.centers[:, :2], [row[2:] for row in rows], atol=1e-5)


def test_mmdet3d_takes_the_best_of_all_classes_and_cells() -> None:
    cfg = config()
    rng = np.random.default_rng(0)
    head = Head(cfg)
    head.outputs["heatmap"][:] = rng.normal(-3, 1, head.outputs["heatmap"].shape).astype(F)
    head.put(5, 5, [2.0, 1.9, OFF])
    options = PostprocessOptions(mmdet3d_pre_max=50, mmdet3d_score_threshold=0.2)
    found = decode_mmdet3d(head.maps, cfg, options).detections
    scores = np.sort((1 / (1 + np.exp(-head.outputs["heatmap"].astype(float)))).ravel())[::-1]
    expected = scores[:50][scores[:50] > 0.2]
    np.testing.assert_allclose(found.scores, expected, rtol=1e-6)
    assert found.labels[:2].tolist() == [0, 1]
    np.testing.assert_array_equal(found.centers[0], found.centers[1])


def test_outputs_of_another_model_are_refused_with_all_problems() -> None:
    cfg = config()
    outputs = dict(Head(cfg).outputs)
    outputs["dim"] = outputs["dim"][:, :2]
    del outputs["vel"]
    with pytest.raises(TensorMismatchError) as caught:
        HeadMaps.from_outputs(cfg, outputs)
    assert len(caught.value.problems) == 2
