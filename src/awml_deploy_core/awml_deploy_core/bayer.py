"""Colour images from sensors whose pixels see one colour each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import ImageError

_PLANE = {"b": 0, "g": 1, "r": 2}
PATTERNS = ("rggb", "bggr", "gbrg", "grbg")
"""Colours of the upper left 2 x 2 pixels, row by row, as ROS names them."""


def demosaic(raw: npt.NDArray[np.uint8], pattern: str) -> npt.NDArray[np.uint8]:
    """Blue, green and red of every pixel, by bilinear interpolation.

    A colour that a pixel has not seen is the mean of its two or four nearest neighbours that have,
    rounded half up; the image is mirrored about its outermost pixels.

    Args:
        raw: uint8 [H, W], at least 2 x 2; may be a strided view.
        pattern: One of :data:`PATTERNS`.

    Returns:
        uint8 [H, W, 3].

    Raises:
        ImageError: The image is smaller than the pattern.
    """
    if min(raw.shape) < 2:
        raise ImageError(
            "image", "is smaller than its Bayer pattern", got=f"{raw.shape[1]} x {raw.shape[0]} px"
        )
    # Mirrored without repeating the edge, so that the pattern goes on as it is.
    padded = np.pad(raw, 1, mode="reflect").astype(np.uint16)
    result = np.empty((*raw.shape, 3), np.uint8)
    for row in range(2):
        for column in range(2):
            _fill(result, padded, pattern, row, column)
    return result


def _fill(
    result: npt.NDArray[np.uint8], padded: npt.NDArray[np.uint16], pattern: str, row: int, column: int
) -> None:
    """Every second pixel of every second row, from ``row`` and ``column`` on."""
    height, width = result.shape[:2]

    def neighbour(down: int, right: int) -> npt.NDArray[np.uint16]:
        return padded[row + 1 + down : height + 1 + down : 2, column + 1 + right : width + 1 + right : 2]

    def put(colour: str, values: npt.NDArray[np.uint16]) -> None:
        result[row::2, column::2, _PLANE[colour]] = values

    beside = neighbour(0, -1) + neighbour(0, 1)
    above = neighbour(-1, 0) + neighbour(1, 0)
    seen = pattern[2 * row + column]
    put(seen, neighbour(0, 0))
    if seen == "g":
        put(pattern[2 * row + 1 - column], (beside + 1) // 2)
        put(pattern[2 * (1 - row) + column], (above + 1) // 2)
        return
    diagonal = neighbour(-1, -1) + neighbour(-1, 1) + neighbour(1, -1) + neighbour(1, 1)
    put("g", (beside + above + 2) // 4)
    put("b" if seen == "r" else "r", (diagonal + 2) // 4)
