"""3D detections as a struct of arrays.

Boxes follow REP 103: centre x, y, z [m], length along heading, width, height [m], yaw [rad]
counter-clockwise from +x, velocity in the frame of the cloud [m/s].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import TensorMismatchError

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Detections:
    """N boxes in the frame of the cloud they were found in, best score first."""

    centers: FloatArray
    """float32 [N, 3]: geometric centre x, y, z [m]."""
    sizes: FloatArray
    """float32 [N, 3]: length, width, height [m]."""
    yaws: FloatArray
    """float32 [N]: heading [rad], counter-clockwise from +x, in (-pi, pi]."""
    velocities: FloatArray
    """float32 [N, 2]: vx, vy [m/s] along the cloud frame's axes; zero if the model has none."""
    scores: FloatArray
    """float32 [N]: confidence in [0, 1]."""
    labels: npt.NDArray[np.int32]
    """int32 [N]: index into ``class_names``."""
    class_names: tuple[str, ...]
    has_velocity: bool = True

    def __post_init__(self) -> None:
        n = len(self.scores)
        expected = {
            "centers": (n, 3),
            "sizes": (n, 3),
            "yaws": (n,),
            "velocities": (n, 2),
            "scores": (n,),
            "labels": (n,),
        }
        for name, shape in expected.items():
            actual = getattr(self, name).shape
            if actual != shape:
                raise TensorMismatchError(f"detections.{name}", "wrong shape", got=actual, expected=shape)
        if n and (self.labels.min() < 0 or self.labels.max() >= len(self.class_names)):
            raise TensorMismatchError(
                "detections.labels",
                "label out of range",
                got=f"{self.labels.min()}..{self.labels.max()}",
                expected=f"0..{len(self.class_names) - 1}",
            )

    @classmethod
    def empty(cls, class_names: tuple[str, ...], *, has_velocity: bool = True) -> Detections:
        """No boxes."""
        return cls(
            np.zeros((0, 3), np.float32),
            np.zeros((0, 3), np.float32),
            np.zeros(0, np.float32),
            np.zeros((0, 2), np.float32),
            np.zeros(0, np.float32),
            np.zeros(0, np.int32),
            class_names,
            has_velocity,
        )

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, index: npt.NDArray[Any]) -> Detections:
        """Boxes chosen by an index or boolean array, in its order."""
        return Detections(
            self.centers[index],
            self.sizes[index],
            self.yaws[index],
            self.velocities[index],
            self.scores[index],
            self.labels[index],
            self.class_names,
            self.has_velocity,
        )

    def above(self, min_score: float) -> Detections:
        """Boxes of this score or a better one."""
        return self.select(np.flatnonzero(self.scores >= min_score))

    def count_by_class(self) -> dict[str, int]:
        """Number of boxes of every class, zeros included."""
        counts = np.bincount(self.labels, minlength=len(self.class_names))
        return {name: int(count) for name, count in zip(self.class_names, counts, strict=True)}

    def to_records(self) -> list[dict[str, Any]]:
        """One JSON-ready mapping a box."""
        return [
            {
                "class": self.class_names[int(self.labels[i])],
                "score": float(self.scores[i]),
                "center": [float(v) for v in self.centers[i]],
                "size": [float(v) for v in self.sizes[i]],
                "yaw": float(self.yaws[i]),
                "velocity": [float(v) for v in self.velocities[i]],
            }
            for i in range(len(self))
        ]
