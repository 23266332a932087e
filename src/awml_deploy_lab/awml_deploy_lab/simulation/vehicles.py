"""Cars, trucks and buses, each of several primitives.

Sizes are those usual in traffic; what makes a shape (glass that a beam passes, wheels, a bonnet) matters
more here than its details.
"""

from __future__ import annotations

import numpy as np

from awml_deploy_lab.simulation.chance import pick
from awml_deploy_lab.simulation.primitives import TYRE, Body, Row, box, ellipsoid

_GLASS = 0.4
"""Share of beams that pass a window."""


def _wheels(positions: tuple[float, ...], width: float, radius: float, thickness: float) -> list[Row]:
    return [
        ellipsoid(
            (x, side * (width - thickness) / 2, radius), (radius, thickness / 2, radius), reflectivity=TYRE
        )
        for x in positions
        for side in (-1, 1)
    ]


def car(rng: np.random.Generator, scale: float = 1.0) -> Body:
    """A hatchback, saloon, estate, SUV, van or pickup."""
    style = pick(rng, range(6), (0.24, 0.22, 0.14, 0.22, 0.11, 0.07))
    length, width, height = (
        (rng.uniform(3.5, 4.3), rng.uniform(1.6, 1.82), rng.uniform(1.42, 1.6)),
        (rng.uniform(4.4, 5.1), rng.uniform(1.72, 1.95), rng.uniform(1.38, 1.52)),
        (rng.uniform(4.4, 4.95), rng.uniform(1.72, 1.9), rng.uniform(1.42, 1.6)),
        (rng.uniform(4.2, 5.0), rng.uniform(1.78, 2.02), rng.uniform(1.6, 1.85)),
        (rng.uniform(4.4, 5.6), rng.uniform(1.75, 2.05), rng.uniform(1.85, 2.3)),
        (rng.uniform(4.9, 5.6), rng.uniform(1.8, 2.05), rng.uniform(1.7, 1.95)),
    )[style]
    length, width, height = length * scale, width * scale, height * scale
    paint, half, side = rng.uniform(0.08, 0.9), length / 2, width / 2
    floor, waist = rng.uniform(0.16, 0.26), height * rng.uniform(0.54, 0.62)
    # Rear and front end of the cabin's foot as a share of the length, and the slope of its ends.
    back, front, rake, tail = (
        (-0.48, 0.22, 0.8, 0.35),
        (-0.36, 0.2, 1.0, 0.9),
        (-0.48, 0.2, 0.95, 0.35),
        (-0.48, 0.24, 0.75, 0.25),
        (-0.49, 0.38, 0.6, 0.06),
        (-0.1, 0.24, 0.7, 0.1),
    )[style]
    rise = height - waist
    cabin = ((back + rng.uniform(-0.02, 0.02)) * length, (front + rng.uniform(-0.03, 0.03)) * length)
    roof = (cabin[0] + tail * rise * 0.95, cabin[1] - rake * rise * 0.95)
    lean = rng.uniform(0.12, 0.28)
    shoulder = side - 0.04
    rows = [
        box(
            (-half, half),
            (-side, side),
            (floor, waist),
            taper=(rng.uniform(0.1, 0.5), rng.uniform(0.05, 0.25), 0.06),
            reflectivity=paint,
        ),
        box(
            cabin,
            (-shoulder, shoulder),
            (waist, height - 0.02),
            taper=(rake, tail, lean),
            reflectivity=0.25,
            transmittance=_GLASS,
        ),
        box(
            roof,
            (-shoulder + lean * rise, shoulder - lean * rise),
            (height - 0.07, height),
            reflectivity=paint,
        ),
        box((cabin[0] + 0.5, cabin[1] - 0.9), (-side + 0.25, side - 0.25), (waist - 0.3, waist + 0.25)),
        *(
            box(
                (0.2 * length, 0.2 * length + 0.15),
                (s * side - 0.08, s * side + 0.1),
                (waist, waist + 0.14),
                reflectivity=paint,
            )
            for s in (-1, 1)
        ),
        *_wheels((0.31 * length, -0.29 * length), width, rng.uniform(0.29, 0.37), 0.2),
    ]
    if style == 5:
        rows += [
            box(
                (-half, cabin[0]),
                (s * side - 0.05, s * side + 0.05),
                (waist, waist + 0.15),
                reflectivity=paint,
            )
            for s in (-1, 1)
        ]
    return Body.of((length, width, height), rows)


def truck(rng: np.random.Generator, scale: float = 1.0) -> Body:
    """A rigid lorry: box body, tipper, flatbed with a load, or tanker."""
    small = rng.random() < 0.4
    length = rng.uniform(4.8, 6.6) if small else rng.uniform(6.6, 11.5)
    width = rng.uniform(1.85, 2.2) if small else rng.uniform(2.2, 2.55)
    height = rng.uniform(2.1, 2.9) if small else rng.uniform(2.8, 3.8)
    length, width, height = length * scale, width * scale, height * scale
    half, side, paint, load = length / 2, width / 2, rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.9)
    cab = rng.uniform(1.5, 2.2)
    top = height * rng.uniform(0.72, 0.98)
    bed = (0.75 if small else 1.05) * rng.uniform(0.85, 1.15)
    rear = half - cab - rng.uniform(0.1, 0.4)
    axles = (half - 0.9, -half + 1.2) if small else (half - 1.2, -half + 2.6, -half + 1.4)
    rows = [
        box(
            (half - cab, half),
            (-side, side),
            (0.4, 0.55 * top),
            taper=(0.03, 0.0, 0.02),
            reflectivity=paint,
        ),
        box(
            (half - cab, half - 0.03),
            (-side, side),
            (0.55 * top, 0.88 * top),
            taper=(rng.uniform(0.1, 0.35), 0.0, 0.06),
            reflectivity=0.25,
            transmittance=0.5 * _GLASS,
        ),
        box(
            (half - cab, half - 0.3),
            (-side + 0.1, side - 0.1),
            (0.86 * top, top),
            taper=(0.3, 0.0, 0.1),
            reflectivity=paint,
        ),
        box((half - cab + 0.1, half - 0.7), (-side + 0.2, side - 0.2), (0.6, 0.7 * top)),
        box((-half, half - cab), (-0.5, 0.5), (0.5, bed), reflectivity=0.2),
        box((-half, rear), (-side, side), (bed - 0.12, bed), reflectivity=0.3),
        *_wheels(axles, width, 0.38 if small else 0.5, 0.3),
    ]
    kind = rng.random()
    if kind < 0.55:
        rows.append(box((-half, rear), (-side, side), (bed, height), reflectivity=load))
    elif kind < 0.75:
        wall = bed + rng.uniform(0.4, 1.0)
        rows += [
            box((-half, rear), (s * side - 0.05, s * side + 0.05), (bed, wall), reflectivity=load)
            for s in (-1, 1)
        ]
        rows.append(box((-half, -half + 0.08), (-side, side), (bed, wall), reflectivity=load))
        rows.append(
            box(
                (-half + 0.1, rear - 0.1),
                (-side + 0.1, side - 0.1),
                (bed, wall - 0.2),
                taper=(0.4, 0.4, 0.2),
            )
        )
    elif kind < 0.9:
        for start in np.linspace(-half + 0.2, rear - 1.3, rng.integers(1, 4)):
            rise = rng.uniform(0.4, height - bed)
            rows.append(
                box((start, start + 1.2), (-side + 0.2, side - 0.2), (bed, bed + rise), reflectivity=load)
            )
    else:
        radius = (height - bed) / 2
        rows.append(
            ellipsoid(
                ((rear - half) / 2, 0.0, bed + radius), ((rear + half) / 2, side, radius), reflectivity=load
            )
        )
    # A cab or a load may be higher or lower than the box that was drawn.
    return Body.of((length, width, max(row[3] + row[8] for row in rows)), rows)


def bus(rng: np.random.Generator, scale: float = 1.0) -> Body:
    """A city bus, coach or minibus."""
    mini = rng.random() < 0.25
    length = rng.uniform(6.2, 7.5) if mini else rng.uniform(9.0, 12.4)
    width = rng.uniform(2.05, 2.3) if mini else rng.uniform(2.4, 2.58)
    height = rng.uniform(2.5, 2.8) if mini else rng.uniform(2.9, 3.6)
    length, width, height = length * scale, width * scale, height * scale
    half, side, paint = length / 2, width / 2, rng.uniform(0.15, 0.9)
    sill, lintel = height * rng.uniform(0.33, 0.42), height * rng.uniform(0.74, 0.82)
    nose = rng.uniform(0.02, 0.2)
    rows = [
        box((-half, half), (-side, side), (0.28, sill), taper=(nose, 0.0, 0.0), reflectivity=paint),
        box(
            (-half + 0.02, half - nose * sill),
            (-side + 0.02, side - 0.02),
            (sill, lintel),
            taper=(nose, 0.03, 0.03),
            reflectivity=0.3,
            transmittance=_GLASS,
        ),
        box(
            (-half + 0.03, half - nose * lintel),
            (-side + 0.03, side - 0.03),
            (lintel, height),
            taper=(0.3, 0.1, 0.1),
            reflectivity=paint,
        ),
        box((-half + 0.6, half - 2.0), (-side + 0.2, -0.35), (0.6, sill + 0.35)),
        box((-half + 0.6, half - 2.0), (0.35, side - 0.2), (0.6, sill + 0.35)),
        *_wheels(
            (half - (1.2 if mini else 2.6), -half + (1.4 if mini else 2.9)),
            width,
            0.4 if mini else 0.5,
            0.3,
        ),
    ]
    return Body.of((length, width, height), rows)
