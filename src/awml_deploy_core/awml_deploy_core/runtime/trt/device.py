"""Device memory, a stream and copies for a session, through cuda-python."""

from __future__ import annotations

import importlib
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import (
    BackendUnavailableError,
    DeviceError,
    InferenceError,
    MissingDependencyError,
)

INSTALL = "pip install cuda-bindings"
_OUT_OF_MEMORY = 2
"""CUDA_ERROR_OUT_OF_MEMORY of cuda.h."""
_NON_BLOCKING = 1
"""CU_STREAM_NON_BLOCKING of cuda.h."""


class DeviceMemory(Protocol):
    """What a session needs of the device it runs on."""

    @property
    def stream(self) -> int:
        """Handle of the session's own stream."""
        ...

    def activate(self) -> None:
        """Make the device that of the calling thread."""
        ...

    def allocate(self, size: int) -> int:
        """Address of ``size`` bytes that live until :meth:`close`.

        Raises:
            DeviceError: The device has no memory left.
        """
        ...

    def upload(self, address: int, array: npt.NDArray[Any]) -> None:
        """Copy a contiguous host array to the device, in the order of the stream."""
        ...

    def download(self, array: npt.NDArray[Any], address: int) -> None:
        """Copy from the device into a contiguous host array, in the order of the stream."""
        ...

    def synchronize(self) -> None:
        """Wait for everything on the stream.

        Raises:
            InferenceError: Something that ran there failed.
        """
        ...

    def close(self) -> None:
        """Free everything. Calling it twice is allowed."""
        ...


def cuda_python_problem() -> str | None:
    """Why cuda-python cannot be used, or None."""
    try:
        importlib.import_module("cuda.bindings.driver")
    except (ImportError, OSError, RuntimeError) as error:
        return f"cuda.bindings cannot be imported: {error}"
    return None


class CudaPythonMemory:
    """Memory of one GPU in its primary context, which becomes the calling thread's.

    It calls the driver through ``cuda.bindings``, whose result codes tell one failure from another;
    ``cuda.core`` raises a class that it does not export. Handles are those of ``cuda.core`` as well.

    Raises:
        MissingDependencyError: cuda-python is not installed.
        BackendUnavailableError: The device cannot be used.
    """

    def __init__(self, device: DeviceSpec) -> None:
        if problem := cuda_python_problem():
            raise MissingDependencyError("cuda-python", problem, hint=INSTALL)
        from cuda.bindings import driver

        self._driver: Any = driver
        self._name = str(device)
        self._addresses: list[int] = []
        self._closed = False
        try:
            self._call("cuInit", 0)
            self._device = self._call("cuDeviceGet", device.index)
            self._context = self._call("cuDevicePrimaryCtxRetain", self._device)
            self.activate()
            self._stream = int(self._call("cuStreamCreate", _NON_BLOCKING))
        except (InferenceError, RuntimeError) as error:
            # Without a driver the bindings raise where they would return a code.
            raise BackendUnavailableError(
                self._name, "cannot be used", got=error, hint="Check nvidia-smi."
            ) from error

    @property
    def stream(self) -> int:
        return self._stream

    def activate(self) -> None:
        self._call("cuCtxSetCurrent", self._context)

    def allocate(self, size: int) -> int:
        code, address = self._driver.cuMemAlloc(max(1, size))
        if int(code) == _OUT_OF_MEMORY:
            raise DeviceError(
                self._name,
                "out of memory",
                got=f"no room for {size / 1e6:.0f} MB",
                hint="End other processes on the GPU, or lower the model's capacity.",
            )
        self._check(code, "cuMemAlloc")
        self._addresses.append(int(address))
        return int(address)

    def upload(self, address: int, array: npt.NDArray[Any]) -> None:
        source = np.ascontiguousarray(array)
        # The copy of pageable memory has left it when the call returns.
        self._call("cuMemcpyHtoDAsync", address, source.ctypes.data, source.nbytes, self._stream)

    def download(self, array: npt.NDArray[Any], address: int) -> None:
        self._call("cuMemcpyDtoHAsync", array.ctypes.data, address, array.nbytes, self._stream)

    def synchronize(self) -> None:
        self._call("cuStreamSynchronize", self._stream)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        # After a sticky error nothing can be freed any more, and the process has to end anyway.
        self._driver.cuCtxSetCurrent(self._context)
        for address in self._addresses:
            self._driver.cuMemFree(address)
        self._driver.cuStreamDestroy(self._stream)
        self._driver.cuDevicePrimaryCtxRelease(self._device)

    def _call(self, name: str, *arguments: Any) -> Any:
        """Call the driver; what it returns beside the code, if anything."""
        code, *result = getattr(self._driver, name)(*arguments)
        self._check(code, name)
        return result[0] if result else None

    def _check(self, code: Any, call: str) -> None:
        if int(code):
            raise InferenceError(self._name, f"{call} failed", got=getattr(code, "name", code))
