"""CPU pillars with decoration, against spconv's Point2VoxelCPU3d without and with decoration.

250,000 LiDAR-like points at grid 480, at most 32 points a pillar and 40,000 pillars: from the
columns of a message to the encoder's input. spconv only groups the points; the third task adds the
decoration that the encoder needs to it, with tensor operations as mmdet3d does, if torch is
installed. ``cold`` sweeps the caches before every task, as the network does between two frames.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measure
import numpy as np

from awml_deploy_core.points import PointCloudFrame, PointColumns
from awml_deploy_lab.simulation.points import lidar_like_points
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.pillars import Voxelizer

POINTS = 250_000
ROUNDS = 40


def run(clouds: dict[str, np.ndarray] | None = None, rounds: int = ROUNDS) -> dict[str, Any]:
    """Measure every cloud; milliseconds, ratios as peer over ours."""
    if clouds is None:
        sweep = lidar_like_points(POINTS)
        clouds = {"firing order": sweep, "shuffled": np.random.default_rng(0).permutation(sweep)}
    config = CenterPointConfig()
    cases = [
        measure_cloud(config, name, cloud, cold, rounds)
        for name, cloud in clouds.items()
        for cold in (False, True)
    ]
    skipped = (
        {} if _spconv(config) else {"spconv": "not installed: pip install -r benchmarks/requirements.txt"}
    )
    return {
        "benchmark": "pillars",
        "rounds": rounds,
        "machine": measure.machine(),
        "grid": config.grid_size,
        "cases": cases,
        "skipped": skipped,
    }


def measure_cloud(
    config: CenterPointConfig, name: str, cloud: np.ndarray, cold: bool, rounds: int
) -> dict[str, Any]:
    """Interleaved times of all available tasks on one cloud."""
    voxelizer = Voxelizer(config)
    frame = PointCloudFrame.single(PointColumns.from_array(cloud))
    tasks: dict[str, Callable[[], Any]] = {"ours": lambda: voxelizer.voxelize(frame)}
    ours = voxelizer.voxelize(frame)
    peers = _spconv(config)
    if peers:
        points = np.column_stack([cloud[:, :3], np.zeros(len(cloud), np.float32)]).astype(np.float32)
        for peer, task in peers.items():
            tasks[peer] = lambda task=task: task(points)  # type: ignore[misc]
        _same_pillars(ours.coordinates, peers["spconv"](points))
    times = measure.interleaved(tasks, rounds, cold=cold)
    return {
        "cloud": name,
        "caches": "cold" if cold else "warm",
        "counts": ours.counts.as_dict(),
        "ms": {
            task: {clock: measure.summary(v) for clock, v in clocks.items()}
            for task, clocks in times.items()
        },
        "ratio": {
            f"{peer} / ours": {
                clock: measure.ratio(times[peer][clock], times["ours"][clock]) for clock in ("wall", "cpu")
            }
            for peer in tasks
            if peer != "ours"
        },
    }


def _spconv(config: CenterPointConfig) -> dict[str, Callable[[np.ndarray], Any]]:
    try:
        from cumm import tensorview
        from spconv.utils import Point2VoxelCPU3d
    except ImportError:
        return {}
    generator = Point2VoxelCPU3d(
        list(config.voxel_size),
        list(config.point_cloud_range),
        config.num_raw_features,
        config.max_voxels,
        config.max_points_per_voxel,
    )
    tasks: dict[str, Callable[[np.ndarray], Any]] = {
        "spconv": lambda points: generator.point_to_voxel(tensorview.from_numpy(points))
    }
    try:
        from mmdet3d_style import decorate, spconv_voxelizer
    except ImportError:
        return tasks
    voxelize = spconv_voxelizer(config, config.num_raw_features)
    if voxelize is not None:
        tasks["spconv and torch decoration"] = lambda points: decorate(config, voxelize(points))
    return tasks


def _same_pillars(coordinates: np.ndarray, voxels: Any) -> None:
    theirs = voxels[1].numpy()[:, 1:]
    if not np.array_equal(coordinates, theirs):
        raise SystemExit(f"pillars differ: {len(coordinates)} ours, {len(theirs)} by spconv")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--cloud", type=Path, help="a KITTI-style .bin of float32 [N, 4] instead")
    options = parser.parse_args()
    clouds = None
    if options.cloud is not None:
        clouds = {options.cloud.name: np.fromfile(options.cloud, np.float32).reshape(-1, 4)}
    measure.write_json(run(clouds, options.rounds), options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
