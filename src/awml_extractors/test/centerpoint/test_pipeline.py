"""The whole CPU pipeline with sessions made here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from awml_deploy_core.components import ComponentSpec, DynamicAxis
from awml_deploy_core.device import CPU, DeviceSpec
from awml_deploy_core.errors import ConfigError, ParameterError, PointCloudError
from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_deploy_core.runtime.session import check_inputs
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.pipeline import STAGES, CenterPointPipeline
from awml_extractors.centerpoint.specs import BACKBONE_NECK_HEAD, VOXEL_ENCODER, component_specs

CONFIG = CenterPointConfig(
    class_names=("CAR", "PEDESTRIAN"),
    point_cloud_range=(0.0, 0.0, -2.0, 16.0, 8.0, 2.0),
    voxel_size=(1.0, 1.0, 4.0),
    max_voxels=40,
    pfn_channels=(4, 4),
)
Run = Callable[[Mapping[str, Any]], dict[str, Any]]


class FakeSession:
    """A session whose component is a function."""

    backend = "fake"

    def __init__(self, spec: ComponentSpec, run: Run) -> None:
        self.spec = spec
        self.calls: list[tuple[int, ...]] = []
        self.closed = False
        self._run = run

    @property
    def device(self) -> DeviceSpec:
        return CPU

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        check_inputs(self.spec, inputs)
        (value,) = inputs.values()
        self.calls.append(value.shape)
        return self._run(inputs)

    def close(self) -> None:
        self.closed = True


def encode(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Number of points of a pillar in every channel; 100 in padding rows."""
    (features,) = inputs.values()
    count = (features[:, :, 3:] != 0).any(axis=2).sum(axis=1) + (features[:, :, 0] != 0).sum(axis=1)
    value = np.where(count > 0, (features[:, :, 0] != 0).sum(axis=1), 100).astype(np.float32)
    return {"pillar_features": np.repeat(value[:, None, None], 4, axis=2)}


def head(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """A car in every cell of the canvas with points, more certain the more there are."""
    (canvas,) = inputs.values()
    zeros = np.zeros((1, 1, 8, 16), np.float32)
    heatmap = np.where(canvas[:, :1] > 0, canvas[:, :1], -20.0)
    return {
        "heatmap": np.concatenate([heatmap, zeros - 20], axis=1).astype(np.float32),
        "reg": np.concatenate([zeros + 0.5] * 2, axis=1),
        "height": zeros,
        "dim": np.concatenate([zeros - 1.0] * 3, axis=1),
        "rot": np.concatenate([zeros - 1.0, zeros], axis=1),
        "vel": np.concatenate([zeros + 1.0, zeros], axis=1),
    }


def pipeline(config: CenterPointConfig = CONFIG, **options: Any) -> CenterPointPipeline:
    encoder, backbone = component_specs(config)
    sessions = {
        VOXEL_ENCODER: FakeSession(encoder, encode),
        BACKBONE_NECK_HEAD: FakeSession(backbone, head),
    }
    return CenterPointPipeline(config, sessions, options)


def frame(*points: tuple[float, float, float]) -> PointCloudFrame:
    return PointCloudFrame.single(PointColumns.from_array(np.array(points, np.float32).reshape(-1, 3)))


TWO_CELLS = frame((2.2, 3.1, 0), (2.7, 3.9, 0.5), (9.5, 6.5, 1), (50, 0, 0), (np.nan, 0, 0))


def test_points_become_boxes_with_stages_and_counts() -> None:
    result = pipeline().infer(TWO_CELLS)
    np.testing.assert_array_equal(result.output.centers, [[2.5, 3.5, 0], [9.5, 6.5, 0]])
    assert result.output.scores.tolist() == pytest.approx([1 / (1 + np.exp(-2)), 1 / (1 + np.exp(-1))])
    assert tuple(stage.name for stage in result.latencies.stages) == STAGES
    assert result.counts == {
        "points_in": 5,
        "points_finite": 4,
        "points_in_range": 3,
        "points_used": 3,
        "points_truncated": 0,
        "points_dropped": 0,
        "pillars": 2,
        "pillars_dropped": 0,
        "boxes_decoded": 2,
        "boxes_non_finite": 0,
        "boxes": 2,
    }


def test_a_frame_does_not_depend_on_the_one_before() -> None:
    reused = pipeline()
    for sample in (TWO_CELLS, frame((9.5, 6.5, 1)), frame(), TWO_CELLS):
        one, fresh = reused.infer(sample), pipeline().infer(sample)
        np.testing.assert_array_equal(one.output.centers, fresh.output.centers)
        np.testing.assert_array_equal(one.output.scores, fresh.output.scores)
        assert one.counts == fresh.counts


@pytest.mark.parametrize("sample", [frame(), frame((99, 0, 0)), PointCloudFrame(())])
def test_nothing_in_range_gives_an_empty_result_without_running_the_sessions(
    sample: PointCloudFrame,
) -> None:
    subject = pipeline()
    result = subject.infer(sample)
    assert len(result.output) == 0
    assert tuple(stage.name for stage in result.latencies.stages) == STAGES[:1]
    assert result.counts["boxes"] == 0
    assert [session.calls for session in subject.sessions] == [[], []]


def test_an_encoder_of_fixed_size_gets_zero_padding_which_is_not_scattered() -> None:
    encoder, backbone = component_specs(CONFIG)
    tensor = encoder.inputs[0]
    axis = DynamicAxis("num_voxels", 30, 30, 30)
    fixed = replace(encoder, inputs=(replace(tensor, shape=(axis, *tensor.shape[1:])),))
    sessions = {VOXEL_ENCODER: FakeSession(fixed, encode), BACKBONE_NECK_HEAD: FakeSession(backbone, head)}
    subject = CenterPointPipeline(CONFIG, sessions, {})
    full = frame(*[(x + 0.5, y + 0.5, 0) for y in range(8) for x in range(16)])
    assert subject.infer(full).counts["pillars_dropped"] == 128 - 30
    result = subject.infer(TWO_CELLS)
    assert sessions[VOXEL_ENCODER].calls == [(30, 32, 9), (30, 32, 9)]
    np.testing.assert_array_equal(result.output.centers, pipeline().infer(TWO_CELLS).output.centers)


def test_trace_keeps_every_components_tensors() -> None:
    _, tap = pipeline().trace(TWO_CELLS)
    assert tap.inputs[VOXEL_ENCODER]["input_features"].shape == (2, 32, 9)
    assert set(tap.outputs[BACKBONE_NECK_HEAD]) == set(CONFIG.head_outputs)


def test_options_change_without_reopening_sessions() -> None:
    subject = pipeline()
    stricter = subject.with_options({"default_score_threshold": 0.8})
    both = stricter.with_options({"decoder": "mmdet3d"})
    assert stricter.sessions == both.sessions == subject.sessions
    assert [len(p.infer(TWO_CELLS).output) for p in (subject, stricter, both)] == [2, 1, 2]
    assert both.options.default_score_threshold == 0.8


AUTOWARE_CLASSES = (*CONFIG.class_names, "TRUCK", "BUS", "BICYCLE")


def large_cars(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """As ``head``, with five classes and boxes of 15 x 2.5 m."""
    outputs = head(inputs)
    outputs["heatmap"] = np.pad(outputs["heatmap"], ((0, 0), (0, 3), (0, 0), (0, 0)), constant_values=-20)
    outputs["dim"][0] = np.log([2.5, 15.0, 3.0])[:, None, None]
    return outputs


def remapping(**options: Any) -> CenterPointPipeline:
    config = CONFIG.model_validate(
        {**CONFIG.model_dump(), "class_names": AUTOWARE_CLASSES, "postprocess": {}}
    )
    encoder, backbone = component_specs(config)
    sessions = {
        VOXEL_ENCODER: FakeSession(encoder, encode),
        BACKBONE_NECK_HEAD: FakeSession(backbone, large_cars),
    }
    return CenterPointPipeline(config, sessions, options)


def classes(subject: CenterPointPipeline, sample: PointCloudFrame) -> list[str]:
    return [record["class"] for record in subject.infer(sample).output.to_records()]


def test_classes_change_with_the_footprint_as_on_the_vehicle() -> None:
    subject = remapping()
    assert classes(subject, frame((2.2, 3.1, 0))) == ["TRAILER"]
    assert classes(subject.with_options({"remap_classes": False}), frame((2.2, 3.1, 0))) == ["CAR"]
    mmdet3d = subject.with_options({"decoder": "mmdet3d"})
    assert classes(mmdet3d, frame((2.2, 3.1, 0))) == ["CAR"]
    assert classes(mmdet3d.with_options({"remap_classes": True}), frame((2.2, 3.1, 0))) == ["TRAILER"]
    own = [{"source": "CAR", "target": "BUS", "min_area": 30, "max_area": 40}]
    assert classes(subject.with_options({"class_remapper": own}), frame((2.2, 3.1, 0))) == ["BUS"]


@pytest.mark.parametrize("options", [{}, {"remap_classes": False}, {"decoder": "mmdet3d"}])
def test_class_names_are_the_same_in_every_frame(options: dict[str, Any]) -> None:
    subject = remapping(**options)
    expected = AUTOWARE_CLASSES if options else (*AUTOWARE_CLASSES, "TRAILER")
    for sample in (frame(), TWO_CELLS, frame((99, 0, 0)), frame((2.2, 3.1, 0))):
        assert subject.infer(sample).output.class_names == expected


def test_options_in_force_are_those_of_the_model_and_can_be_given_back() -> None:
    subject = remapping()
    values = subject.option_values()
    assert set(values["min_confidence_scores"]) == set(AUTOWARE_CLASSES)
    assert values["class_remapper"][0]["target"] == "TRUCK"
    assert subject.with_options(values).option_values() == values


@pytest.mark.parametrize(
    "options",
    [
        {"nonsense": 1},
        {"iou_nms_threshold": 2},
        {"min_confidence_scores": {"TANK": (0.1, 0.1, 0.1, 0.1)}},
        {"yaw_norm_thresholds": {"CRA": 0.9}},
        {"circle_nms_dist_threshold": float("inf")},
        {"distance_bin_upper_limits": (50.0, 20.0)},
    ],
)
def test_invalid_options_are_refused_and_change_nothing(options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        pipeline(**options)
    subject = pipeline()
    before = subject.options
    with pytest.raises(ParameterError):
        subject.with_options(options)
    assert subject.options == before


def test_a_missing_session_is_refused() -> None:
    encoder, _ = component_specs(CONFIG)
    with pytest.raises(ConfigError, match=BACKBONE_NECK_HEAD):
        CenterPointPipeline(CONFIG, {VOXEL_ENCODER: FakeSession(encoder, encode)}, {})


def test_a_bad_cloud_leaves_the_pipeline_usable() -> None:
    config = CONFIG.model_copy(update={"point_features": ("x", "y", "z", "intensity")})
    subject = pipeline(config)
    with pytest.raises(PointCloudError, match="intensity"):
        subject.infer(TWO_CELLS)
    with_intensity = PointCloudFrame.single(PointColumns.from_array(np.full((1, 4), 1.5, np.float32)))
    assert len(subject.infer(with_intensity).output) == 1


def test_the_vehicle_path_imports_neither_torch_nor_onnx() -> None:
    code = (
        "import sys, awml_extractors.centerpoint.pipeline\n"
        "print(sorted({'torch', 'onnx', 'matplotlib', 'rosbags'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_warm_up_runs_both_sessions_at_the_optimal_size() -> None:
    with pipeline() as subject:
        subject.warm_up()
        encoder, backbone = subject.sessions
        assert isinstance(encoder, FakeSession)
        assert isinstance(backbone, FakeSession)
        assert encoder.calls == [(20, 32, 9)]
        assert len(backbone.calls) == 1
    assert encoder.closed
    assert backbone.closed


def test_warm_up_compiles_what_moves_past_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[int] = []

    def note(x: Any, *others: Any) -> None:
        moved.append(len(x))

    monkeypatch.setattr("awml_extractors.centerpoint.pillar_kernels.transform_points", note)
    with pipeline() as subject:
        subject.warm_up()
    assert len(moved) == 1
