"""The kernels of pre-processing on an emulated GPU: every bit is that of the CPU implementation."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cuda_emulation import EmulatedContext
from device_frames import (
    CHANNELS,
    KINDS,
    LAYOUTS,
    WITH_INTENSITY,
    F,
    VoxelizerPair,
    laid_out,
    past_sweeps,
    points_of,
    random_frame,
    small_config,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from random_clouds import random_points

from awml_deploy_core.errors import ConfigError, PointCloudError
from awml_deploy_core.points import PointCloudFrame, PointColumns, Sweep
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.device.constants import check_dtype, decoration_warps
from awml_extractors.datasets.kitti import read_kitti

MOST_POINTS = 2000
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "C = 9": (CHANNELS[9], {}),
    "C = 10, in rounds, float16, padded": (
        {**CHANNELS[10], "point_order": "interleaved", "max_points_per_voxel": 8},
        {"dtype": np.float16, "min_rows": 20, "max_voxels": 15},
    ),
    "C = 11, float16": (
        {**CHANNELS[11], "max_points_per_voxel": 32, "intensity_scale": 1 / 255, "max_voxels": 200},
        {"dtype": np.float16},
    ),
    "C = 11, in rounds, more points than a warp": (
        {**CHANNELS[11], "point_order": "interleaved", "max_points_per_voxel": 70, "max_voxels": 30},
        {"min_rows": 30},
    ),
    "no time": ({"point_features": ("x", "y", "z", "intensity"), "max_points_per_voxel": 5}, {}),
}


@functools.cache
def pair(name: str, seed: int) -> VoxelizerPair:
    """One for all examples, so that each meets what the one before it left."""
    changes, options = CASES[name]
    context = EmulatedContext(seed)
    return VoxelizerPair(
        context.as_context(),
        small_config(**changes),
        context.load,
        max_points=MOST_POINTS,
        max_sweeps=5,
        **options,
    )


def check(name: str, seed: int, frame: PointCloudFrame) -> None:
    both = pair(name, seed)
    both.assert_equal(frame)
    context: Any = both.context
    context.check_guards()


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", CASES)
@settings(max_examples=40, deadline=None)
@given(frame_seed=st.integers(0, 2**32 - 1))
def test_any_frame(name: str, seed: int, frame_seed: int) -> None:
    check(name, seed, random_frame(frame_seed, pair(name, seed).config, MOST_POINTS))


coordinate = st.one_of(
    st.floats(-4, 4, width=32),
    st.sampled_from([F(v) for v in (-3.2, 3.2, -1.6, 1.6, -2, 2, "nan", "inf", "-inf", "-0.0")]),
    st.integers(-16, 16).map(lambda k: F(k) * F(0.2)),
)
clouds = st.lists(st.tuples(coordinate, coordinate, coordinate, st.floats(0, 255, width=32)), max_size=60)


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=40, deadline=None)
@given(raw=st.lists(clouds, max_size=4))
def test_any_coordinates(name: str, raw: Any) -> None:
    columns = [PointColumns.from_array(np.array(cloud, F).reshape(-1, 4)) for cloud in raw]
    check(name, 1, past_sweeps(columns) if columns else PointCloudFrame(()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CASES)
def test_many_points_of_a_kind(name: str, kind: str) -> None:
    points = points_of(kind, np.random.default_rng(0), MOST_POINTS, pair(name, 1).config)
    check(name, 1, PointCloudFrame.single(PointColumns.from_array(points)))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout(layout: str) -> None:
    name = "C = 11, float16"
    points = points_of("anywhere", np.random.default_rng(0), 300, pair(name, 0).config)
    check(name, 0, PointCloudFrame.single(laid_out(points, layout)))


@pytest.mark.parametrize(
    "dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", ">u2", ">i8"]
)
def test_any_type_of_intensity(dtype: str) -> None:
    rng, size = np.random.default_rng(0), np.dtype(dtype).itemsize
    record = np.zeros(200, np.dtype([("x", "f4"), ("y", "f4"), ("z", "f4"), ("intensity", dtype)]))
    for name in "xyz":
        record[name] = rng.uniform(-1, 1, 200)
    record["intensity"] = rng.integers(0, 256, (200, size), np.uint8).view(np.dtype(dtype))[:, 0]
    columns = PointColumns(*(record[name] for name in ("x", "y", "z", "intensity")))
    check("no time", 0, PointCloudFrame.single(columns))


@pytest.mark.parametrize(("channels", "dtype"), [(9, "float16"), (10, "float32"), (11, "float16")])
def test_the_size_of_autoware(channels: int, dtype: str) -> None:
    context = EmulatedContext(7)
    config = CenterPointConfig.model_validate({**CHANNELS[channels], "max_voxels": 2000})
    sizes: dict[str, Any] = {"max_points": 30_000, "min_rows": 2000}
    both = VoxelizerPair(context.as_context(), config, context.load, dtype=dtype, **sizes)
    for seed in range(3):
        clouds = [PointColumns.from_array(random_points(6000 - 1000 * seed, seed + k)) for k in (0, 10)]
        both.assert_equal(past_sweeps(clouds))
    context.check_guards()


def test_a_real_cloud(assets: Path) -> None:
    context = EmulatedContext(3)
    config = CenterPointConfig.model_validate(CHANNELS[11])
    both = VoxelizerPair(context.as_context(), config, context.load, max_points=200_000, dtype="float16")
    cloud = read_kitti(assets / "kitti" / "velodyne" / "000008.bin")
    both.assert_equal(PointCloudFrame.single(cloud))


def test_what_it_takes_no_part_of_is_refused_and_leaves_it_usable() -> None:
    both = pair("C = 11, float16", 0)
    xyz = np.zeros((2, 3), F)
    bad = {
        "no intensity": (Sweep(PointColumns(*xyz.T)),),
        "not numeric": (Sweep(PointColumns(np.array(["a", "b"]), *xyz.T[:2], xyz[:, 0])),),
        "transform is invalid": (Sweep(PointColumns.from_array(np.zeros((2, 4), F)), 0.0, np.eye(3)),),
        "time lag": (Sweep(PointColumns.from_array(np.zeros((2, 4), F)), float("nan")),),
        "too many points": (Sweep(PointColumns.from_array(np.zeros((MOST_POINTS + 1, 4), F))),),
        "too many sweeps": tuple(Sweep(PointColumns.from_array(np.zeros((1, 4), F))) for _ in range(6)),
    }
    for problem, sweeps in bad.items():
        with pytest.raises(PointCloudError, match=problem):
            both.device.upload(0, PointCloudFrame(sweeps))
    check("C = 11, float16", 0, PointCloudFrame.single(PointColumns.from_array(np.zeros((1, 4), F))))


def test_models_beyond_it_are_refused() -> None:
    assert WITH_INTENSITY[3] == "intensity"
    with pytest.raises(ConfigError, match="at most 1365"):
        decoration_warps(small_config(max_points_per_voxel=2000))
    with pytest.raises(ConfigError, match="float32 or float16"):
        check_dtype(np.int8)
