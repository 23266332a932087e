"""One GPU in this process: its context, streams, events and memory."""

from __future__ import annotations

import logging
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import BackendUnavailableError, InferenceError
from awml_deploy_core.runtime.cuda.driver import CudaDriver
from awml_deploy_core.runtime.cuda.memory import DeviceBuffer, PinnedBuffer, array_at, byte_count

_LOG = logging.getLogger(__name__)
_NON_BLOCKING = 1
"""CU_STREAM_NON_BLOCKING of cuda.h."""
_EVENT_TIMED = 0
_EVENT_EXTERNAL = 1
"""CU_EVENT_RECORD_EXTERNAL of cuda.h: the record is a node of the graph that is being captured."""
_HOST_ALLOC = 3
"""CU_MEMHOSTALLOC_PORTABLE and CU_MEMHOSTALLOC_DEVICEMAP of cuda.h."""


class DeviceMemory(Protocol):
    """What a session needs of the device it runs on; :class:`CudaContext` is one."""

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
        """Copy a host array to the device, in the order of the stream."""
        ...

    def download(self, array: npt.NDArray[Any], address: int) -> None:
        """Copy from the device into a contiguous host array, in the order of the stream."""
        ...

    def synchronize(self) -> None:
        """Wait for everything on the stream.

        Raises:
            InferenceError, DeviceLostError: Something that ran there failed.
        """
        ...

    def close(self) -> None:
        """Free everything. Calling it twice is allowed."""
        ...


class CudaContext:
    """The primary context of one GPU, which becomes the calling thread's, and what was made in it.

    Several may be open for one GPU: they share its primary context, and each frees what it made.
    Every copy and fill is asynchronous, on the context's own stream where none is named. One thread
    at a time; a thread that did not open it calls :meth:`activate` first.

    Raises:
        MissingDependencyError: cuda-python is not installed.
        BackendUnavailableError: The device cannot be used.
        DeviceError: It has no memory left, not even for a context.
    """

    def __init__(self, device: DeviceSpec) -> None:
        self.device = device
        self.driver = CudaDriver(str(device))
        self._addresses: list[int] = []
        self._pinned: list[int] = []
        self._streams: list[int] = []
        self._events: list[int] = []
        self._closed = False
        try:
            self.driver.call("cuInit", 0)
            self._device = self.driver.call("cuDeviceGet", device.index)
            self._context = self.driver.call("cuDevicePrimaryCtxRetain", self._device)
            self.activate()
            self._stream = self.create_stream()
        except InferenceError as error:
            raise BackendUnavailableError(
                str(device), "cannot be used", got=error, hint="Check nvidia-smi."
            ) from error

    @property
    def stream(self) -> int:
        """Handle of the context's own stream."""
        return self._stream

    @property
    def handle(self) -> Any:
        """Of the primary context."""
        return self._context

    @property
    def arch(self) -> str:
        """The GPU's architecture as compilers name it, e.g. ``sm_90``."""
        names = ("COMPUTE_CAPABILITY_MAJOR", "COMPUTE_CAPABILITY_MINOR")
        return "sm_" + "".join(str(self.attribute(name)) for name in names)

    def attribute(self, name: str) -> int:
        """An attribute of the device, e.g. ``MULTIPROCESSOR_COUNT`` (cuda.h, CU_DEVICE_ATTRIBUTE_*)."""
        kind = getattr(self.driver.api.CUdevice_attribute, f"CU_DEVICE_ATTRIBUTE_{name}")
        return int(self.driver.call("cuDeviceGetAttribute", kind, self._device))

    def activate(self) -> None:
        """Make the context that of the calling thread."""
        self.driver.call("cuCtxSetCurrent", self._context)

    def create_stream(self) -> int:
        """Handle of another stream, which does not wait for the default one; destroyed by :meth:`close`."""
        self._streams.append(int(self.driver.call("cuStreamCreate", _NON_BLOCKING)))
        return self._streams[-1]

    def create_event(self) -> int:
        """Handle of an event that records time; destroyed by :meth:`close`."""
        self._events.append(int(self.driver.call("cuEventCreate", _EVENT_TIMED)))
        return self._events[-1]

    def record(self, event: int, stream: int | None = None, *, captured: bool = False) -> None:
        """Record an event; ``captured`` makes it a node of the graph that the stream captures."""
        flags = _EVENT_EXTERNAL if captured else 0
        self.driver.call("cuEventRecordWithFlags", event, self._on(stream), flags)

    def elapsed_ms(self, start: int, end: int) -> float:
        """Time between two events that both have happened [ms]."""
        return float(self.driver.call("cuEventElapsedTime", start, end))

    def wait_event(self, event: int, stream: int | None = None) -> None:
        """Let a stream wait for an event; the host does not."""
        self.driver.call("cuStreamWaitEvent", self._on(stream), event, 0)

    def allocate(self, size: int) -> int:
        """Address of ``size`` bytes, not initialised, that live until :meth:`close`.

        Raises:
            DeviceError: The device has no memory left.
        """
        code, address = self.driver.api.cuMemAlloc(max(1, size))
        if int(code):
            raise self.driver.failure(code, "cuMemAlloc", f"{size / 1e6:.0f} MB")
        self._addresses.append(int(address))
        return int(address)

    def buffer(
        self, shape: tuple[int, ...], dtype: npt.DTypeLike, *, fill: int | None = None
    ) -> DeviceBuffer:
        """An array on the device that lives until :meth:`close`.

        Args:
            shape: Of the array.
            dtype: Of the array.
            fill: What every byte of it is set to, in the order of the context's own stream; None
                leaves it as it is.

        Raises:
            DeviceError: The device has no memory left.
        """
        size = byte_count(shape, dtype)
        made = DeviceBuffer(self.allocate(size), size, shape, np.dtype(dtype))
        if fill is not None:
            self.fill(made.address, fill, size)
        return made

    def pinned(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> PinnedBuffer:
        """Zeroed page-locked memory of the host that lives until :meth:`close`.

        Raises:
            DeviceError: The host cannot lock as much.
        """
        size = byte_count(shape, dtype)
        code, address = self.driver.api.cuMemHostAlloc(max(1, size), _HOST_ALLOC)
        if int(code):
            raise self.driver.failure(code, "cuMemHostAlloc", f"{size / 1e6:.0f} MB of the host")
        self._pinned.append(int(address))
        array = array_at(int(address), shape, dtype)
        array.fill(0)
        return PinnedBuffer(int(address), array)

    def upload(self, address: int, array: npt.NDArray[Any], stream: int | None = None) -> None:
        """Copy a host array to the device; pageable memory has been read when the call returns."""
        source = np.ascontiguousarray(array)
        self.driver.call("cuMemcpyHtoDAsync", address, source.ctypes.data, source.nbytes, self._on(stream))

    def download(self, array: npt.NDArray[Any], address: int, stream: int | None = None) -> None:
        """Copy from the device into a contiguous host array."""
        self.driver.call("cuMemcpyDtoHAsync", array.ctypes.data, address, array.nbytes, self._on(stream))

    def copy(self, target: int, source: int, size: int, stream: int | None = None) -> None:
        """Copy ``size`` bytes between any two addresses, of the device or of pinned memory."""
        self.driver.call("cuMemcpyAsync", target, source, size, self._on(stream))

    def fill(self, address: int, value: int, size: int, stream: int | None = None) -> None:
        """Set ``size`` bytes of the device to ``value``."""
        if size:
            self.driver.call("cuMemsetD8Async", address, value, size, self._on(stream))

    def synchronize(self, stream: int | None = None) -> None:
        """Wait for everything on a stream.

        Raises:
            InferenceError, DeviceLostError: Something that ran there failed.
        """
        self.driver.call("cuStreamSynchronize", self._on(stream))

    def close(self) -> None:
        """Free everything that was made here. Calling it twice is allowed."""
        if self._closed:
            return
        self._closed = True
        api = self.driver.api
        # After a sticky error nothing can be freed any more, and the process has to end anyway.
        api.cuCtxSetCurrent(self._context)
        for stream in self._streams:
            api.cuStreamSynchronize(stream)
        for address in self._addresses:
            api.cuMemFree(address)
        for address in self._pinned:
            api.cuMemFreeHost(address)
        for event in self._events:
            api.cuEventDestroy(event)
        for stream in self._streams:
            api.cuStreamDestroy(stream)
        api.cuDevicePrimaryCtxRelease(self._device)

    def _on(self, stream: int | None) -> int:
        return self._stream if stream is None else stream


def to_host(context: CudaContext, buffer: DeviceBuffer) -> npt.NDArray[Any]:
    """A copy of an array of the device; waits for the context's own stream."""
    array = np.empty(buffer.shape, buffer.dtype)
    context.download(array, buffer.address)
    context.synchronize()
    return array


def drain(context: CudaContext) -> None:
    """Wait for what a failed frame left on the context's own stream, so that the next one can start.

    Raises:
        DeviceLostError: There can be none: backends do not say so themselves.
    """
    try:
        context.synchronize()
    except InferenceError as error:
        _LOG.error("after a failed frame: %s", error)
