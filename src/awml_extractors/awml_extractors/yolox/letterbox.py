"""Images at the size of the network: scaled as a whole, in the upper left corner, the rest grey."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import ImageError
from awml_deploy_core.images import Image

GREY = 114
"""What the part without image holds, as in training."""

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Letterbox:
    """How an image of one size is put into the network's input, as Autoware's tensorrt_yolox does it."""

    width: int
    height: int
    """Of the image [px]."""
    scaled_width: int
    scaled_height: int
    """Of the image in the input [px]."""
    scale: float
    """Pixels of the input to a pixel of the image."""

    @classmethod
    def of(cls, width: int, height: int, input_size: tuple[int, int]) -> Letterbox:
        """For an image of a size and an input of ``(height, width)``.

        Raises:
            ImageError: The image is so narrow that nothing of it is left.
        """
        scale = min(input_size[1] / width, input_size[0] / height)
        # Whole pixels are cut off, not rounded, with a margin for products that should be whole.
        scaled = [int(size * scale + 1e-6) for size in (width, height)]
        if 0 in scaled:
            raise ImageError(
                "image",
                "is too narrow for the network",
                got=f"{width} x {height} px",
                expected=f"sides in a ratio that {input_size[1]} x {input_size[0]} px can show",
            )
        return cls(width, height, *scaled, scale)

    def make_input(
        self, image: Image, input_size: tuple[int, int], out: FloatArray | None = None
    ) -> FloatArray:
        """float32 [1, 3, H, W]: blue, green, red, 0 to 255 in whole numbers.

        Args:
            image: Of the size that this is for.
            input_size: ``(H, W)``.
            out: Where it is written; a new array if None.
        """
        result = np.empty((1, 3, *input_size), np.float32) if out is None else out
        result.fill(GREY)
        resized = resize_bilinear(image.pixels, self.scaled_width, self.scaled_height)
        result[0, :, : self.scaled_height, : self.scaled_width] = resized.transpose(2, 0, 1)
        return result

    def to_image(self, boxes: FloatArray, margin: float = 0.0) -> FloatArray:
        """Boxes [N, 4] of the input in pixels of the image, inside it.

        Args:
            boxes: Left, top, right, bottom.
            margin: Pixels that the largest coordinate stays below the image's size.
        """
        limit = np.array([self.width, self.height] * 2, np.float32) - np.float32(margin)
        return np.clip(boxes / np.float32(self.scale), 0, limit)


def resize_bilinear(pixels: npt.NDArray[np.uint8], width: int, height: int) -> FloatArray:
    """An image [H, W, 3] at another size, float32 in whole numbers.

    Pixels are squares with their centre at a half, as in OpenCV's INTER_LINEAR, which rounds its
    weights to 1/2048 and may so differ by one.
    """
    rows = pixels.astype(np.float32)
    if height != pixels.shape[0]:
        low, high, weight = _neighbours(pixels.shape[0], height)
        rows = rows[low] + weight[:, None, None] * (rows[high] - rows[low])
    if width != pixels.shape[1]:
        low, high, weight = _neighbours(pixels.shape[1], width)
        rows = rows[:, low] + weight[None, :, None] * (rows[:, high] - rows[:, low])
    rounded: FloatArray = np.floor(rows + np.float32(0.5))
    return rounded


def _neighbours(
    source: int, target: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The two pixels around the centre of every target pixel and the weight of the second."""
    position = np.clip((np.arange(target) + 0.5) * (source / target) - 0.5, 0, source - 1)
    low = np.floor(position).astype(np.int64)
    return low, np.minimum(low + 1, source - 1), (position - low).astype(np.float32)
