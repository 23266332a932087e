"""Folders in KITTI's layout and info files, with images that are made up."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CALIB = """P0: 7 0 6 0 0 7 1 0 0 0 1 0
P2: 100 0 32 50 0 100 24 10 0 0 1 0
R0_rect: 1 0 0 0 1 0 0 0 1
Tr_velo_to_cam: 0 -1 0 0.1 0 0 -1 -0.2 1 0 0 -0.3
"""
LIDAR_TO_CAMERA = np.array([[0, -1, 0, 0.1], [0, 0, -1, -0.2], [1, 0, 0, -0.3], [0, 0, 0, 1.0]])


def write_image(path: Path, width: int = 64, height: int = 48, seed: int = 0) -> None:
    """Smooth colours, so that resampling is well defined."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(path)


def write_kitti(folder: Path, count: int = 2) -> Path:
    for name in ("velodyne", "calib", "image_2"):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(count):
        points = rng.uniform([2, -8, -2, 0], [60, 8, 2, 1], (500, 4)).astype("<f4")
        (folder / "velodyne" / f"{index:06d}.bin").write_bytes(points.tobytes())
        (folder / "calib" / f"{index:06d}.txt").write_text(CALIB)
        write_image(folder / "image_2" / f"{index:06d}.png", seed=index)
    return folder


def camera_entry(**changes: Any) -> dict[str, Any]:
    return {
        "img_path": "CAM/a.png",
        "cam2img": [[100, 0, 32], [0, 100, 24], [0, 0, 1]],
        "lidar2cam": LIDAR_TO_CAMERA,
        "distortion_coefficients": [-0.1, 0.02, 0, 0, 0],
        **changes,
    }


def write_infos(path: Path, entries: list[dict[str, Any]]) -> Path:
    write_image(path.parent / "CAM" / "a.png")
    points = np.array([[10, 0, 0, 100, 0], [20, 1, 0, 50, 1]], "<f4")
    (path.parent / "lidar").mkdir(exist_ok=True)
    (path.parent / "lidar" / "a.pcd.bin").write_bytes(points.tobytes())
    path.write_bytes(pickle.dumps({"metainfo": {}, "data_list": entries}))
    return path


def calibration_infos(path: Path, **changes: Any) -> Path:
    """As AWML's calibration data set: one camera an entry."""
    lidar = {"lidar_path": "lidar/a.pcd.bin"}
    entry = {"frame_id": "CAM_FRONT", "image": camera_entry(**changes), "lidar_points": lidar}
    return write_infos(path, [entry])
