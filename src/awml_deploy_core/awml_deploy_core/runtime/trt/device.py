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

INSTALL = "pip install cuda-core cuda-bindings"
_OUT_OF_MEMORY = 2
"""CUDA_ERROR_OUT_OF_MEMORY of cuda.h."""


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
    for name in ("cuda.core", "cuda.bindings.driver"):
        try:
            importlib.import_module(name)
        except (ImportError, OSError, RuntimeError) as error:
            return f"{name} cannot be imported: {error}"
    return None


class CudaPythonMemory:
    """Memory of one GPU; its context becomes the calling thread's.

    Raises:
        MissingDependencyError: cuda-python is not installed.
        BackendUnavailableError: The device cannot be used.
    """

    def __init__(self, device: DeviceSpec) -> None:
        if problem := cuda_python_problem():
            raise MissingDependencyError("cuda-python", problem, hint=INSTALL)
        from cuda.bindings import driver
        from cuda.core import Device

        self._driver: Any = driver
        self._name = str(device)
        self._addresses: list[int] = []
        try:
            self._device: Any = Device(device.index)
            self._device.set_current()
            self._stream: Any | None = self._device.create_stream()
        except (RuntimeError, ValueError) as error:
            raise BackendUnavailableError(
                str(device), "cannot be used", got=error, hint="Check nvidia-smi."
            ) from error
        self._handle = int(self._stream.handle)

    @property
    def stream(self) -> int:
        return self._handle

    def activate(self) -> None:
        self._device.set_current()

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
        (code,) = self._driver.cuMemcpyHtoDAsync(address, source.ctypes.data, source.nbytes, self._handle)
        self._check(code, "cuMemcpyHtoDAsync")

    def download(self, array: npt.NDArray[Any], address: int) -> None:
        (code,) = self._driver.cuMemcpyDtoHAsync(array.ctypes.data, address, array.nbytes, self._handle)
        self._check(code, "cuMemcpyDtoHAsync")

    def synchronize(self) -> None:
        (code,) = self._driver.cuStreamSynchronize(self._handle)
        self._check(code, "cuStreamSynchronize")

    def close(self) -> None:
        addresses, self._addresses = self._addresses, []
        for address in addresses:
            # After a sticky error nothing can be freed any more; the process has to end anyway.
            self._driver.cuMemFree(address)
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _check(self, code: Any, call: str) -> None:
        if int(code):
            raise InferenceError(self._name, f"{call} failed", got=getattr(code, "name", code))
