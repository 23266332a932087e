"""Image files, read with Pillow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from awml_deploy_core.errors import DatasetError, MissingDependencyError
from awml_deploy_core.family import LazySamples, Sample
from awml_deploy_core.images import Image
from awml_extractors.datasets.natural_order import natural_order

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
"""File endings of images, in any case."""


def read_image(path: Path, frame_id: str = "", stamp_ns: int = 0) -> Image:
    """An image file as blue, green, red; grey ones become colour, transparency is dropped.

    A rotation in the file's EXIF data is applied, as OpenCV does.

    Raises:
        DatasetError: The file is missing, damaged or no image.
        MissingDependencyError: Pillow is not installed.
    """
    try:
        from PIL import Image as Pillow
        from PIL import ImageOps
    except ImportError as error:
        raise MissingDependencyError(
            "image files", "Pillow is not installed", got=error, hint="Run: pip install pillow"
        ) from error
    try:
        with Pillow.open(path) as file:
            rgb = np.asarray(ImageOps.exif_transpose(file).convert("RGB"))
    except (OSError, SyntaxError, ValueError, Pillow.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(path, "is no image that can be read", got=reason) from error
    return Image(np.ascontiguousarray(rgb[:, :, ::-1]), frame_id, stamp_ns)


@dataclass(frozen=True)
class ImageSamples(LazySamples):
    """One sample a file, identified by the file's name without its ending."""

    files: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.files)

    def _load(self, index: int) -> Sample:
        path = self.files[index]
        return Sample(path.stem, read_image(path))


def image_samples(path: Path) -> ImageSamples:
    """The image of a file, or those of a folder by name.

    Raises:
        DatasetError: There is no such file or folder, or no image in the folder.
    """
    if path.is_file():
        return ImageSamples((path,))
    if not path.is_dir():
        raise DatasetError(path, "no such file or folder")
    found = sorted(
        (file for file in path.iterdir() if file.suffix.lower() in ENDINGS and file.is_file()),
        key=natural_order,
    )
    if not found:
        raise DatasetError(path, "no image in the folder", expected=f"files ending in {', '.join(ENDINGS)}")
    return ImageSamples(tuple(found))
