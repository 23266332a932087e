"""Kernels of a compiled source, and their launches."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from awml_deploy_core.errors import InferenceError
from awml_deploy_core.runtime.cuda.context import CudaContext
from awml_deploy_core.runtime.cuda.kernels import KernelSource, compile_kernels
from awml_deploy_core.runtime.cuda.memory import DeviceSpan, PinnedBuffer

Dim3 = tuple[int, int, int]
Argument = DeviceSpan | PinnedBuffer | np.generic | ctypes.Structure
"""Memory is passed as its address, a numpy scalar or a structure as its bytes. Python's own numbers
are refused, because they do not say how wide the kernel's parameter is."""


class KernelModule:
    """The kernels of one source on one GPU; the code lives as long as the context's GPU is in use.

    Raises:
        MissingDependencyError: NVRTC or cuda-python is not installed.
        KernelCompileError: The source does not compile; the log is listed.
        BackendUnavailableError: The code is for another GPU.
    """

    def __init__(self, context: CudaContext, source: KernelSource) -> None:
        self._context = context
        self._name = source.path.name
        code = compile_kernels(source, context.arch)
        self._handle: Any = context.driver.call("cuModuleLoadData", code)

    def kernel(self, name: str, *, dynamic_shared: int = 0) -> Kernel:
        """A kernel by the name of its ``extern "C"`` function.

        Args:
            name: Of the function.
            dynamic_shared: Most bytes of dynamic shared memory of a launch, where more than 48 KiB.

        Raises:
            InferenceError: The source has no such kernel, or the GPU has not as much shared memory.
        """
        driver = self._context.driver
        code, handle = driver.api.cuModuleGetFunction(self._handle, name.encode())
        if int(code):
            raise driver.failure(code, "cuModuleGetFunction", f"{name} in {self._name}")
        if dynamic_shared:
            kind = driver.api.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            driver.call("cuFuncSetAttribute", handle, kind, dynamic_shared)
        return Kernel(self._context, name, handle)


LoadModule = Callable[[CudaContext, KernelSource], KernelModule]
"""Makes the kernels of a source; a test puts another in the place of :class:`KernelModule`."""


@dataclass(frozen=True, eq=False)
class Kernel:
    """A function of a module."""

    context: CudaContext
    name: str
    handle: Any

    def bind(
        self,
        grid: int | Dim3,
        block: int | Dim3,
        arguments: Sequence[Argument],
        *,
        shared: int = 0,
        cooperative: bool = False,
    ) -> BoundKernel:
        """The kernel with its launch configuration and arguments, packed once for all frames.

        Args:
            grid: Blocks along x, or along x, y, z.
            block: Threads of a block, likewise.
            arguments: In the order of the kernel's parameters; structures and scalars are copied now.
            shared: Bytes of dynamic shared memory.
            cooperative: Whether all blocks run at once, so that they can wait for each other.

        Raises:
            InferenceError: An argument does not say how wide it is, or the grid is empty.
        """
        packed = PackedArguments(self.name, arguments)
        sizes = (*_dim3(grid), *_dim3(block))
        if min(sizes) < 1:
            raise InferenceError(f"kernel {self.name}", "launch is empty", got=sizes)
        return BoundKernel(self, sizes, packed, shared, cooperative)


class PackedArguments:
    """Arguments of a launch as the driver wants them: an array of pointers to their bytes."""

    def __init__(self, kernel: str, arguments: Sequence[Argument]) -> None:
        self._values = [_pack(kernel, index, value) for index, value in enumerate(arguments)]
        pointers = [ctypes.addressof(value) for value in self._values]
        self._table = (ctypes.c_void_p * max(1, len(pointers)))(*pointers)
        self.address = ctypes.addressof(self._table)
        """Of the array of pointers; valid as long as this object lives."""


@dataclass(frozen=True, eq=False)
class BoundKernel:
    """A launch that is ready to be put on a stream, any number of times."""

    kernel: Kernel
    sizes: tuple[int, ...]
    """Blocks along x, y, z, threads along x, y, z."""
    arguments: PackedArguments
    shared: int
    cooperative: bool

    def enqueue(self, stream: int) -> None:
        """Put it on a stream.

        Raises:
            InferenceError, DeviceLostError: The driver refuses; the kernel is named.
        """
        driver = self.kernel.context.driver
        common = (self.kernel.handle, *self.sizes, self.shared, stream, self.arguments.address)
        if self.cooperative:
            (code,) = driver.api.cuLaunchCooperativeKernel(*common)
        else:
            (code,) = driver.api.cuLaunchKernel(*common, 0)
        if int(code):
            raise driver.failure(code, "cuLaunchKernel", self.kernel.name)


def _dim3(sizes: int | Dim3) -> Dim3:
    return (sizes, 1, 1) if isinstance(sizes, int) else sizes


def _pack(kernel: str, index: int, value: Argument) -> Any:
    if isinstance(value, (DeviceSpan, PinnedBuffer)):
        return ctypes.c_uint64(value.address)
    if isinstance(value, np.generic):
        content = value.tobytes()
    elif isinstance(value, ctypes.Structure):
        content = bytes(value)
    else:
        raise InferenceError(
            f"kernel {kernel}",
            f"argument {index} does not say how wide it is",
            got=repr(value),
            expected="memory, a numpy scalar (np.int32(...), np.float32(...)) or a ctypes structure",
        )
    # From 64-bit words, so that it is aligned as any scalar may need.
    words = (ctypes.c_uint64 * (len(content) // 8 + 1))()
    ctypes.memmove(words, content, len(content))
    return words
