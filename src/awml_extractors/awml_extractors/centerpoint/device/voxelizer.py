"""Voxelisation and decoration of a frame on the GPU, bit-identical to :mod:`..pillars`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import PointCloudError
from awml_deploy_core.points import PointCloudFrame
from awml_deploy_core.runtime.cuda import BoundKernel, CudaContext, DeviceSpan, KernelModule, LoadModule
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.device.clouds import DeviceClouds
from awml_extractors.centerpoint.device.constants import (
    FrameSizes,
    check_dtype,
    decoration_warps,
    frame_source,
)
from awml_extractors.centerpoint.device.frame_header import (
    COUNTERS,
    HeaderWriter,
    counts_of,
    header_dtype,
    offset_of,
)
from awml_extractors.centerpoint.pillars import PillarCounts
from awml_extractors.centerpoint.sweep_columns import check_sweep

_PLACE_THREADS = 256
_TILE = 512
_CELL_BYTES = 16
"""``PLACE_THREADS`` and ``TILE`` of voxelize.cu, and the size of ``Cell``."""
_THREADS_OF_A_MULTIPROCESSOR = 2048
_DECORATING_THREADS = 1536
"""Those that find room on a multiprocessor with the registers of decorate.cu."""
_STAGING_BYTES = 16 << 20


class DeviceVoxelizer:
    """Voxelises frames of one configuration on the GPU and keeps its buffers between them.

    A frame is :meth:`upload`, which varies, and :meth:`enqueue`, four kernels, the same for every frame:
    they can be captured into a CUDA graph and replayed for frames of every size. What a frame put on
    the stream must have run before the next :meth:`upload`. Results are those of
    :class:`~awml_extractors.centerpoint.pillars.Voxelizer`, bit for bit (float16: rounded to nearest
    from them), and depend neither on earlier frames nor on the order in which threads run.

    Args:
        context: The GPU.
        config: The variant.
        max_points: Most points of a frame, all sweeps together.
        max_sweeps: Most sweeps of a frame.
        max_voxels: Pillars kept of a frame; the configuration's if None.
        min_rows: Least number of rows of ``features`` that are clean, for encoders of a fixed size.
        dtype: float32 or float16, of the features.
        load: Makes the kernels of a source.

    Raises:
        ConfigError: The dtype is not offered, or a pillar has too many points for the GPU.
        KernelCompileError, MissingDependencyError: The kernels cannot be compiled.
        DeviceError: The device has no memory left.
    """

    def __init__(
        self,
        context: CudaContext,
        config: CenterPointConfig,
        *,
        max_points: int = 2_000_000,
        max_sweeps: int = 16,
        max_voxels: int | None = None,
        min_rows: int = 0,
        dtype: npt.DTypeLike = np.float32,
        load: LoadModule = KernelModule,
    ) -> None:
        self._context = context
        self._config = config
        self._sizes = FrameSizes.of(config, max_points, max_sweeps, max_voxels, min_rows)
        self._points_in = 0
        feature_dtype = check_dtype(dtype)
        rows, slots = self._sizes.rows, config.max_points_per_voxel
        self.features = context.buffer((rows, slots, config.num_encoder_features), feature_dtype, fill=0)
        """[rows, max_points_per_voxel, C]: the pillars, then zeros up to ``min_rows``."""
        self.coordinates = context.buffer((rows, 2), np.int32, fill=0)
        """int32 [rows, 2]: cell y, x of every pillar; what lies behind them means nothing."""
        self.num_points = context.buffer((rows,), np.int32, fill=0)
        """int32 [rows]: points stored in each pillar, 0 in padding rows."""
        layout = header_dtype(self._sizes)
        self._header = context.pinned((1,), layout)
        self._writer = HeaderWriter(self._header.array, config.point_order == "interleaved")
        self._frame = context.buffer((1,), layout, fill=0)
        self._counters = context.pinned((1,), COUNTERS)
        counters = self._frame.address + offset_of(layout, "counters")
        self.pillars = DeviceSpan(counters + offset_of(COUNTERS, "pillars"), np.dtype(np.uint32).itemsize)
        """uint32 [1]: pillars of the frame."""
        self.clouds = DeviceClouds(context, config, _STAGING_BYTES)
        """The clouds on the device."""
        self.steps: dict[str, Callable[[int], None]] = {
            launch.kernel.name: launch.enqueue for launch in self._bind(load, feature_dtype)
        }
        """What :meth:`enqueue` puts on a stream, in order, by name, for who measures it."""

    def upload(self, stream: int, frame: PointCloudFrame) -> None:
        """Send what the device does not have of a frame, and describe the frame for :meth:`enqueue`.

        Raises:
            PointCloudError: A needed column is missing or not numeric, a transform is not a finite 4x4
                matrix, a time lag is not finite, or the frame has more points or sweeps than there
                is room for. The device is as it was.
        """
        for position, sweep in enumerate(frame.sweeps):
            check_sweep(position, sweep)
        for name, found, most in (
            ("points", frame.num_points, self._sizes.max_points),
            ("sweeps", len(frame.sweeps), self._sizes.max_sweeps),
        ):
            if found > most:
                raise PointCloudError("frame", f"too many {name}", got=found, expected=f"at most {most}")
        clouds = self.clouds.place(stream, frame.sweeps)
        self._writer.write(frame.sweeps, clouds)
        self._points_in = frame.num_points
        self.send_header(stream)

    def enqueue(self, stream: int) -> None:
        """Voxelise and decorate the frame that was uploaded, once."""
        for step in self.steps.values():
            step(stream)

    def counts(self) -> PillarCounts:
        """What became of the points of the last frame, after its stream was synchronised."""
        return counts_of(self._points_in, self._counters.array[0])

    def send_header(self, stream: int) -> None:
        """Describe the frame that was uploaded last once more, so that :meth:`enqueue` can repeat it.

        Outside of the graph, so that it follows the points on the same engine: a copy between
        kernels would cost the frame two changes of engines.
        """
        self._context.copy(self._frame.address, self._header.address, self._header.size, stream)

    def _bind(self, load: LoadModule, dtype: np.dtype[np.generic]) -> tuple[BoundKernel, ...]:
        context, config, sizes = self._context, self._config, self._sizes
        nx, ny = config.grid_size
        capacity = max(sizes.max_points, 1)
        tiles = -(-capacity // _TILE)
        points = context.buffer((capacity, 4), np.float32)
        intensities = context.buffer((capacity if "intensity" in config.point_features else 1,), np.float32)
        cells, arrivals, places = (context.buffer((capacity,), np.int32) for _ in range(3))
        grid = context.buffer((ny * nx, _CELL_BYTES), np.uint8, fill=0)
        firsts = context.buffer((tiles,), np.uint32)
        occupied = context.buffer((min(capacity, ny * nx),), np.int32)
        written = context.buffer((sizes.rows,), np.int32, fill=0)
        voxelize = load(context, frame_source("voxelize.cu", config, sizes, dtype))
        decorate = load(context, frame_source("decorate.cu", config, sizes, dtype))
        processors = context.attribute("MULTIPROCESSOR_COUNT")
        resident = _THREADS_OF_A_MULTIPROCESSOR * processors
        place_blocks = min(-(-capacity // _PLACE_THREADS), resident // _PLACE_THREADS)
        tile_blocks = min(tiles, resident // _TILE)
        warps = decoration_warps(config)
        decorate_blocks = min(-(-sizes.rows // warps), processors * _DECORATING_THREADS // (32 * warps))
        # What was filled has to be so on every stream.
        context.synchronize()
        return (
            voxelize.kernel("place_points").bind(
                place_blocks, _PLACE_THREADS, (self._frame, points, intensities, cells, arrivals, grid)
            ),
            voxelize.kernel("open_cells").bind(tile_blocks, _TILE, (self._frame, cells, grid, firsts)),
            voxelize.kernel("number_pillars").bind(
                tile_blocks,
                _TILE,
                (self._frame, cells, arrivals, grid, firsts, occupied, self.coordinates, places),
            ),
            decorate.kernel("decorate_pillars").bind(
                decorate_blocks,
                32 * warps,
                (
                    *(self._frame, points, intensities, occupied, places, grid),
                    *(self.features, self.num_points, written, self._counters),
                ),
            ),
        )
