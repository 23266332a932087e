"""Known boxes come back, and every mistake of a decoder or a configuration is caught and named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from awml_deploy_core.device import CPU
from awml_deploy_core.verification import CheckResult, Status
from awml_deploy_core.verification.probing import Decoder, run_probes
from awml_extractors.centerpoint import decode, nms, pipeline
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.family import CenterPointFamily

FAMILY = CenterPointFamily()
SMALL = {"variant": "demo", "point_cloud_range": [-10.24, -5.12, -3.0, 5.12, 10.24, 5.0]}


def config_of(**changes: Any) -> CenterPointConfig:
    return FAMILY.parse_config({**SMALL, **changes})


def run(configured: CenterPointConfig, bundle: CenterPointConfig | None = None) -> list[CheckResult]:
    decoders = [Decoder("bundle", bundle or configured, CPU)]
    return list(run_probes(FAMILY, FAMILY.probes(configured), decoders))


def failures(checks: list[CheckResult]) -> str:
    return "\n".join(f"{c.name}: {c.message}" for c in checks if c.status is not Status.PASSED)


@pytest.mark.parametrize("variant", ["demo", "autoware_tiny", "awml_short_range"])
def test_known_boxes_come_back(variant: str) -> None:
    checks = run(FAMILY.parse_config({"variant": variant}))
    assert failures(checks) == ""
    assert len(checks) >= 8


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"head_convention": {"dim_order": "lwh", "rot_encoding": "sin_cos"}},
        {"has_variance": True},
        {"has_twist": False},
        {"class_names": ["CAR"]},
        {"point_features": ["x", "y", "z", "intensity", "time_lag"], "center_offset_dims": 3},
        {"intensity_scale": 0.00392, "point_features": ["x", "y", "z", "intensity"]},
        {"point_order": "sequential"},
        {"postprocess": {"circle_nms_dist_threshold": 0.0, "iou_nms_threshold": 0.3}},
    ],
)
def test_known_boxes_come_back_from_every_option(changes: dict[str, Any]) -> None:
    assert failures(run(config_of(**changes))) == ""


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"voxel_size": [0.64, 0.64, 8.0]}, "tensors of another form"),
        ({"class_names": ["CAR", "VAN", "BUS", "BICYCLE", "PEDESTRIAN"]}, "unknown classes"),
        ({"point_cloud_range": [-5.12, -5.12, -3.0, 10.24, 10.24, 5.0]}, "x is shifted by 5.12 m"),
        (
            {"class_names": ["CAR", "BUS", "TRUCK", "BICYCLE", "PEDESTRIAN"]},
            "classes changed: TRUCK became BUS",
        ),
        (
            {"head_convention": {"dim_order": "lwh", "rot_encoding": "neg_cos_neg_sin"}},
            "length and width are swapped",
        ),
        ({"head_convention": {"dim_order": "wlh", "rot_encoding": "sin_cos"}}, "the yaw is -yaw - pi/2"),
        ({"has_twist": False}, "without velocities"),
        ({"postprocess": {"circle_nms_dist_threshold": 0.25}}, "suppression, decoder autoware"),
        ({"postprocess": {"default_score_threshold": 0.5}}, "thresholds, decoder autoware"),
        ({"postprocess": {"iou_nms_threshold": 0.5}}, "suppression, decoder autoware"),
        ({"postprocess": {"mmdet3d_min_radius": 1.0}}, "suppression, decoder mmdet3d"),
        ({"postprocess": {"class_remapper": []}}, "class remapper"),
        ({"point_cloud_range": [-10.24, -5.12, -4.0, 5.12, 10.24, 4.0]}, "input of pts_voxel_encoder"),
        (
            {"point_cloud_range": [-10.24, -5.12, -3.0, 5.12, 10.24, 6.0], "voxel_size": [0.32, 0.32, 9.0]},
            "encoder",
        ),
        ({"max_points_per_voxel": 16}, "input of pts_voxel_encoder: input_features: shape"),
        ({"point_features": ["x", "y", "z", "intensity"]}, "input of pts_voxel_encoder: input_features"),
    ],
)
def test_a_bundle_of_another_configuration_is_caught(changes: dict[str, Any], expected: str) -> None:
    found = failures(run(config_of(), config_of(**changes)))
    assert expected in found


def test_another_intensity_scale_is_caught() -> None:
    features = {"point_features": ["x", "y", "z", "intensity", "time_lag"]}
    found = failures(run(config_of(**features), config_of(**features, intensity_scale=1 / 255)))
    assert "input of pts_voxel_encoder" in found


def twice(original: Callable[..., Any]) -> Callable[..., Any]:
    def boxes_at(maps: Any, config: Any, cells: Any, x: Any, y: Any, scores: Any, labels: Any) -> Any:
        return original(maps, config, cells, x, y, (1 / (1 + np.exp(-scores))).astype(np.float32), labels)

    return boxes_at


def swapped_axes(original: Callable[..., Any]) -> Callable[..., Any]:
    def boxes_at(maps: Any, config: Any, cells: Any, x: Any, y: Any, scores: Any, labels: Any) -> Any:
        return original(maps, config, cells, y, x, scores, labels)

    return boxes_at


@pytest.mark.parametrize(
    ("name", "replacement", "expected"),
    [
        ("boxes_at", twice(decode.boxes_at), "the sigmoid is applied twice"),
        ("boxes_at", swapped_axes(decode.boxes_at), "x and y are swapped"),
        ("decode_yaw", lambda a, b, _: np.arctan2(a, b), "the yaw is -yaw - pi/2"),
        ("decode_size", lambda dim, _: np.exp(dim), "length and width are swapped"),
        ("decode_size", lambda dim, _: dim[..., [1, 0, 2]], "sizes are logarithms"),
    ],
)
def test_a_mistake_of_the_decoder_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, replacement: Any, expected: str
) -> None:
    monkeypatch.setattr(decode, name, replacement)
    found = failures(run(config_of()))
    assert expected in found


def test_a_suppression_that_takes_the_square_for_the_distance_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = nms.circle_nms
    monkeypatch.setattr(nms, "circle_nms", lambda centers, squared, **_: original(centers, squared**0.5))
    assert "suppression, decoder autoware" in failures(run(config_of()))


def test_a_time_lag_of_the_other_sign_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    original = pipeline.Voxelizer.voxelize

    def voxelize(self: Any, frame: Any) -> Any:
        pillars = original(self, frame)
        pillars.features[..., 3] *= -1
        return pillars

    monkeypatch.setattr(pipeline.Voxelizer, "voxelize", voxelize)
    assert "points into pillars" in failures(run(config_of()))


def test_a_canvas_of_the_other_order_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    original = pipeline.PillarScatter.scatter
    monkeypatch.setattr(
        pipeline.PillarScatter,
        "scatter",
        lambda self, features, coordinates: original(self, features, coordinates[:, ::-1].copy()),
    )
    assert "input of pts_backbone_neck_head" in failures(run(config_of()))
