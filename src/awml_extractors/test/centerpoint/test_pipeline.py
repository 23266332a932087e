"""The whole CPU pipeline: with sessions made here, and with a real model that is not ours."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from awml_deploy_core.components import ComponentSpec, DynamicAxis
from awml_deploy_core.device import CPU, DeviceSpec
from awml_deploy_core.errors import ConfigError, ParameterError, PointCloudError
from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_deploy_core.runtime.registry import load_backend
from awml_deploy_core.runtime.session import SessionOptions, SessionSource, check_inputs
from awml_extractors.centerpoint.config import CenterPointConfig, HeadConvention
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
    assert tuple(stage.name for stage in result.latencies.stages) == STAGES
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


@pytest.mark.parametrize(
    "options",
    [
        {"nonsense": 1},
        {"iou_nms_threshold": 2},
        {"min_confidence_scores": {"TANK": (0.1, 0.1, 0.1, 0.1)}},
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


KITTI = CenterPointConfig(
    class_names=("CAR", "PEDESTRIAN", "BICYCLE"),
    point_features=("x", "y", "z", "intensity"),
    intensity_scale=1 / 255,
    point_cloud_range=(0.0, -39.68, -3.0, 69.12, 39.68, 1.0),
    voxel_size=(0.32, 0.32, 4.0),
    max_voxels=12000,
    neck_strides=(0.5, 1.0, 2.0),
    head_convention=HeadConvention(dim_order="wlh", rot_encoding="sin_cos"),
)


def kitti_points_in_image(assets: Path, name: str) -> PointCloudFrame:
    """The points that the camera sees, with reflectance brought to 0-255."""
    points = np.fromfile(assets / "kitti" / "velodyne" / f"{name}.bin", np.float32).reshape(-1, 4)
    lines = (assets / "kitti" / "calib" / f"{name}.txt").read_text().splitlines()
    calib = {line.split(":")[0]: np.array(line.split(":")[1].split(), float) for line in lines if line}
    rectify, to_camera = np.eye(4), np.eye(4)
    rectify[:3, :3] = calib["R0_rect"].reshape(3, 3)
    to_camera[:3] = calib["Tr_velo_to_cam"].reshape(3, 4)
    projection = calib["P2"].reshape(3, 4) @ rectify @ to_camera
    u, v, depth = projection @ np.column_stack([points[:, :3], np.ones(len(points))]).T
    seen = (depth > 0) & (u >= 0) & (u < 1242 * depth) & (v >= 0) & (v < 375 * depth)
    points = points[seen]
    points[:, 3] *= 255
    return PointCloudFrame.single(PointColumns.from_array(points))


@pytest.fixture(scope="module")
def kitti_pipeline(assets: Path) -> Any:
    pytest.importorskip("onnxruntime")
    backend = load_backend("onnxruntime")
    folder = assets / "centerpoint_kitti_small"
    sessions = {
        spec.name: backend.open_session(
            SessionSource(spec, folder / spec.onnx_file), CPU, SessionOptions(num_threads=1)
        )
        for spec in component_specs(KITTI)
    }
    with CenterPointPipeline(KITTI, sessions, {}) as opened:
        yield opened


@pytest.mark.parametrize("decoder", ["autoware", "mmdet3d"])
@pytest.mark.parametrize(
    ("name", "score", "x", "y", "yaw"),
    [
        ("000008", 0.86, 8.1, 1.3, 2.67),
        ("000004", 0.84, 38.6, 15.7, 0.0),
        ("000024", 0.78, 38.7, 8.1, 0.30),
    ],
)
def test_a_foreign_model_finds_the_cars_of_real_sweeps(
    assets: Path,
    kitti_pipeline: CenterPointPipeline,
    decoder: str,
    name: str,
    score: float,
    x: float,
    y: float,
    yaw: float,
) -> None:
    """``yaw`` is the label's; the model does not know front from back."""
    subject = kitti_pipeline.with_options({"decoder": decoder})
    sample = kitti_points_in_image(assets, name)
    best = subject.infer(sample).output.to_records()[0]
    assert best["class"] == "CAR"
    assert best["score"] == pytest.approx(score, abs=0.01)
    assert best["center"][:2] == pytest.approx([x, y], abs=0.06)
    length, width, height = best["size"]
    assert 3 < length < 5
    assert 1.3 < width < 2
    assert 1.3 < height < 2
    assert abs((best["yaw"] - yaw + np.pi / 2) % np.pi - np.pi / 2) < 0.5
    one, two = subject.infer(sample).output, subject.infer(sample).output
    for field in ("centers", "sizes", "yaws", "velocities", "scores", "labels"):
        np.testing.assert_array_equal(getattr(one, field), getattr(two, field))
