"""Pre-processing on a real GPU: every bit is that of the CPU implementation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device_frames import (
    CHANNELS,
    KINDS,
    F,
    VoxelizerPair,
    assert_same_bits,
    past_sweeps,
    points_of,
    random_frame,
    small_config,
)

from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_deploy_core.runtime.cuda import CudaContext, capture
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.device.scatter import DeviceScatter
from awml_extractors.centerpoint.scatter import PillarScatter
from awml_extractors.datasets.samples import open_samples

pytestmark = pytest.mark.slow

FRAMES = 1000
CAPACITY = 2_000_000
ROWS = 10_000
GRIDS: dict[str, dict[str, Any]] = {
    "480": {},
    "1020": {
        "point_cloud_range": (-122.4, -122.4, -3.0, 122.4, 122.4, 5.0),
        "voxel_size": (0.24, 0.24, 8.0),
        "max_voxels": 96_000,
        "neck_strides": (0.5, 1.0, 2.0),
    },
}
MODELS = [
    pytest.param(channels, dtype, order, id=f"C = {channels}, {dtype}, {order}")
    for channels, dtype, order in (
        (9, "float32", "sequential"),
        (9, "float16", "interleaved"),
        (10, "float16", "sequential"),
        (10, "float32", "interleaved"),
        (11, "float32", "sequential"),
        (11, "float16", "interleaved"),
    )
]


def model(channels: int, order: str, grid: str = "480") -> CenterPointConfig:
    return CenterPointConfig.model_validate({**GRIDS[grid], **CHANNELS[channels], "point_order": order})


@pytest.mark.parametrize(("channels", "dtype", "order"), MODELS)
def test_a_thousand_random_frames(gpu: CudaContext, channels: int, dtype: str, order: str) -> None:
    small = small_config(**CHANNELS[channels], point_order=order, max_points_per_voxel=40)
    for config, most, rows in ((small, 4000, 100), (model(channels, order), 60_000, 3000)):
        both = VoxelizerPair(gpu, config, max_points=most, dtype=dtype, max_voxels=rows, min_rows=rows)
        for seed in range(FRAMES // 2):
            both.assert_equal(random_frame(seed, config, most))


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("kind", KINDS)
def test_two_million_points(gpu: CudaContext, kind: str, grid: str) -> None:
    config = model(11, "interleaved" if kind == "anywhere" else "sequential", grid)
    both = VoxelizerPair(gpu, config, max_points=CAPACITY)
    points = points_of(kind, np.random.default_rng(0), CAPACITY, config)
    both.assert_equal(PointCloudFrame.single(PointColumns.from_array(points)))
    both.assert_equal(past_sweeps([PointColumns.from_array(points[k::3]) for k in range(3)]))


@pytest.mark.parametrize(
    "source",
    [
        "kitti/velodyne",
        "bag_kitti_raw",
        "nuscenes/n015-2018-07-24-11-22-45+0800__LIDAR_TOP__1532402927647951.pcd.bin",
        "pointcloud2_cdr/lidar.pcd",
    ],
)
@pytest.mark.parametrize(("channels", "dtype", "order"), MODELS)
def test_real_clouds(
    gpu: CudaContext, assets: Path, source: str, channels: int, dtype: str, order: str
) -> None:
    both = VoxelizerPair(gpu, model(channels, order), dtype=dtype)
    clouds = [sample.input.sweeps[0].columns for sample in open_samples(str(assets / source))]
    assert clouds
    for index in range(len(clouds)):
        both.assert_equal(past_sweeps(clouds[index : index + 3], index))


@pytest.mark.parametrize(("channels", "dtype", "order"), MODELS)
def test_one_graph_replays_for_every_frame_and_repeats_its_bits(
    gpu: CudaContext, channels: int, dtype: str, order: str
) -> None:
    config = model(channels, order)
    both = VoxelizerPair(gpu, config, max_points=400_000, dtype=dtype, max_voxels=ROWS, min_rows=ROWS)
    both.run(random_frame(0, config, 1000))
    graph = capture(gpu, gpu.stream, both.device.enqueue)
    for seed in range(20):
        frame = random_frame(seed, config, 300_000)
        results = []
        for _ in range(3):
            both.device.upload(gpu.stream, frame)
            graph.launch(gpu.stream)
            results.append(both.results())
        expected = both.cpu.voxelize(frame)
        for found in results:
            assert found["counts"] == expected.counts
            with np.errstate(over="ignore"):
                assert_same_bits(found["all_features"], expected.features.astype(dtype))
            np.testing.assert_array_equal(found["coordinates"], expected.coordinates)
    graph.close()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("grid", GRIDS)
def test_scatter(gpu: CudaContext, grid: str, dtype: str) -> None:
    config = model(9, "sequential", grid)
    both = VoxelizerPair(gpu, config, max_points=300_000, dtype=dtype)
    scatter, cpu = DeviceScatter(gpu, config, dtype=dtype), PillarScatter(config)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(config.max_voxels, 1, config.num_pillar_features)).astype(dtype)
    features = gpu.buffer(rows.shape, dtype)
    bound = scatter.bind(features, both.device.coordinates, both.device.pillars)
    for seed in range(8):
        found = both.run(random_frame(seed, config, 250_000))
        rows = np.roll(rows, 1, axis=0)
        gpu.upload(features.address, rows)
        bound.enqueue(gpu.stream)
        canvas = np.zeros(scatter.canvas.shape, dtype)
        gpu.download(canvas, scatter.canvas.address)
        gpu.synchronize()
        np.testing.assert_array_equal(canvas, cpu.scatter(rows.astype(F), found["coordinates"]))
