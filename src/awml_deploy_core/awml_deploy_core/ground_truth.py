"""What an annotator or a simulator says is in a frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from awml_deploy_core.detections import Detections
from awml_deploy_core.errors import TensorMismatchError


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """The boxes of one frame, in the frame of its cloud."""

    boxes: Detections
    """M boxes with score 1. Where an annotator gave no velocity, it is NaN."""
    num_points: npt.NDArray[np.int32]
    """int32 [M]: LiDAR points on each box in the current sweep; -1 where unknown."""
    track_ids: npt.NDArray[np.int32]
    """int32 [M]: same number for the same road user in other frames of a drive; -1 where unknown."""

    def __post_init__(self) -> None:
        for name in ("num_points", "track_ids"):
            actual, expected = getattr(self, name).shape, (len(self.boxes),)
            if actual != expected:
                raise TensorMismatchError(
                    f"ground_truth.{name}", "wrong shape", got=actual, expected=expected
                )

    def __len__(self) -> int:
        return len(self.boxes)

    def select(self, index: npt.NDArray[np.bool_] | npt.NDArray[np.integer]) -> GroundTruth:
        """Boxes chosen by an index or boolean array, in its order."""
        return GroundTruth(self.boxes.select(index), self.num_points[index], self.track_ids[index])
