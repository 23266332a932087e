"""LZF decompression, the codec of binary_compressed PCD files (Marc Lehmann's LibLZF format)."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt


def decompress(data: bytes | memoryview, size: int) -> npt.NDArray[np.uint8] | None:
    """The ``size`` bytes that ``data`` holds, or None if it is corrupt."""
    output = np.empty(size, np.uint8)
    if not len(data):
        return output if size == 0 else None
    return output if _decompress(np.frombuffer(data, np.uint8), output) else None


@numba.njit(cache=True)
def _decompress(source: npt.NDArray[np.uint8], output: npt.NDArray[np.uint8]) -> bool:
    """Fill ``output`` exactly; False where a run or a back reference leaves either array."""
    i = o = 0
    while i < source.size:
        control = int(source[i])
        i += 1
        if control < 32:
            length = control + 1
            if i + length > source.size or o + length > output.size:
                return False
            for k in range(length):
                output[o + k] = source[i + k]
            i += length
            o += length
            continue
        length = control >> 5
        if length == 7:
            if i >= source.size:
                return False
            length += int(source[i])
            i += 1
        if i >= source.size:
            return False
        reference = o - ((control & 31) << 8) - int(source[i]) - 1
        i += 1
        length += 2
        if reference < 0 or o + length > output.size:
            return False
        # Byte by byte: the reference may overlap what it produces.
        for k in range(length):
            output[o + k] = output[reference + k]
        o += length
    return o == output.size
