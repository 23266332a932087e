"""Memory that two processes share, without a name that could be left behind."""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_ALIGNMENT = 64


class Arena:
    """One anonymous file in memory; it is gone when both processes are.

    Args:
        descriptor: Of an arena of the other process, which inherited it; None makes one.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        self.descriptor = os.memfd_create("awml_deploy_shadow") if descriptor is None else descriptor
        self._map: mmap.mmap | None = None

    def write(self, arrays: Sequence[npt.NDArray[Any]]) -> list[dict[str, Any]]:
        """Copy arrays; return where they are, JSON-ready."""
        offsets = np.cumsum([0, *(-(-array.nbytes // _ALIGNMENT) * _ALIGNMENT for array in arrays)])
        self._reserve(int(offsets[-1]))
        places = []
        for offset, array in zip(offsets, arrays, strict=False):
            dtype = array.dtype.newbyteorder("=")
            place = {"offset": int(offset), "dtype": dtype.str, "shape": list(array.shape)}
            np.copyto(self._at(place), array)
            places.append(place)
        return places

    def read(self, place: Mapping[str, Any]) -> npt.NDArray[Any]:
        """A copy of what lies at a place."""
        self._reserve(0)
        return np.array(self._at(place))

    def close(self) -> None:
        """Give the memory back. Calling it twice is allowed."""
        if self._map is not None:
            self._map.close()
            self._map = None
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _at(self, place: Mapping[str, Any]) -> npt.NDArray[Any]:
        shape, dtype = tuple(place["shape"]), np.dtype(place["dtype"])
        if not int(np.prod(shape)):
            return np.zeros(shape, dtype)
        assert self._map is not None
        return np.ndarray(shape, dtype, self._map, place["offset"])

    def _reserve(self, size: int) -> None:
        """Map the whole file, which grows to ``size`` if it is smaller."""
        present = os.fstat(self.descriptor).st_size
        if present < size:
            os.ftruncate(self.descriptor, size)
            present = size
        if present and (self._map is None or len(self._map) != present):
            if self._map is not None:
                self._map.close()
            self._map = mmap.mmap(self.descriptor, present)
