"""Memory of the device, and memory of the host that the device reads and writes directly."""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class DeviceSpan:
    """Memory on the device."""

    address: int
    size: int
    """Bytes."""


@dataclass(frozen=True)
class DeviceBuffer(DeviceSpan):
    """An array on the device, C-contiguous; it lives as long as the context that made it."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """For ``torch.as_tensor`` and its like, which then share the memory."""
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, False),
            "strides": None,
            "version": 3,
        }


@dataclass(frozen=True, eq=False)
class PinnedBuffer:
    """Page-locked memory of the host, at the same address on the device.

    Copies from and to it need no staging and do not block the host, and a kernel can read or write
    a few bytes of it directly. It lives as long as the context that made it.
    """

    address: int
    array: npt.NDArray[Any]
    """The memory as the host sees it."""

    @property
    def size(self) -> int:
        """Bytes."""
        return int(self.array.nbytes)


def byte_count(shape: tuple[int, ...], dtype: npt.DTypeLike) -> int:
    """Bytes of an array."""
    return math.prod(shape) * np.dtype(dtype).itemsize


def array_at(address: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Host memory as an array, without owning it."""
    block = (ctypes.c_ubyte * byte_count(shape, dtype)).from_address(address)
    array: npt.NDArray[Any] = np.ndarray(shape, np.dtype(dtype), memoryview(block))
    return array
