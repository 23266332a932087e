"""Rigid poses as plain numbers, and the pose between two others."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import TransformError

Matrix = npt.NDArray[np.float64]
Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]

_NORM_TOLERANCE = 1e-2
_NEARLY_PARALLEL = 0.9995
"""Cosine above which the sine that slerp divides by loses precision and the chord is as good."""


@dataclass(frozen=True)
class Pose:
    """A rotation, then a translation."""

    translation: Vector
    """[m]."""
    rotation: Quaternion
    """x, y, z, w; of length one."""

    def matrix(self) -> Matrix:
        """float64 [4, 4], from this pose's own coordinates to those it is given in."""
        x, y, z, w = self.rotation
        tx, ty, tz = self.translation
        return np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w), tx],
                [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w), ty],
                [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y), tz],
                [0.0, 0.0, 0.0, 1.0],
            ]
        )


@dataclass(frozen=True)
class FrameTransform:
    """Where a frame is in its parent at a time: one geometry_msgs/TransformStamped.

    Raises:
        TransformError: A name is empty, both are the same, a value is not finite or the rotation is
            none.
    """

    parent: str
    child: str
    stamp_ns: int
    pose: Pose

    def __post_init__(self) -> None:
        if not self.parent or not self.child or self.parent == self.child:
            raise TransformError(
                "transform",
                "does not join two frames",
                got=f"parent {self.parent!r}, child {self.child!r}",
            )
        name = f"transform from {self.child} to {self.parent}"
        values = (*self.pose.translation, *self.pose.rotation)
        if not all(map(math.isfinite, values)):
            raise TransformError(name, "is not finite", got=values)
        length = math.hypot(*self.pose.rotation)
        if abs(length - 1.0) > _NORM_TOLERANCE:
            raise TransformError(
                name, "rotation is no unit quaternion", got=f"length {length:g}", expected="1"
            )

    @classmethod
    def checked(
        cls, parent: str, child: str, stamp_ns: int, translation: Vector, rotation: Quaternion
    ) -> FrameTransform:
        """A transform from the values of a message; a leading slash of a name is left out.

        Raises:
            TransformError: As the class itself does.
        """
        raw = cls(parent.lstrip("/"), child.lstrip("/"), stamp_ns, Pose(translation, rotation))
        return cls(raw.parent, raw.child, stamp_ns, Pose(translation, normalised(rotation)))


def normalised(rotation: Quaternion) -> Quaternion:
    """The quaternion of length one in the same direction."""
    x, y, z, w = rotation
    length = math.hypot(x, y, z, w)
    return x / length, y / length, z / length, w / length


def interpolated(first: Pose, second: Pose, fraction: float) -> Pose:
    """The pose between two: linear in the translation, slerp in the rotation.

    The shorter arc (Shoemake, Animating rotation with quaternion curves, 1985).

    Args:
        first: At fraction 0.
        second: At fraction 1.
        fraction: 0 to 1.
    """
    rest = 1.0 - fraction
    translation = tuple(
        rest * a + fraction * b for a, b in zip(first.translation, second.translation, strict=True)
    )
    cosine = sum(a * b for a, b in zip(first.rotation, second.rotation, strict=True))
    # Both signs of a quaternion are the same rotation; only one is near.
    sign = -1.0 if cosine < 0 else 1.0
    cosine = abs(cosine)
    if cosine > _NEARLY_PARALLEL:
        weights = rest, sign * fraction
    else:
        angle = math.acos(cosine)
        weights = (
            math.sin(rest * angle) / math.sin(angle),
            sign * math.sin(fraction * angle) / math.sin(angle),
        )
    rotation = tuple(
        weights[0] * a + weights[1] * b for a, b in zip(first.rotation, second.rotation, strict=True)
    )
    return Pose(translation, normalised(rotation))  # type: ignore[arg-type]


def inverse(matrix: Matrix) -> Matrix:
    """Inverse of a rigid transform, float64 [4, 4]."""
    result = np.eye(4)
    result[:3, :3] = matrix[:3, :3].T
    result[:3, 3] = -matrix[:3, :3].T @ matrix[:3, 3]
    return result
