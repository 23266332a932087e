from __future__ import annotations

import numpy as np
import pytest
import torch
from training_scenes import TINY, TINY_CONFIG, random_batch

from awml_deploy_core.points import PointCloudFrame, PointColumns, Sweep
from awml_deploy_lab.training.network import BatchNetwork, new_model
from awml_deploy_lab.training.voxelize import BatchVoxelizer
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.pillars import Voxelizer

CPU = torch.device("cpu")
CONFIGS = {
    9: TINY_CONFIG,
    "interleaved": CenterPointConfig.model_validate({**TINY, "point_order": "interleaved"}),
    10: CenterPointConfig.model_validate({**TINY, "center_offset_dims": 3}),
    11: CenterPointConfig.model_validate(
        {
            **TINY,
            "center_offset_dims": 3,
            "point_features": ("x", "y", "z", "intensity", "time_lag"),
            "intensity_scale": 0.25,
        }
    ),
}


def frame_of(batch, frame):
    points = batch.points[batch.point_frame == frame].numpy()
    sweeps = [
        Sweep(PointColumns.from_array(points[points[:, 4] == lag]), float(lag))
        for lag in np.unique(points[:, 4])
    ]
    return PointCloudFrame(tuple(sweeps))


@pytest.mark.parametrize("name", CONFIGS)
def test_batches_have_the_pillars_of_every_frame(name):
    config = CONFIGS[name]
    channels = config.num_encoder_features
    nx, ny = config.grid_size
    batch = random_batch(np.random.default_rng(channels), 3, clutter=3000)
    batch.points[5, 0] = torch.nan
    batch.points[6, 2] = torch.inf
    pillars = BatchVoxelizer(config, CPU).voxelize(batch)
    assert pillars.features.shape == (len(pillars.cells), config.max_points_per_voxel, channels)
    assert pillars.num_points.max() == config.max_points_per_voxel
    for frame in range(batch.size):
        expected = Voxelizer(config).voxelize(frame_of(batch, frame))
        assert expected.counts.points_truncated > 0
        cells = (frame * ny + expected.coordinates[:, 0].astype(np.int64)) * nx + expected.coordinates[:, 1]
        order = np.argsort(cells)
        mine = pillars.cells // (nx * ny) == frame
        np.testing.assert_array_equal(pillars.cells[mine], cells[order])
        np.testing.assert_array_equal(pillars.num_points[mine], expected.num_points[order])
        np.testing.assert_allclose(pillars.features[mine], expected.features[order], rtol=0, atol=4e-6)


def test_points_on_the_edges_of_the_range_fall_where_the_contract_says():
    config = CONFIGS[9]
    x0, _, z0, x1, _, z1 = np.array(config.point_cloud_range, np.float32)
    edge = [x0, np.nextafter(x0, np.float32(-99)), x1, np.nextafter(x1, np.float32(0)), np.float32(0.4)]
    heights = [z0, z1, np.nextafter(z1, np.float32(0))]
    xyz = np.array([(x, y, z) for x in edge for y in edge for z in heights], np.float32)
    points = np.column_stack([xyz, np.zeros((len(xyz), 2), np.float32)])
    batch = random_batch(np.random.default_rng(0), 1)
    batch = type(batch)(
        torch.from_numpy(points), torch.zeros(len(points), dtype=torch.int64), batch.boxes, batch.labels,
        batch.box_frame, batch.num_points, 1,
    )  # fmt: skip
    pillars = BatchVoxelizer(config, CPU).voxelize(batch)
    expected = Voxelizer(config).voxelize(frame_of(batch, 0))
    cells = expected.coordinates[:, 0].astype(np.int64) * config.grid_size[0] + expected.coordinates[:, 1]
    np.testing.assert_array_equal(pillars.cells, np.sort(cells))


def test_the_network_gives_every_frame_what_the_model_gives_it_alone():
    model = new_model(TINY_CONFIG, 0).eval()
    batch = random_batch(np.random.default_rng(3), 2)
    with torch.no_grad():
        outputs = BatchNetwork(model)(BatchVoxelizer(TINY_CONFIG, CPU).voxelize(batch))
        for frame in range(2):
            pillars = Voxelizer(TINY_CONFIG).voxelize(frame_of(batch, frame))
            cells = pillars.coordinates.astype(np.int64)
            index = torch.from_numpy(cells[:, 0] * TINY_CONFIG.grid_size[0] + cells[:, 1])
            alone = model(torch.from_numpy(pillars.features), index)
            for name, value in zip(TINY_CONFIG.head_outputs, alone, strict=True):
                torch.testing.assert_close(outputs[name][frame], value[0], rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_model_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    first, second, other = new_model(TINY_CONFIG, 1), new_model(TINY_CONFIG, 1), new_model(TINY_CONFIG, 2)
    torch.testing.assert_close(first.state_dict(), second.state_dict(), rtol=0, atol=0)
    name = "pts_backbone.blocks.0.0.weight"
    assert not torch.equal(first.state_dict()[name], other.state_dict()[name])
    assert torch.equal(before, torch.get_rng_state())
