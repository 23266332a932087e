"""Frames of every kind, and the same frame through the GPU's pre-processing and the CPU's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.pointcloud2_fields import POINT_XYZIRC, POINT_XYZIRCAEDT
from awml_deploy_core.points import PointCloudFrame, PointColumns, Sweep
from awml_deploy_core.runtime.cuda import CudaContext, DeviceBuffer, KernelModule, LoadModule
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.device.voxelizer import DeviceVoxelizer
from awml_extractors.centerpoint.pillars import Voxelizer

Points = npt.NDArray[np.float32]
F = np.float32
WITH_INTENSITY = ("x", "y", "z", "intensity", "time_lag")
CHANNELS: dict[int, dict[str, Any]] = {
    9: {},
    10: {"center_offset_dims": 3},
    11: {"center_offset_dims": 3, "point_features": WITH_INTENSITY},
}
"""Changes of a configuration by channels of the decorated features."""


def small_config(**changes: Any) -> CenterPointConfig:
    """Sixteen by sixteen cells, few pillars of few points."""
    defaults: dict[str, Any] = {
        "point_cloud_range": (-3.2, -1.6, -2.0, 3.2, 1.6, 2.0),
        "voxel_size": (0.4, 0.2, 4.0),
        "max_voxels": 12,
        "max_points_per_voxel": 3,
    }
    return CenterPointConfig.model_validate({**defaults, **changes})


def _anywhere(rng: np.random.Generator, count: int, low: Points, high: Points) -> Points:
    margin = (high - low) * F(0.1)
    return rng.uniform(low - margin, high + margin, (count, 3)).astype(F)


def _one_cell(rng: np.random.Generator, count: int, low: Points, high: Points) -> Points:
    middle = low + (high - low) * rng.uniform(0.1, 0.9, 3).astype(F)
    return (middle + rng.normal(0, 1e-3, (count, 3))).astype(F)


def _borders(rng: np.random.Generator, count: int, low: Points, high: Points) -> Points:
    steps = rng.integers(0, 17, (count, 3)).astype(F) / F(16)
    at = low + (high - low) * steps
    nearest = rng.integers(-1, 2, (count, 3))
    return np.where(nearest == 0, at, np.nextafter(at, at + nearest.astype(F)))


def _duplicates(rng: np.random.Generator, count: int, low: Points, high: Points) -> Points:
    return _anywhere(rng, 7, low, high)[rng.integers(0, 7, count)]


def _not_finite(rng: np.random.Generator, count: int, low: Points, high: Points) -> Points:
    points = _anywhere(rng, count, low, high)
    bad = rng.choice(np.array([np.nan, np.inf, -np.inf, 3e38, -0.0, 1e-42], F), points.shape)
    return np.where(rng.random(points.shape) < 0.2, bad, points)


def _clusters(rng: np.random.Generator, count: int, low: Points, high: Points) -> Points:
    centers = _anywhere(rng, 20, low, high)
    spread = rng.exponential(1.0, (count, 1)) * (high - low) * 0.02
    return (centers[rng.integers(0, 20, count)] + rng.normal(size=(count, 3)) * spread).astype(F)


KINDS: dict[str, Callable[[np.random.Generator, int, Points, Points], Points]] = {
    "anywhere": _anywhere,
    "one cell": _one_cell,
    "borders": _borders,
    "duplicates": _duplicates,
    "not finite": _not_finite,
    "clusters": _clusters,
}
LAYOUTS = (
    *("array", "irc", "aedt", "unaligned", "big endian", "float64", "apart", "int16", "reversed", "half"),
)


def points_of(kind: str, rng: np.random.Generator, count: int, config: CenterPointConfig) -> Points:
    """float32 [count, 4]: x, y, z, intensity, which is not finite for some points of one kind."""
    limits = np.array(config.point_cloud_range, F)
    points = np.empty((count, 4), F)
    points[:, :3] = KINDS[kind](rng, count, limits[:3], limits[3:])
    points[:, 3] = rng.uniform(0, 255, count)
    if kind == "not finite":
        points[rng.random(count) < 0.1, 3] = np.nan
    return points


def laid_out(points: Points, layout: str) -> PointColumns:
    """Columns in one of :data:`LAYOUTS`; some of them round the values."""
    count = len(points)
    if layout in ("irc", "aedt"):
        record = np.zeros(count, POINT_XYZIRC if layout == "irc" else POINT_XYZIRCAEDT)
        with np.errstate(invalid="ignore"):
            for index, name in enumerate(("x", "y", "z", "intensity")):
                record[name] = points[:, index]
        return PointColumns(record["x"], record["y"], record["z"], record["intensity"])
    if layout == "unaligned":
        buffer = np.zeros((count, 27), np.uint8)
        buffer[:, 1:17] = points.view(np.uint8).reshape(-1, 16)
        data = buffer.tobytes() + bytes(27)
        return PointColumns(*(np.ndarray(count, F, data, 1 + 4 * k, (27,)) for k in range(4)))
    if layout == "apart":
        return PointColumns(*(np.ascontiguousarray(points[:, k]) for k in range(4)))
    if layout == "int16":
        with np.errstate(invalid="ignore", over="ignore"):
            return PointColumns.from_array(np.nan_to_num(points, posinf=9, neginf=9).astype(np.int16))
    if layout == "reversed":
        return PointColumns.from_array(points[::-1])
    dtype = {"big endian": ">f4", "float64": "f8", "half": "f2"}.get(layout, "f4")
    with np.errstate(over="ignore"):
        return PointColumns.from_array(points.astype(dtype))


def random_matrix(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A turn about z and a shift of some cells."""
    angle, matrix = rng.uniform(-0.2, 0.2), np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, 3] = rng.normal(0, 0.2, 3)
    return matrix


def random_frame(seed: int, config: CenterPointConfig, most_points: int) -> PointCloudFrame:
    """One to four sweeps of any kind and layout, some of them empty."""
    rng = np.random.default_rng(seed)
    sweeps = []
    for index in range(rng.integers(1, 5)):
        count = int(rng.choice([0, 1, rng.integers(0, 100), rng.integers(0, most_points // 4 + 1)]))
        points = points_of(str(rng.choice(list(KINDS))), rng, count, config)
        columns = laid_out(points, str(rng.choice(LAYOUTS)))
        moved = index > 0 and rng.random() < 0.8
        sweeps.append(Sweep(columns, 0.1 * index, random_matrix(rng) if moved else None))
    return PointCloudFrame(tuple(sweeps))


class VoxelizerPair:
    """One configuration on the GPU, real or emulated, and on the CPU; both keep their buffers."""

    def __init__(
        self,
        context: CudaContext,
        config: CenterPointConfig,
        load: LoadModule = KernelModule,
        **options: Any,
    ) -> None:
        self.context = context
        self.config = config
        self.device = DeviceVoxelizer(context, config, load=load, **options)
        sizes = {name: options[name] for name in ("max_voxels", "min_rows") if name in options}
        self.cpu = Voxelizer(config, **sizes)
        self.min_rows: int = options.get("min_rows", 0)

    def run(self, frame: PointCloudFrame) -> dict[str, Any]:
        """What the GPU makes of a frame: copies of the rows that mean something, and the counts."""
        stream = self.context.stream
        self.device.upload(stream, frame)
        self.device.enqueue(stream)
        return self.results()

    def results(self) -> dict[str, Any]:
        """The same of what is on the device."""
        self.context.synchronize()
        counts = self.device.counts()
        found: dict[str, Any] = {
            "all_features": self._download(self.device.features, max(counts.pillars, self.min_rows)),
            "coordinates": self._download(self.device.coordinates, counts.pillars),
            "num_points": self._download(self.device.num_points, counts.pillars),
        }
        self.context.synchronize()
        return {**found, "counts": counts}

    def _download(self, buffer: DeviceBuffer, rows: int) -> npt.NDArray[Any]:
        array = np.zeros((rows, *buffer.shape[1:]), buffer.dtype)
        self.context.download(array, buffer.address)
        return array

    def assert_equal(self, frame: PointCloudFrame) -> None:
        """Fail unless every bit of the GPU's is the CPU's."""
        found, expected = self.run(frame), self.cpu.voxelize(frame)
        assert found["counts"] == expected.counts
        with np.errstate(over="ignore"):
            features = expected.features.astype(self.device.features.dtype)
        assert_same_bits(found["all_features"], features)
        np.testing.assert_array_equal(found["coordinates"], expected.coordinates)
        np.testing.assert_array_equal(found["num_points"], expected.num_points)


def assert_same_bits(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> None:
    """Fail unless two arrays are equal and so are the signs of their zeros."""
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


def past_sweeps(clouds: Sequence[PointColumns], seed: int = 0) -> PointCloudFrame:
    """The first cloud with the others as past sweeps."""
    rng = np.random.default_rng(seed)
    sweeps = [Sweep(clouds[0])]
    sweeps += [Sweep(cloud, 0.1 * (k + 1), random_matrix(rng)) for k, cloud in enumerate(clouds[1:])]
    return PointCloudFrame(tuple(sweeps))
