"""Cyclists and pedestrians, each of several primitives."""

from __future__ import annotations

import numpy as np

from awml_deploy_lab.simulation.chance import pick, sign
from awml_deploy_lab.simulation.primitives import TYRE, Body, box, cylinder, ellipsoid


def cyclist(rng: np.random.Generator, scale: float = 1.0) -> Body:
    """A bicycle or motorcycle, mostly with a rider."""
    motorised = rng.random() < 0.4
    ridden = rng.random() < 0.88
    length = (rng.uniform(1.9, 2.25) if motorised else rng.uniform(1.6, 1.85)) * scale
    width = (rng.uniform(0.68, 0.88) if motorised else rng.uniform(0.5, 0.68)) * scale
    half, wheel = length / 2, 0.3 if motorised else 0.335
    thickness, solid = (0.07, 0.0) if motorised else (0.025, 0.5)
    seat = rng.uniform(0.74, 0.84) if motorised else rng.uniform(0.85, 1.0)
    bar = seat + rng.uniform(0.1, 0.25)
    rows = [
        *(
            ellipsoid((x, 0.0, wheel), (wheel, thickness, wheel), reflectivity=TYRE, transmittance=solid)
            for x in (half - wheel, wheel - half)
        ),
        box((half - wheel - 0.2, half - wheel - 0.12), (-width / 2, width / 2), (bar - 0.05, bar)),
        box((half - wheel - 0.14, half - wheel - 0.06), (-0.04, 0.04), (wheel, bar)),
    ]
    if motorised:
        rows += [
            ellipsoid((0.05, 0.0, 0.55), (0.52, 0.17, 0.26), reflectivity=rng.uniform(0.1, 0.8)),
            box((-half + 0.15, -0.05), (-0.15, 0.15), (seat - 0.2, seat), taper=(0.3, 0.3, 0.1)),
        ]
        if rng.random() < 0.5:
            rows.append(
                box((half - 0.6, half - 0.35), (-0.25, 0.25), (0.6, bar + 0.2), taper=(0.4, -0.2, 0.1))
            )
    else:
        rows += [
            box((-0.45, 0.4), (-0.03, 0.03), (wheel + 0.12, seat - 0.12), transmittance=0.5),
            box((-0.35, -0.1), (-0.08, 0.08), (seat - 0.08, seat)),
        ]
        if rng.random() < 0.4:
            rows.append(box((half - 0.45, half - 0.1), (-0.18, 0.18), (0.75, 1.05), transmittance=0.3))
    height = bar
    if ridden:
        cloth, forward = rng.uniform(0.1, 0.7), rng.uniform(0.0, 0.18)
        torso = rng.uniform(0.26, 0.31)
        shoulders = rng.uniform(0.19, 0.24)
        hip = -0.18
        rows += [
            ellipsoid(
                (hip + forward, 0.0, seat + torso), (0.17, shoulders, torso + 0.06), reflectivity=cloth
            ),
            ellipsoid(
                (hip + 1.6 * forward, 0.0, seat + 2 * torso + 0.16), (0.11, 0.1, 0.14), reflectivity=0.4
            ),
        ]
        for side in (-1, 1):
            rows += [
                ellipsoid((hip + 0.28, side * 0.13, seat - 0.02), (0.27, 0.09, 0.11), reflectivity=cloth),
                ellipsoid(
                    (hip + 0.42 - 0.1 * side, side * 0.13, seat - 0.3),
                    (0.09, 0.07, 0.28),
                    reflectivity=cloth,
                ),
                ellipsoid(
                    (hip + forward + 0.28, side * shoulders, seat + 1.45 * torso),
                    (0.28, 0.06, 0.08),
                    reflectivity=cloth,
                ),
            ]
        height = seat + 2 * torso + 0.3
    return Body.of((length, width, height), rows)


def pedestrian(rng: np.random.Generator, scale: float = 1.0) -> Body:
    """A standing or walking adult or child, some with a bag, pushchair or umbrella."""
    child = rng.random() < 0.14
    height = (rng.uniform(1.05, 1.45) if child else rng.normal(1.7, 0.09)) * scale
    build = height / 1.7 * rng.uniform(0.9, 1.15)
    stride = pick(rng, (0.08, rng.uniform(0.15, 0.6))) * height / 1.7
    shoulders, cloth, trousers = 0.22 * build, rng.uniform(0.08, 0.8), rng.uniform(0.08, 0.6)
    hip, neck = 0.5 * height, 0.84 * height
    swing = sign(rng)
    rows = [
        ellipsoid(
            (0.0, 0.0, 0.93 * height), (0.1 * build, 0.085 * build, 0.075 * height), reflectivity=0.45
        ),
        ellipsoid(
            (0.0, 0.0, (hip + neck) / 2), (0.14 * build, shoulders, 0.56 * (neck - hip)), reflectivity=cloth
        ),
        cylinder(
            (0.0, 0.0),
            (0.13 * build, 0.17 * build),
            (hip - 0.1 * height, hip + 0.12 * height),
            reflectivity=trousers,
        ),
    ]
    for side in (-1, 1):
        foot = side * swing * stride / 2
        rows += [
            cylinder(
                (foot / 2, side * 0.09 * build),
                (0.085 * build, 0.08 * build),
                (0.25 * height, hip),
                reflectivity=trousers,
            ),
            cylinder(
                (foot, side * 0.09 * build),
                (0.07 * build, 0.065 * build),
                (0.0, 0.27 * height),
                reflectivity=trousers,
            ),
            ellipsoid(
                (-foot / 2, side * (shoulders + 0.05 * build), 0.62 * height),
                (0.07 * build + abs(foot) / 4, 0.055 * build, 0.17 * height),
                reflectivity=cloth,
            ),
        ]
    length, width = max(0.32 * build, stride + 0.2 * build), 2 * shoulders + 0.2 * build
    extra = rng.random()
    if extra < 0.12:
        rows.append(
            ellipsoid((-0.22 * build, 0.0, 0.7 * height), (0.13 * build, 0.16 * build, 0.15 * height))
        )
        length += 0.12 * build
    elif extra < 0.17 and not child:
        rows += [
            box((0.5, 1.15), (-0.22, 0.22), (0.35, 0.75), taper=(0.2, 0.2, 0.1)),
            *(
                ellipsoid((x, s * 0.2, 0.12), (0.12, 0.03, 0.12), reflectivity=TYRE)
                for x in (0.55, 1.1)
                for s in (-1, 1)
            ),
        ]
    elif extra < 0.21:
        rows.append(ellipsoid((0.0, 0.0, height + 0.12), (0.45, 0.45, 0.1)))
    return Body.of((length, width, height), rows)
