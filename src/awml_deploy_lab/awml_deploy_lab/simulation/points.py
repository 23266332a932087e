"""Points in any number, spread like those of a LiDAR, for benchmarks."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from awml_deploy_core.errors import DatasetError
from awml_deploy_lab.simulation.drive import SimulatedDrive
from awml_deploy_lab.simulation.lidar import LIDARS
from awml_deploy_lab.simulation.parameters import HELD_OUT

_MOST_OF_64_BEAMS = 150_000


def lidar_like_points(n: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Exactly ``n`` points of one simulated sweep in firing order.

    The same arguments give the same bits on the same machine.

    Args:
        n: As many firings are made as it takes, so that none is repeated.
        seed: Of the scene and of the choice, 0 or more.

    Returns:
        float32 [n, 4]: x, y, z [m] in ``base_link``, intensity 0 to 255.

    Raises:
        DatasetError: ``n`` is negative.
    """
    if n < 0:
        raise DatasetError("lidar_like_points", "negative number of points", got=n)
    lidar = LIDARS["hdl64" if n <= _MOST_OF_64_BEAMS else "os128"]
    columns = 64 + math.ceil(1.3 * n / lidar.beams)
    while True:
        drive = SimulatedDrive(seed, HELD_OUT, replace(lidar, columns=columns), duration=1.0)
        sweep = drive.sweep(0)
        if len(sweep.xyz) >= n:
            break
        columns = math.ceil(1.25 * columns)
    chosen = np.sort(np.random.default_rng(seed).choice(len(sweep.xyz), n, replace=False))
    return np.column_stack([sweep.xyz[chosen], sweep.intensity[chosen].astype(np.float32)])
