"""Velocities of a moving frame."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Matrix: TypeAlias = npt.NDArray[np.float64]


def body_twist(pose_at: Callable[[int], Matrix], stamp_ns: int, period_ns: int) -> tuple[Matrix, Matrix]:
    """Linear [m/s] and angular [rad/s] velocity in the moving frame, float64 [3] each.

    Central differences over one period, between poses float64 [4, 4] from the moving frame to a
    fixed one; exact for constant acceleration along a line and for constant turning.
    """
    half = period_ns // 2
    before, now, after = (pose_at(stamp_ns + offset) for offset in (-half, 0, half))
    seconds = 2e-9 * half
    linear: Matrix = now[:3, :3].T @ (after[:3, 3] - before[:3, 3]) / seconds
    return linear, _rotation_vector(before[:3, :3].T @ after[:3, :3]) / seconds


def _rotation_vector(rotation: Matrix) -> Matrix:
    """Axis times angle [rad], float64 [3] of a rotation [3, 3] by less than a half turn."""
    twice_sine_axis: Matrix = np.array(
        [
            rotation[2, 1] - rotation[1, 2],
            rotation[0, 2] - rotation[2, 0],
            rotation[1, 0] - rotation[0, 1],
        ]
    )
    sine = float(np.linalg.norm(twice_sine_axis)) / 2
    if sine < 1e-9:
        return twice_sine_axis / 2
    angle = math.atan2(sine, (float(np.trace(rotation)) - 1) / 2)
    return twice_sine_axis * (angle / (2 * sine))
