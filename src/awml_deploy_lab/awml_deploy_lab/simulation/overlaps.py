"""Which road users would drive through each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from awml_deploy_lab.simulation.motion import Trajectories

Array = npt.NDArray[np.float64]


def free_of_overlaps(
    trajectories: Trajectories, sizes: Array, times: Array, margin: float
) -> npt.NDArray[np.bool_]:
    """Which bodies to keep, bool [K], so that no two kept ones touch at any of the times.

    Of two that do, the one that comes first stays.

    Args:
        trajectories: Of K bodies.
        sizes: float64 [K, 2+]: length and width [m].
        times: [s].
        margin: Distance [m] that counts as touching.
    """
    half = sizes[:, :2] / 2 + margin / 2
    radius = np.hypot(half[:, 0], half[:, 1])
    touching: set[tuple[int, int]] = set()
    for time in times:
        poses = trajectories.at(float(time))
        dx, dy = poses.x[None] - poses.x[:, None], poses.y[None] - poses.y[:, None]
        near = np.triu(dx**2 + dy**2 < (radius[None] + radius[:, None]) ** 2, k=1)
        first, second = np.nonzero(near)
        hit = _rectangles_touch(
            np.stack([dx[first, second], dy[first, second]], axis=1),
            poses.yaw[first],
            poses.yaw[second],
            half[first],
            half[second],
        )
        touching.update(zip(first[hit].tolist(), second[hit].tolist(), strict=True))
    kept = np.ones(len(half), bool)
    for i, j in sorted(touching):
        if kept[i]:
            kept[j] = False
    return kept


def _rectangles_touch(offset: Array, yaw_a: Array, yaw_b: Array, half_a: Array, half_b: Array) -> Array:
    """Separating axes of pairs of rectangles: bool [pairs]."""
    result = np.ones(len(offset), bool)
    axes_a = np.stack([np.cos(yaw_a), np.sin(yaw_a)], 1), np.stack([-np.sin(yaw_a), np.cos(yaw_a)], 1)
    axes_b = np.stack([np.cos(yaw_b), np.sin(yaw_b)], 1), np.stack([-np.sin(yaw_b), np.cos(yaw_b)], 1)
    for axis in (*axes_a, *axes_b):
        reach = sum(
            half[:, k] * np.abs((axes[k] * axis).sum(1))
            for half, axes in ((half_a, axes_a), (half_b, axes_b))
            for k in (0, 1)
        )
        result &= np.abs((offset * axis).sum(1)) < reach
    return result
