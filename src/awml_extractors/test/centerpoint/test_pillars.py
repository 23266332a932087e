"""Pillars against a plain restatement of the definition, point by point."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awml_deploy_core.errors import PointCloudError
from awml_deploy_core.points import PointCloudFrame, PointColumns, Sweep
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.pillars import ROUNDS, Pillars, Voxelizer

F = np.float32


def config(**changes: Any) -> CenterPointConfig:
    defaults: dict[str, Any] = {
        "point_cloud_range": (-3.2, -1.6, -2.0, 3.2, 1.6, 2.0),
        "voxel_size": (0.4, 0.2, 4.0),
        "max_voxels": 12,
        "max_points_per_voxel": 3,
    }
    return CenterPointConfig.model_validate({**defaults, **changes})


def expected(points: Any, cfg: CenterPointConfig) -> tuple[Any, Any, Any]:
    """Features, coordinates and counts of [N, raw] float32 points, in scalar float32 arithmetic."""
    low, high = (np.array(cfg.point_cloud_range, F)[s] for s in (slice(0, 3), slice(3, 6)))
    voxel = np.array(cfg.voxel_size, F)
    pillars: dict[tuple[int, int], list[Any]] = {}
    for point in points:
        used = [v for v, name in zip(point, cfg.point_features, strict=True) if name != "time_lag"]
        if not np.isfinite(used).all() or not ((point[:3] >= low) & (point[:3] < high)).all():
            continue
        cell = [
            min(int((point[axis] - low[axis]) / voxel[axis]), cfg.grid_size[axis] - 1) for axis in (0, 1)
        ]
        pillars.setdefault((cell[1], cell[0]), []).append(point)
    kept = list(pillars)[: cfg.max_voxels]
    features = np.zeros((len(kept), cfg.max_points_per_voxel, cfg.num_encoder_features), F)
    for row, (y, x) in enumerate(kept):
        stored = pillars[(y, x)][: cfg.max_points_per_voxel]
        total = np.zeros(3, F)
        for point in stored:
            total = (total + point[:3]).astype(F)
        mean = total / F(len(stored))
        index = np.array([x, y, 0], F)
        center = ((index + F(0.5)) * voxel + low)[: cfg.center_offset_dims]
        for slot, point in enumerate(stored):
            offset = point[: cfg.center_offset_dims] - center
            features[row, slot] = np.concatenate([point, point[:3] - mean, offset])
    return features, np.array(kept, np.int32).reshape(-1, 2), [len(v) for v in pillars.values()]


def frame(points: Any, time_lag: float = 0.0) -> PointCloudFrame:
    return PointCloudFrame((Sweep(PointColumns.from_array(points), time_lag),))


def copy_of(pillars: Pillars) -> tuple[Any, Any, Any, Any]:
    arrays = pillars.features, pillars.coordinates, pillars.num_points
    return (*(array.copy() for array in arrays), pillars.counts)


coordinate = st.one_of(
    st.floats(-4, 4, width=32),
    st.sampled_from([F(-3.2), F(3.2), F(-1.6), F(1.6), F(-2), F(2), F("nan"), F("inf"), F("-inf")]),
    st.integers(-16, 16).map(lambda k: F(k) * F(0.2)),
)
clouds = st.lists(st.tuples(coordinate, coordinate, coordinate, st.floats(0, 255, width=32)), max_size=120)


@settings(max_examples=60, deadline=None)
@given(st.lists(clouds, min_size=1, max_size=3), st.sampled_from([9, 10, 11]))
def test_equals_the_definition_bit_for_bit_in_a_reused_voxelizer(frames: Any, channels: int) -> None:
    changes = {
        9: {},
        10: {"center_offset_dims": 3},
        11: {"center_offset_dims": 3, "point_features": ("x", "y", "z", "intensity", "time_lag")},
    }
    cfg = config(**changes[channels])
    assert cfg.num_encoder_features == channels
    voxelizer = Voxelizer(cfg)
    for raw in frames:
        cloud = np.array(raw, F).reshape(-1, 4)
        result = voxelizer.voxelize(frame(cloud, 0.1))
        lag = np.full(len(cloud), 0.1, F)
        columns = {"x": cloud[:, 0], "y": cloud[:, 1], "z": cloud[:, 2], "intensity": cloud[:, 3]}
        points = np.stack([{**columns, "time_lag": lag}[name] for name in cfg.point_features], axis=1)
        features, coordinates, sizes = expected(points, cfg)
        np.testing.assert_array_equal(result.features, features)
        np.testing.assert_array_equal(result.coordinates, coordinates)
        counts = result.counts
        assert counts.points_in == len(cloud)
        assert counts.points_finite == np.isfinite(cloud[:, :3]).all(axis=1).sum()
        assert counts.points_in_range == sum(sizes)
        assert counts.pillars == len(features)
        assert counts.pillars_dropped == len(sizes) - len(features)
        assert counts.points_dropped == sum(sizes[len(features) :])
        assert counts.points_used == sum(min(n, 3) for n in sizes[: len(features)])
        assert counts.points_truncated == sum(max(n - 3, 0) for n in sizes[: len(features)])
        assert result.num_points.tolist() == [min(n, 3) for n in sizes[: len(features)]]


@settings(max_examples=30, deadline=None)
@given(st.lists(clouds, min_size=1, max_size=3))
def test_interleaved_sweeps_take_turns(raw: Any) -> None:
    cfg = config(point_order="interleaved", max_points_per_voxel=4)
    sweeps = [np.array(cloud, F).reshape(-1, 4) for cloud in raw]
    lags = [F(0.1) * F(index) for index in range(len(sweeps))]
    frames = tuple(
        Sweep(PointColumns.from_array(cloud), float(lag)) for cloud, lag in zip(sweeps, lags, strict=True)
    )
    turns = [
        np.column_stack([cloud[turn::ROUNDS, :3], np.full(len(cloud[turn::ROUNDS]), lag, F)])
        for turn in range(ROUNDS)
        for cloud, lag in zip(sweeps, lags, strict=True)
    ]
    features, coordinates, _ = expected(np.concatenate(turns).astype(F), cfg)
    result = Voxelizer(cfg).voxelize(PointCloudFrame(frames))
    np.testing.assert_array_equal(result.features, features)
    np.testing.assert_array_equal(result.coordinates, coordinates)


def test_a_full_pillar_holds_past_sweeps_only_if_interleaved() -> None:
    cloud = np.full((200, 4), 0.1, F)
    frames = PointCloudFrame(
        (Sweep(PointColumns.from_array(cloud)), Sweep(PointColumns.from_array(cloud), 0.1))
    )
    lags = {}
    for order in ("sequential", "interleaved"):
        pillars = Voxelizer(config(point_order=order, max_points_per_voxel=32)).voxelize(frames)
        lags[order] = (pillars.features[0, :, 3] > 0).sum()
    assert lags["sequential"] == 0
    assert 8 <= lags["interleaved"] <= 16


def test_many_blocks_of_points() -> None:
    cloud = np.random.default_rng(0).uniform(-4, 4, (5000, 4)).astype(F)
    cfg = config(max_voxels=400, max_points_per_voxel=8)
    points = np.column_stack([cloud[:, :3], np.zeros(len(cloud), F)])
    result = Voxelizer(cfg).voxelize(frame(cloud))
    features, coordinates, _ = expected(points, cfg)
    np.testing.assert_array_equal(result.features, features)
    np.testing.assert_array_equal(result.coordinates, coordinates)


def test_first_points_win_and_pillars_come_in_order_of_appearance() -> None:
    cloud = np.array([[1, 0, 0], [-1, 0, 0], [1, 0, 0.1], [1, 0, 0.2], [1, 0, 0.3]], F)
    result = Voxelizer(config()).voxelize(frame(cloud))
    np.testing.assert_array_equal(result.features[0, :, 2], np.array([0, 0.1, 0.2], F))
    assert result.features[1, 0, 0] == -1
    assert result.counts.points_truncated == 1


def test_sweeps_are_moved_and_carry_their_time_lag() -> None:
    cfg = config()
    angle = 0.3
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, 3] = [0.5, -0.25, 0.125]
    rng = np.random.default_rng(0)
    now, past = (rng.uniform(-1.5, 1.5, (20, 3)).astype(F) for _ in range(2))
    sweeps = (
        Sweep(PointColumns.from_array(now)),
        Sweep(PointColumns.from_array(past), 0.1, matrix),
        Sweep(PointColumns.from_array(past), 0.2),
    )
    result = Voxelizer(cfg).voxelize(PointCloudFrame(sweeps))
    m = matrix.astype(F)
    x, y, z = past.T
    moved = np.stack([((row[0] * x + row[1] * y) + row[2] * z) + row[3] for row in m[:3]], axis=1)
    points = np.concatenate(
        [
            np.column_stack([xyz, np.full(len(xyz), lag, F)])
            for xyz, lag in ((now, 0), (moved, 0.1), (past, 0.2))
        ]
    )
    features, coordinates, _ = expected(points, cfg)
    np.testing.assert_array_equal(result.features, features)
    np.testing.assert_array_equal(result.coordinates, coordinates)


@pytest.mark.parametrize(
    "layout", ["packed", "unaligned", "float64", "big_endian", "read_only", "reversed"]
)
def test_any_layout_gives_the_same_bits(layout: str) -> None:
    cloud = np.random.default_rng(0).uniform(-3, 3, (700, 4)).astype(F)
    cfg = config(max_voxels=300, point_features=("x", "y", "z", "intensity"))
    reference = copy_of(Voxelizer(cfg).voxelize(frame(np.ascontiguousarray(cloud))))
    if layout == "unaligned":
        buffer = np.zeros((len(cloud), 26), np.uint8)
        buffer[:, 1:17] = cloud.view(np.uint8).reshape(-1, 16)
        data = buffer.tobytes()
        columns = [np.ndarray(len(cloud), F, data, 1 + 4 * k, (26,)) for k in range(4)]
        assert not columns[0].flags.aligned
    else:
        source: Any = {"float64": cloud.astype("f8"), "big_endian": cloud.astype(">f4")}.get(layout, cloud)
        if layout == "reversed":
            source = cloud[::-1].copy()[::-1]
        if layout == "read_only":
            source = np.frombuffer(cloud.tobytes(), F).reshape(-1, 4)
        columns = [source[:, k] for k in range(4)]
    result = Voxelizer(cfg).voxelize(PointCloudFrame.single(PointColumns(*columns)))
    np.testing.assert_array_equal(result.features, reference[0])
    np.testing.assert_array_equal(result.coordinates, reference[1])
    assert result.counts == reference[3]


def test_integer_intensity_is_scaled() -> None:
    xyz = np.zeros((2, 3), F)
    columns = PointColumns(*xyz.T, np.array([51, 255], np.uint8))
    cfg = config(point_features=("x", "y", "z", "time_lag", "intensity"), intensity_scale=1 / 255)
    result = Voxelizer(cfg).voxelize(PointCloudFrame((Sweep(columns, 0.5),)))
    np.testing.assert_allclose(result.features[0, :2, 3:5], [[0.5, 0.2], [0.5, 1.0]], rtol=1e-6)


def test_a_point_without_finite_intensity_is_dropped_only_where_it_is_used() -> None:
    cloud = np.array([[0, 0, 0, np.nan], [0, 0, 0, np.inf], [0, 0, 0, 7]], F)
    used = Voxelizer(config(point_features=("x", "y", "z", "intensity"))).voxelize(frame(cloud))
    assert (used.counts.points_finite, used.counts.points_used) == (1, 1)
    assert np.isfinite(used.features).all()
    unused = Voxelizer(config()).voxelize(frame(cloud))
    assert unused.counts.points_used == 3


def test_padding_rows_are_zero_after_a_fuller_frame() -> None:
    cloud = np.random.default_rng(0).uniform(-1.5, 1.5, (500, 3)).astype(F)
    voxelizer = Voxelizer(config(max_voxels=50), min_rows=60)
    assert voxelizer.voxelize(frame(cloud)).counts.pillars == 50
    result = voxelizer.voxelize(frame(cloud[:1]))
    assert result.features.shape[0] == 60
    assert len(result.coordinates) == 1
    assert not result.features[1:].any()
    assert not result.features[0, 1:].any()


def test_empty_frames() -> None:
    voxelizer = Voxelizer(config())
    for empty in (frame(np.zeros((0, 4), F)), PointCloudFrame(())):
        result = voxelizer.voxelize(empty)
        assert result.features.shape == (0, 3, 9)
        assert set(result.counts.as_dict().values()) == {0}


def bad_sweeps() -> dict[str, Sweep]:
    xyz = PointColumns.from_array(np.zeros((2, 3), F))
    text = PointColumns(np.array(["a", "b"]), xyz.y, xyz.z)
    return {
        "no intensity": Sweep(xyz),
        "not numeric": Sweep(text),
        "transform is invalid": Sweep(xyz, 0.0, np.eye(3)),
        "not finite": Sweep(xyz, float("nan")),
    }


@pytest.mark.parametrize("problem", list(bad_sweeps()))
def test_bad_input_is_one_typed_error_and_leaves_the_voxelizer_usable(problem: str) -> None:
    voxelizer = Voxelizer(config(point_features=("x", "y", "z", "intensity")))
    with pytest.raises(PointCloudError, match=problem):
        voxelizer.voxelize(PointCloudFrame((bad_sweeps()[problem],)))
    assert voxelizer.voxelize(frame(np.zeros((1, 4), F))).counts.points_used == 1
