"""The whole CPU pipeline with a real model that is not ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from awml_deploy_core.device import CPU
from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_deploy_core.runtime.registry import load_backend
from awml_deploy_core.runtime.session import SessionOptions, SessionSource
from awml_extractors.centerpoint.config import CenterPointConfig, HeadConvention
from awml_extractors.centerpoint.pipeline import CenterPointPipeline
from awml_extractors.centerpoint.specs import component_specs

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
