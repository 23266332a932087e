"""Every colour that a pixel has not seen is the mean of the nearest pixels that have."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from awml_deploy_core.bayer import PATTERNS, demosaic
from awml_deploy_core.errors import ImageError

RAW = arrays.arrays(np.uint8, st.tuples(st.integers(2, 7), st.integers(2, 7)))


def mirrored(index: int, size: int) -> int:
    return -index if index < 0 else 2 * (size - 1) - index if index >= size else index


def by_hand(raw: np.ndarray, pattern: str) -> np.ndarray:
    """Pixel by pixel: the nearest of the eight neighbours that see a colour."""
    height, width = raw.shape
    result = np.zeros((height, width, 3), np.uint8)
    for row in range(height):
        for column in range(width):
            for plane, colour in enumerate("bgr"):
                if pattern[row % 2 * 2 + column % 2] == colour:
                    result[row, column, plane] = raw[row, column]
                    continue
                found: dict[int, list[int]] = {}
                for down in (-1, 0, 1):
                    for right in (-1, 0, 1):
                        if pattern[(row + down) % 2 * 2 + (column + right) % 2] == colour:
                            value = raw[mirrored(row + down, height), mirrored(column + right, width)]
                            found.setdefault(abs(down) + abs(right), []).append(int(value))
                nearest = found[min(found)]
                result[row, column, plane] = int(sum(nearest) / len(nearest) + 0.5)
    return result


@given(RAW, st.sampled_from(PATTERNS))
def test_every_pixel_is_as_by_hand(raw: np.ndarray, pattern: str) -> None:
    np.testing.assert_array_equal(demosaic(raw, pattern), by_hand(raw, pattern))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_one_colour_stays_one_colour(pattern: str) -> None:
    bgr = {"b": 10, "g": 100, "r": 250}
    raw = np.tile(np.array([bgr[c] for c in pattern], np.uint8).reshape(2, 2), (3, 4))[:5, :7]
    assert (demosaic(raw, pattern) == [10, 100, 250]).all()


@pytest.mark.parametrize("shape", [(1, 4), (4, 1)])
def test_less_than_the_pattern_is_an_error(shape: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match="smaller than its Bayer pattern"):
        demosaic(np.zeros(shape, np.uint8), "rggb")
