"""A GPU made of the host: memory, and kernels that run at once, for wrappers that enqueue them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.runtime.cuda import (
    CudaContext,
    DeviceBuffer,
    KernelModule,
    KernelSource,
    PinnedBuffer,
)
from awml_deploy_core.runtime.cuda.memory import byte_count
from cuda_emulation.emulated import EmulatedKernels, Size, emulate

_GUARD = 256
_SPOILT = 0xCD


class EmulatedContext:
    """What :class:`~awml_deploy_core.runtime.cuda.CudaContext` offers to a wrapper of kernels.

    There is one stream; whatever is put on it has run when the call returns. Memory starts spoilt
    and lies between guards, which :meth:`check_guards` looks at.

    Args:
        seed: Of the order of blocks and threads of every launch, which counts up from it; 0 is
            ascending.
    """

    stream = 0
    arch = "emulated"
    device = DeviceSpec("cuda")

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._blocks: list[npt.NDArray[np.uint8]] = []
        self.uploaded = 0
        """Bytes that were copied, by any call."""

    def as_context(self) -> CudaContext:
        """Itself, where the annotation asks for a GPU."""
        return cast(CudaContext, self)

    def load(self, _context: CudaContext, source: KernelSource) -> KernelModule:
        """In place of :class:`~awml_deploy_core.runtime.cuda.KernelModule`."""
        return cast(KernelModule, _Module(self, emulate(source)))

    def next_seed(self) -> int:
        """Seed of the next launch."""
        self._seed += self._seed != 0
        return self._seed

    def attribute(self, name: str) -> int:
        """Two multiprocessors, so that launches have to take several rounds."""
        return {"MULTIPROCESSOR_COUNT": 2}[name]

    def allocate(self, size: int) -> int:
        """Address of memory aligned to 256 bytes, as the driver's is."""
        block = np.full(size + 3 * _GUARD, _SPOILT, np.uint8)
        self._blocks.append(block)
        start = -(block.ctypes.data + _GUARD) % 256 + _GUARD
        self._blocks[-1] = block[start - _GUARD : start + size + _GUARD]
        return int(block.ctypes.data) + start

    def buffer(
        self, shape: tuple[int, ...], dtype: npt.DTypeLike, *, fill: int | None = None
    ) -> DeviceBuffer:
        """An array of the device."""
        size = byte_count(shape, dtype)
        made = DeviceBuffer(self.allocate(size), size, shape, np.dtype(dtype))
        if fill is not None:
            self.fill(made.address, fill, size)
        return made

    def pinned(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> PinnedBuffer:
        """Zeroed memory of the host."""
        made = self.buffer(shape, dtype, fill=0)
        return PinnedBuffer(made.address, self.view(made))

    def view(self, buffer: DeviceBuffer) -> npt.NDArray[Any]:
        """The memory of an array of the device itself."""
        content = (ctypes.c_ubyte * buffer.size).from_address(buffer.address)
        return np.ndarray(buffer.shape, buffer.dtype, memoryview(content))

    def upload(self, address: int, array: npt.NDArray[Any], stream: int | None = None) -> None:
        source = np.ascontiguousarray(array)
        self.copy(address, source.ctypes.data, source.nbytes)

    def download(self, array: npt.NDArray[Any], address: int, stream: int | None = None) -> None:
        self.copy(array.ctypes.data, address, array.nbytes)

    def copy(self, target: int, source: int, size: int, stream: int | None = None) -> None:
        self.uploaded += size
        ctypes.memmove(target, source, size)

    def fill(self, address: int, value: int, size: int, stream: int | None = None) -> None:
        ctypes.memset(address, value, size)

    def create_event(self) -> int:
        """Events have no time here."""
        return 0

    def record(self, event: int, stream: int | None = None, *, captured: bool = False) -> None:
        pass

    def elapsed_ms(self, start: int, end: int) -> float:
        return 0.0

    def activate(self) -> None:
        pass

    def close(self) -> None:
        pass

    def synchronize(self, stream: int | None = None) -> None:
        pass

    def check_guards(self) -> None:
        """Fail if anything was written beside the memory that was asked for."""
        for block in self._blocks:
            assert (block[:_GUARD] == _SPOILT).all()
            assert (block[-_GUARD:] == _SPOILT).all()


class _Module:
    def __init__(self, context: EmulatedContext, kernels: EmulatedKernels) -> None:
        self._context = context
        self._kernels = kernels

    def kernel(self, name: str, *, dynamic_shared: int = 0) -> _Kernel:
        return _Kernel(self._context, self._kernels, name)


class _Kernel:
    def __init__(self, context: EmulatedContext, kernels: EmulatedKernels, name: str) -> None:
        self._context = context
        self._kernels = kernels
        self.name = name

    def bind(
        self,
        grid: Size,
        block: Size,
        arguments: Sequence[Any],
        *,
        shared: int = 0,
        cooperative: bool = False,
    ) -> _Launch:
        return _Launch(self, grid, block, arguments, shared)

    def run(self, grid: Size, block: Size, arguments: Sequence[Any], shared: int) -> None:
        seed = self._context.next_seed()
        self._kernels.launch(self.name, grid, block, arguments, shared_bytes=shared, seed=seed)


class _Launch:
    def __init__(
        self, kernel: _Kernel, grid: Size, block: Size, arguments: Sequence[Any], shared: int
    ) -> None:
        self.kernel = kernel
        self._run = lambda: kernel.run(grid, block, arguments, shared)

    def enqueue(self, stream: int) -> None:
        self._run()


class ReplayedCalls:
    """In place of a graph: what would be captured is called at every launch, and not before."""

    def __init__(self, _: CudaContext, __: int, enqueue: Callable[[int], None]) -> None:
        self.launch = enqueue

    def close(self) -> None:
        pass
