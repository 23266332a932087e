"""Scatter of pillar features onto the bird's-eye-view canvas, on the GPU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from awml_deploy_core.runtime.cuda import BoundKernel, CudaContext, DeviceSpan, KernelModule, LoadModule
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.device.constants import check_dtype, scatter_source

_THREADS = 256
"""``THREADS`` of scatter.cu."""


@dataclass(frozen=True)
class BoundScatter:
    """A scatter that is ready to be put on a stream, any number of times."""

    claim: BoundKernel
    fill: BoundKernel

    def enqueue(self, stream: int) -> None:
        """Write the canvas: two kernels, the same for every frame."""
        self.claim.enqueue(stream)
        self.fill.enqueue(stream)


class DeviceScatter:
    """Writes pillars to cell ``y * nx + x`` of a canvas on the GPU that it reuses between frames.

    A frame touches only the cells that it writes and those that the one before it wrote. The
    result is that of :class:`~awml_extractors.centerpoint.scatter.PillarScatter`.

    Args:
        context: The GPU.
        config: The variant.
        max_voxels: Most pillars of a frame; the configuration's if None.
        dtype: float32 or float16, of features and canvas.
        load: Makes the kernels of a source.

    Raises:
        ConfigError: The dtype is not offered.
        KernelCompileError, MissingDependencyError: The kernels cannot be compiled.
        DeviceError: The device has no memory left.
    """

    def __init__(
        self,
        context: CudaContext,
        config: CenterPointConfig,
        *,
        max_voxels: int | None = None,
        dtype: npt.DTypeLike = np.float32,
        load: LoadModule = KernelModule,
    ) -> None:
        nx, ny = config.grid_size
        value = check_dtype(dtype)
        self._max_voxels = config.voxel_capacity if max_voxels is None else max_voxels
        self._blocks = -(-nx * ny // _THREADS)
        self.canvas = context.buffer((1, config.num_pillar_features, ny, nx), value, fill=0)
        """[1, F, ny, nx]."""
        self._owners = context.buffer((ny * nx,), np.uint32, fill=0)
        # What was filled has to be so on every stream.
        context.synchronize()
        module = load(context, scatter_source(config, value))
        self._claim = module.kernel("claim_cells")
        self._fill = module.kernel("fill_canvas")

    def bind(self, features: DeviceSpan, coordinates: DeviceSpan, pillars: DeviceSpan) -> BoundScatter:
        """The scatter of what other steps of the frame leave on the device.

        Args:
            features: Encoder output [rows, 1, F] of the canvas's dtype; rows beyond the pillars are
                ignored.
            coordinates: int32 [rows, 2]: distinct cells y, x.
            pillars: uint32 [1].
        """
        claims = -(-self._max_voxels // _THREADS)
        return BoundScatter(
            self._claim.bind(claims, _THREADS, (pillars, coordinates, self._owners)),
            self._fill.bind(self._blocks, _THREADS, (features, self._owners, self.canvas)),
        )
