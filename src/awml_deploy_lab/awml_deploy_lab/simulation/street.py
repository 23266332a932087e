"""A random street: a road with traffic, pavements, houses, side roads and car parks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from awml_deploy_lab.simulation import motion
from awml_deploy_lab.simulation.furnishing import EGO_CENTER, BodyPool, Furnisher
from awml_deploy_lab.simulation.ground import Ground
from awml_deploy_lab.simulation.motion import Trajectories
from awml_deploy_lab.simulation.overlaps import free_of_overlaps
from awml_deploy_lab.simulation.parameters import SceneParameters
from awml_deploy_lab.simulation.road_users import STATIC

EGO_SIZE = (4.9, 1.9, 1.6)
"""Length, width and height of the ego vehicle [m]."""
_MARGIN = 0.25
"""Free space that road users keep [m]."""


@dataclass(frozen=True, eq=False)
class Street:
    """K bodies with their motion, the ground they stand on, and the ego vehicle's path.

    The order of the bodies is that of ``labels``; the primitives of body k are the rows
    ``first_row[k]`` to ``first_row[k + 1]``.
    """

    labels: npt.NDArray[np.int32]
    """int32 [K]: index into :data:`road_users.CLASS_NAMES`, or STATIC."""
    sizes: npt.NDArray[np.float64]
    """float64 [K, 3]: length, width, height [m]."""
    bounds: npt.NDArray[np.float64]
    """float64 [K, 3]: radius, lowest and highest z of what can be hit [m]."""
    rows: npt.NDArray[np.float32]
    """float32 [P, PRIMITIVE_WIDTH]: primitives of all bodies."""
    first_row: npt.NDArray[np.int32]
    """int32 [K + 1]."""
    trajectories: Trajectories
    ground: Ground
    ego: Trajectories
    """Of the ego vehicle's ``base_link``, one row."""


def make_street(
    rng: np.random.Generator,
    parameters: SceneParameters,
    *,
    times: Sequence[float],
    reach: float,
    pool: BodyPool | None = None,
) -> Street:
    """A street in which no two road users touch at any of ``times``.

    Args:
        rng: The only source of chance.
        parameters: What to draw from.
        times: When the street will be looked at [s].
        reach: How far ahead of and behind the ego vehicle it is furnished [m].
        pool: Where road users, trees and the like come from; all are made anew if None.
    """
    speed = float(rng.uniform(*parameters.ego_speed)) * float(rng.random() > 0.1)
    builder = Furnisher(rng, parameters, speed * min(times) - reach, speed * max(times) + reach, pool)
    speeds = builder.lane_speeds(speed)
    ego_left = builder.lane_offset(1, 0) + rng.normal(0.0, 0.2)
    ego = motion.along_road(0.0, ego_left, speed or 1e-3, min(0.2, 0.02 * speed), 0.3)
    users = [
        *builder.traffic(speeds, rng.uniform(6.0, 14.0)),
        *builder.side_road(),
        *builder.roadside(),
        *builder.blocks(),
    ]
    moving = [item for item in users if item[0] != STATIC]
    fixed = [item for item in users if item[0] == STATIC]
    # The ego vehicle's box is centred ahead of its axle; standing in for it by a longer one is enough.
    rows = [ego, *(row for _, _, row in moving)]
    sizes = np.array(
        [(EGO_SIZE[0] + 2 * EGO_CENTER, EGO_SIZE[1], 0.0), *(body.size for _, body, _ in moving)]
    )
    kept = free_of_overlaps(Trajectories.of(builder.road, rows), sizes, np.asarray(times), _MARGIN)[1:]
    items = [item for item, keep in zip(moving, kept, strict=True) if keep] + fixed
    bodies = [body for _, body, _ in items]
    counts = [len(body.rows) for body in bodies]
    return Street(
        labels=np.array([label for label, _, _ in items], np.int32),
        sizes=np.array([body.size for body in bodies]),
        bounds=np.array([body.bounds for body in bodies]),
        rows=np.concatenate([body.rows for body in bodies]),
        first_row=np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
        trajectories=Trajectories.of(builder.road, [row for _, _, row in items]),
        ground=Ground.random(rng, parameters.slope, parameters.roughness),
        ego=Trajectories.of(builder.road, [ego]),
    )
