"""Where a data set's annotators labelled everything, so that a detection of nothing can be told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections
from awml_deploy_core.reporting.bev_view import box_corners
from awml_extractors.datasets.kitti_labels import KittiCalibration

Mask = npt.NDArray[np.bool_]

IMAGE_SIZE = (1242, 375)
"""Width and height [px] of KITTI's rectified images, which differ between drives by a few per cent."""
IGNORED_SHARE = 0.5
"""Of a box in the image that has to be in an ignored region for it to be ignored."""


@dataclass(frozen=True)
class Everywhere:
    """All around the sensor."""

    def judges(self, boxes: Detections) -> Mask:
        """bool [N]: true."""
        return np.ones(len(boxes), bool)


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """In KITTI's camera image, but for regions that its annotators ignored."""

    calibration: KittiCalibration
    to_velodyne: npt.NDArray[np.float64]
    """float64 [4, 4]: from ``base_link``."""
    ignored_regions: npt.NDArray[np.float64]
    """float64 [K, 4]: left, top, right, bottom [px]."""

    def judges(self, boxes: Detections) -> Mask:
        """bool [N]: whether the centre is in the image and most of the box in no ignored region."""
        u, v, _ = self._project(boxes.centers.astype(np.float64)).T
        # Comparisons with the NaN of what is behind the camera are false.
        inside: Mask = (u >= 0) & (u < IMAGE_SIZE[0]) & (v >= 0) & (v < IMAGE_SIZE[1])
        for index in np.flatnonzero(inside):
            inside[index] = self._ignored_share(boxes.select(np.array([index]))) < IGNORED_SHARE
        return inside

    def _ignored_share(self, box: Detections) -> float:
        """Largest share of the box's rectangle in the image that is in one ignored region."""
        around = box_corners(box)[0]
        heights = box.centers[0, 2] + np.array([-0.5, 0.5]) * box.sizes[0, 2]
        corners = np.concatenate([np.column_stack([around, np.full(4, height)]) for height in heights])
        pixels = self._project(corners)[:, :2]
        low = np.clip(np.nanmin(pixels, axis=0), 0, IMAGE_SIZE)
        high = np.clip(np.nanmax(pixels, axis=0), 0, IMAGE_SIZE)
        shared = np.minimum(high, self.ignored_regions[:, 2:]) - np.maximum(
            low, self.ignored_regions[:, :2]
        )
        areas = np.clip(shared, 0, None).prod(axis=1)
        return float(areas.max(initial=0.0) / max((high - low).prod(), 1e-9))

    def _project(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return self.calibration.project(points @ self.to_velodyne[:3, :3].T + self.to_velodyne[:3, 3])
