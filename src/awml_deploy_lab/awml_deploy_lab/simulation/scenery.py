"""What stands in a street and is no road user."""

from __future__ import annotations

import numpy as np

from awml_deploy_lab.simulation.chance import pick, sign
from awml_deploy_lab.simulation.primitives import Body, Row, box, cylinder, ellipsoid

_BELOW = -1.5
"""Foot of long solids [m], below the ground wherever it slopes."""


def building(rng: np.random.Generator, width: float, depth: float) -> Body:
    """A house that faces -y or +y: walls, a protruding or receding ground floor, balconies, a roof."""
    height = pick(rng, (rng.uniform(3.0, 7.0), rng.uniform(6.0, 24.0)))
    half, side, paint = width / 2, depth / 2, rng.uniform(0.15, 0.8)
    ground_floor = rng.uniform(2.6, 3.6)
    set_back = rng.uniform(-0.5, 0.8)
    rows = [
        box(
            (-half, half),
            (-side + set_back, side - set_back),
            (_BELOW, ground_floor),
            reflectivity=paint,
            transmittance=0.06,
        ),
        box(
            (-half, half),
            (-side, side),
            (ground_floor, max(height, ground_floor + 0.5)),
            reflectivity=paint,
            transmittance=0.08,
        ),
    ]
    if rng.random() < 0.4:
        rows.append(
            box(
                (-half, half),
                (-side, side),
                (height, height + 0.3 * depth),
                taper=(0.0, 0.0, 1.5),
                reflectivity=0.3,
            )
        )
    for _ in range(int(rng.integers(0, 5))):
        x, y = rng.uniform(-half, half), side * sign(rng)
        low = rng.uniform(0.0, max(height - 3.0, 0.5))
        reach = rng.uniform(0.3, 1.2)
        rows.append(
            box(
                (x - rng.uniform(0.4, 2.0), x + rng.uniform(0.4, 2.0)),
                (y - reach, y + reach),
                (low, low + rng.uniform(0.2, 2.4)),
            )
        )
    return Body.of((width, depth, height), rows)


def tree(rng: np.random.Generator) -> Body:
    """A trunk and a porous crown."""
    trunk, radius = rng.uniform(1.4, 3.8), rng.uniform(0.07, 0.26)
    spread = rng.uniform(0.9, 2.6)
    rows = [cylinder((0.0, 0.0), (radius, radius), (_BELOW, trunk + 0.6), reflectivity=0.3)]
    for _ in range(int(rng.integers(2, 6))):
        x, y = rng.normal(0.0, 0.35 * spread, 2)
        half = spread * rng.uniform(0.35, 0.8, 3)
        rows.append(
            ellipsoid(
                (x, y, trunk + rng.uniform(0.5, 1.4) * spread),
                tuple(half),
                reflectivity=0.35,
                transmittance=rng.uniform(0.4, 0.7),
            )
        )
    return Body.of((2 * spread, 2 * spread, trunk + 2 * spread), rows)


def bush(rng: np.random.Generator) -> Body:
    """Low foliage of one to three ellipsoids."""
    rows = []
    for _ in range(int(rng.integers(1, 4))):
        x, y = rng.normal(0.0, 0.4, 2)
        half = rng.uniform(0.25, 0.95, 3)
        rows.append(
            ellipsoid(
                (x, y, 0.6 * half[2]), tuple(half), reflectivity=0.35, transmittance=rng.uniform(0.15, 0.5)
            )
        )
    return Body.of((2.0, 2.0, 1.5), rows)


def hedge(rng: np.random.Generator, length: float) -> Body:
    """A trimmed hedge, fence or wall along x."""
    height, porous = rng.uniform(0.6, 2.2), pick(rng, (0.0, 0.25, 0.6))
    thickness = rng.uniform(0.06, 0.25) if porous != 0.25 else rng.uniform(0.4, 0.9)
    extent = (-length / 2, length / 2), (-thickness / 2, thickness / 2)
    return Body.of(
        (length, thickness, height),
        [box(*extent, (_BELOW, height), reflectivity=rng.uniform(0.2, 0.6), transmittance=porous)],
    )


def pole(rng: np.random.Generator) -> Body:
    """A lamp post, sign or traffic light."""
    height, radius = rng.uniform(2.2, 9.0), rng.uniform(0.035, 0.16)
    rows: list[Row] = [
        cylinder((0.0, 0.0), (radius, radius), (_BELOW, height), reflectivity=rng.uniform(0.2, 0.6))
    ]
    kind = rng.random()
    if kind < 0.3:
        rows.append(box((-0.04, 0.04), (-0.3, 0.3), (height - 0.7, height), reflectivity=0.95))
    elif kind < 0.5:
        rows.append(box((-0.2, 0.2), (-0.2, 0.2), (height - 1.0, height), reflectivity=0.3))
    elif kind < 0.75:
        reach = rng.uniform(1.0, 3.5)
        rows.append(box((-0.06, 0.06), (0.0, reach), (height - 0.15, height), reflectivity=0.4))
    if rng.random() < 0.25:
        rows.append(cylinder((0.0, 0.0), (0.2, 0.2), (_BELOW, rng.uniform(0.4, 1.3)), reflectivity=0.4))
    return Body.of((0.4, 0.4, height), rows)


def furniture(rng: np.random.Generator) -> Body:
    """A bin, bollard, cone, bench, cabinet, kiosk, shelter, barrier or container."""
    kind = rng.integers(0, 9)
    shade = rng.uniform(0.15, 0.8)
    if kind == 0:
        half, height = rng.uniform(0.2, 0.45), rng.uniform(0.7, 1.3)
        rows = [
            box((-half, half), (-half, half), (0.0, height), taper=(-0.1, -0.1, -0.1), reflectivity=shade)
        ]
    elif kind == 1:
        rows = [cylinder((0.0, 0.0), (0.08, 0.08), (0.0, rng.uniform(0.6, 1.1)), reflectivity=shade)]
    elif kind == 2:
        rows = [
            box((-0.2, 0.2), (-0.2, 0.2), (0.0, 0.06)),
            box((-0.15, 0.15), (-0.15, 0.15), (0.05, 0.75), taper=(0.18, 0.18, 0.18), reflectivity=0.8),
        ]
    elif kind == 3:
        rows = [
            box((-0.8, 0.8), (-0.25, 0.25), (0.35, 0.47)),
            box((-0.8, 0.8), (-0.3, -0.22), (0.47, 0.9), transmittance=0.3),
            box((-0.7, -0.6), (-0.25, 0.25), (0.0, 0.4)),
            box((0.6, 0.7), (-0.25, 0.25), (0.0, 0.4)),
        ]
    elif kind == 4:
        length, height = rng.uniform(0.4, 1.4), rng.uniform(0.9, 1.8)
        rows = [box((-length / 2, length / 2), (-0.25, 0.25), (0.0, height), reflectivity=shade)]
    elif kind == 5:
        rows = [
            box((-1.0, 1.0), (-0.8, 0.8), (0.0, 2.3), reflectivity=shade),
            box((-1.2, 1.2), (-1.0, 1.0), (2.3, 2.45)),
        ]
    elif kind == 6:
        rows = [
            box((-2.0, 2.0), (-0.75, -0.7), (0.2, 2.2), transmittance=0.6),
            box((-2.0, 2.0), (-0.75, 0.75), (2.3, 2.4)),
            cylinder((-1.9, 0.6), (0.05, 0.05), (0.0, 2.3)),
            cylinder((1.9, 0.6), (0.05, 0.05), (0.0, 2.3)),
            box((-1.4, 1.4), (-0.6, -0.2), (0.4, 0.5)),
        ]
    elif kind == 7:
        length = rng.uniform(1.2, 4.0)
        rows = [
            box(
                (-length / 2, length / 2),
                (-0.3, 0.3),
                (0.0, 0.85),
                taper=(0.0, 0.0, 0.25),
                reflectivity=0.6,
            )
        ]
    else:
        length, height = rng.uniform(1.8, 6.0), rng.uniform(1.2, 2.6)
        rows = [
            box(
                (-length / 2, length / 2),
                (-1.0, 1.0),
                (0.1, height),
                taper=(-0.15, -0.15, 0.0),
                reflectivity=shade,
            )
        ]
    body = Body.of((1.0, 1.0, 1.0), rows)
    reach, _, top = body.bounds
    return Body((2 * reach, 2 * reach, top), body.rows, body.bounds)


def pavement(length: float, width: float, height: float) -> Body:
    """A raised strip whose edge is the curb."""
    return Body.of(
        (length, width, height),
        [
            box(
                (-length / 2, length / 2),
                (-width / 2, width / 2),
                (_BELOW, height),
                taper=(0.0, 0.0, 0.05),
                reflectivity=0.25,
            )
        ],
    )
