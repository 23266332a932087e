"""Clouds on the device: each is sent once, and stays as long as frames use it as a past sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.points import CloudIdentity, PointColumns, Sweep
from awml_deploy_core.runtime.cuda import CudaContext, PinnedBuffer
from awml_deploy_core.runtime.cuda.memory import array_at
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.device.frame_header import CloudOnDevice
from awml_extractors.centerpoint.device.record_span import RecordSpan, packed_layout, span_of
from awml_extractors.centerpoint.sweep_columns import as_float32, needed_columns

_CHUNK = 1 << 20
"""Bytes that are staged at a time: one chunk is sent while the next is staged."""
_LEAST_BLOCK = 1 << 16
_ALIGNMENT = 16


@dataclass(frozen=True, eq=False)
class _Resident:
    identity: CloudIdentity
    """Kept, so that no other cloud can have its address."""
    cloud: CloudOnDevice
    block: _Block


@dataclass(frozen=True)
class _Block:
    address: int
    size: int


class DeviceClouds:
    """Keeps the clouds of the last frame on the device.

    A past sweep with the :class:`~awml_deploy_core.points.CloudIdentity` of a cloud of the last frame
    is not sent again; the first sweep of a frame always is. Device memory comes in blocks
    of powers of two that are used again, so a steady stream of clouds allocates nothing.

    Columns that are views of one buffer are sent as that buffer's bytes, whatever its layout;
    others are gathered into float32 records. Bytes go through pinned memory in chunks, unless they
    lie in memory of :meth:`receive_into` already.

    Args:
        context: The GPU.
        config: The model, which decides on the columns.
        staging_bytes: Pinned memory to send through.
    """

    def __init__(self, context: CudaContext, config: CenterPointConfig, staging_bytes: int) -> None:
        self._context = context
        self._config = config
        chunks = max(2, -(-staging_bytes // _CHUNK))
        self._staging = context.pinned((chunks * _CHUNK,), np.uint8)
        self._staged = 0
        self._received: list[PinnedBuffer] = []
        self._resident: dict[int, _Resident] = {}
        self._free: list[_Block] = []

    def receive_into(self, size: int) -> npt.NDArray[np.uint8]:
        """Pinned memory [size]: columns that are views of it are sent without being staged."""
        self._received.append(self._context.pinned((size,), np.uint8))
        return self._received[-1].array

    def place(self, stream: int, sweeps: Sequence[Sweep]) -> list[CloudOnDevice]:
        """Where the clouds of a frame are, once what this puts on the stream has run.

        Everything that an earlier frame put there must have run.

        Raises:
            PointCloudError: A column is missing or not numeric.
            DeviceError: The device has no memory left.
        """
        needed = [
            needed_columns(position, sweep.columns, self._config) for position, sweep in enumerate(sweeps)
        ]
        current = id(sweeps[0].columns.identity) if sweeps else 0
        wanted = {id(sweep.columns.identity) for sweep in sweeps} - {current}
        for key in [key for key in self._resident if key not in wanted]:
            self._free.append(self._resident.pop(key).block)
        self._staged = 0
        for sweep, columns in zip(sweeps, needed, strict=True):
            key = id(sweep.columns.identity)
            if key not in self._resident:
                self._resident[key] = self._send(stream, sweep.columns, columns)
        return [self._resident[id(sweep.columns.identity)].cloud for sweep in sweeps]

    def _send(self, stream: int, cloud: PointColumns, columns: Mapping[str, npt.NDArray[Any]]) -> _Resident:
        span = span_of(columns)
        if span is None:
            step, offsets, types = packed_layout(len(columns))
            block = self._take(len(cloud) * step)
            self._send_records(stream, block.address, step, columns)
            return _Resident(cloud.identity, CloudOnDevice(block.address, step, offsets, types), block)
        # What is aligned in host memory is so on the device.
        lead = span.address % _ALIGNMENT
        block = self._take(lead + span.size)
        address = block.address + lead
        if self._is_pinned(span):
            self._context.copy(address, span.address, span.size, stream)
        else:
            source = array_at(span.address, (span.size,), np.uint8)
            for start in range(0, span.size, _CHUNK):
                part = source[start : start + _CHUNK]
                self._stage(stream, len(part))[:] = part
                self._flush(stream, address + start, len(part))
        return _Resident(cloud.identity, CloudOnDevice(address, span.step, span.offsets, span.types), block)

    def _is_pinned(self, span: RecordSpan) -> bool:
        return any(
            memory.address <= span.address and span.address + span.size <= memory.address + memory.size
            for memory in self._received
        )

    def _send_records(
        self, stream: int, address: int, step: int, columns: Mapping[str, npt.NDArray[Any]]
    ) -> None:
        arrays = list(columns.values())
        points = _CHUNK // step
        for start in range(0, len(arrays[0]), points):
            parts = [as_float32(array[start : start + points]) for array in arrays]
            size = len(parts[0]) * step
            records = self._stage(stream, size).view(np.float32).reshape(-1, len(parts))
            for index, part in enumerate(parts):
                records[:, index] = part
            self._flush(stream, address + start * step, size)

    def _stage(self, stream: int, size: int) -> npt.NDArray[np.uint8]:
        """Pinned memory for the next part, which :meth:`_flush` then sends."""
        if self._staged + size > self._staging.size:
            self._context.synchronize(stream)
            self._staged = 0
        array: npt.NDArray[np.uint8] = self._staging.array[self._staged : self._staged + size]
        return array

    def _flush(self, stream: int, address: int, size: int) -> None:
        self._context.copy(address, self._staging.address + self._staged, size, stream)
        # Parts begin aligned, as any type of a column may need.
        self._staged += -(-size // _ALIGNMENT) * _ALIGNMENT

    def _take(self, size: int) -> _Block:
        fitting = [block for block in self._free if block.size >= size]
        if fitting:
            block = min(fitting, key=lambda each: each.size)
            self._free.remove(block)
            return block
        rounded = max(_LEAST_BLOCK, 1 << max(size - 1, 0).bit_length())
        return _Block(self._context.allocate(rounded), rounded)
