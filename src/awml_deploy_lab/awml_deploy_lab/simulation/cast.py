"""Ray casting on the CPU: what every beam of a revolution meets first.

The arithmetic is float32 in the written order; :mod:`awml_deploy_lab.simulation.cast_gpu` does the same
on a GPU, to rounding. Primitives are met by slabs (tapered box) and quadratic equations (ellipsoid,
cylinder), the ground by Newton's method.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from awml_deploy_lab.simulation.primitives import CYLINDER, ELLIPSOID

NOTHING, GROUND = -2, -1
"""Numbers of no body."""
GROUND_REFLECTIVITY = 0.16
_NEWTON_STEPS = 4
_PI = np.float32(np.pi)
_FAR = np.float32(1e30)
_TINY = np.float32(1e-9)


@numba.njit(nogil=True, inline="always")
def _chance(seed: int, ray: int, row: int) -> Any:
    """Uniform float32 in [0, 1) from three numbers (a 32-bit integer hash)."""
    mask = np.uint64(0xFFFFFFFF)
    h = (np.uint64(seed) * np.uint64(0x9E3779B1) + np.uint64(ray) * np.uint64(0x85EBCA77)) & mask
    h = (h + np.uint64(row) * np.uint64(0xC2B2AE3D)) & mask
    h ^= h >> np.uint64(16)
    h = (h * np.uint64(0x7FEB352D)) & mask
    h ^= h >> np.uint64(15)
    h = (h * np.uint64(0x846CA68B)) & mask
    h ^= h >> np.uint64(16)
    return np.float32(h >> np.uint64(8)) * np.float32(1.0 / 16777216.0)


@numba.njit(nogil=True, inline="always")
def _meet_ground(ground: Any, ox: Any, oy: Any, oz: Any, dx: Any, dy: Any, dz: Any, farthest: Any) -> Any:
    """Distance to the ground, or ``farthest``."""
    sink = dz - (ground[1] * dx + ground[2] * dy)
    rise = oz - (ground[0] + ground[1] * ox + ground[2] * oy)
    if sink > np.float32(-1e-4):
        return farthest
    t = min(-rise / sink, farthest)
    miss = np.float32(1.0)
    for _ in range(_NEWTON_STEPS):
        x, y = ox + t * dx, oy + t * dy
        height = ground[0] + ground[1] * x + ground[2] * y
        slope = ground[1] * dx + ground[2] * dy
        for wave in range(2):
            at = 3 + 4 * wave
            phase = ground[at + 1] * x + ground[at + 2] * y + ground[at + 3]
            height += ground[at] * np.sin(phase)
            slope += ground[at] * np.cos(phase) * (ground[at + 1] * dx + ground[at + 2] * dy)
        miss = oz + t * dz - height
        step = dz - slope
        t = t - miss / min(step, np.float32(-2e-3))
        t = min(max(t, np.float32(0.1)), farthest)
    return t if abs(miss) < np.float32(0.05) else farthest


@numba.njit(nogil=True, inline="always")
def _slab(offset: Any, slope: Any, near: Any, far: Any) -> Any:
    """Cut the part of a ray where ``offset + t slope <= 0`` out of [near, far]."""
    if abs(slope) < _TINY:
        return (near, far) if offset <= np.float32(0.0) else (_FAR, -_FAR)
    t = -offset / slope
    if slope > np.float32(0.0):
        return near, min(far, t)
    return max(near, t), far


@numba.njit(nogil=True, inline="always")
def _meet_primitive(p: Any, ox: Any, oy: Any, oz: Any, dx: Any, dy: Any, dz: Any) -> Any:
    """Distance at which a ray in the body's frame enters a primitive, or a huge number."""
    qx, qy, qz = ox - p[1], oy - p[2], oz - p[3]
    x, y = p[4] * qx + p[5] * qy, p[4] * qy - p[5] * qx
    ex, ey = p[4] * dx + p[5] * dy, p[4] * dy - p[5] * dx
    a, b, c = p[6], p[7], p[8]
    if p[0] == ELLIPSOID:
        x, y, qz, ex, ey, ez = x / a, y / b, qz / c, ex / a, ey / b, dz / c
        qa, qb = ex * ex + ey * ey + ez * ez, x * ex + y * ey + qz * ez
        root = qb * qb - qa * (x * x + y * y + qz * qz - np.float32(1.0))
        return (-qb - np.sqrt(root)) / qa if root > np.float32(0.0) else _FAR
    near, far = -_FAR, _FAR
    near, far = _slab(qz - c, dz, near, far)
    near, far = _slab(-qz - c, -dz, near, far)
    if p[0] == CYLINDER:
        x, y, ex, ey = x / a, y / b, ex / a, ey / b
        qa, qb = max(ex * ex + ey * ey, _TINY), x * ex + y * ey
        root = qb * qb - qa * (x * x + y * y - np.float32(1.0))
        if root <= np.float32(0.0):
            return _FAR
        root = np.sqrt(root)
        near, far = max(near, (-qb - root) / qa), min(far, (-qb + root) / qa)
    else:
        up = qz + c
        near, far = _slab(x + p[9] * up - a, ex + p[9] * dz, near, far)
        near, far = _slab(-x + p[10] * up - a, -ex + p[10] * dz, near, far)
        near, far = _slab(y + p[11] * up - b, ey + p[11] * dz, near, far)
        near, far = _slab(-y + p[11] * up - b, -ey + p[11] * dz, near, far)
    return near if near <= far else _FAR


@numba.njit(nogil=True, parallel=True, cache=True)
def cast_tables(
    bodies: Any,
    rows: Any,
    columns: Any,
    beams: Any,
    grounds: Any,
    sensors: Any,
    starts: Any,
    column_sweep: Any,
    distance: Any,
    body: Any,
    reflectivity: Any,
) -> None:
    """Fill ``distance``, ``body`` and ``reflectivity`` of all rays.

    The arguments are the arrays of :class:`awml_deploy_lab.simulation.rays.RevolutionTables` and
    those of the rays.
    """
    for column in numba.prange(len(columns)):
        sweep = column_sweep[column]
        first_body, num_bodies, first_row = starts[sweep, 0], starts[sweep, 1], starts[sweep, 2]
        first_column, num_beams, first_beam = starts[sweep, 3], starts[sweep, 4], starts[sweep, 5]
        first_ray, seed = starts[sweep, 6], starts[sweep, 7]
        max_range, min_range = sensors[sweep, 3], sensors[sweep, 4]
        firing, ground = columns[column], grounds[sweep]
        tau = firing[0]
        ox, oy, oz = firing[3], firing[4], firing[5]
        met = np.empty(num_bodies, np.int32)
        count = 0
        for k in range(first_body, first_body + num_bodies):
            apart = abs(bodies[k, 13] - firing[15])
            if min(apart, 2 * _PI - apart) < bodies[k, 14]:
                met[count] = k
                count += 1
        for beam in range(num_beams):
            ce, se = beams[first_beam + beam, 0], beams[first_beam + beam, 1]
            co, so = beams[first_beam + beam, 2], beams[first_beam + beam, 3]
            ray = (column - first_column) * num_beams + beam
            sx = ce * (firing[1] * co - firing[2] * so)
            sy = ce * (firing[2] * co + firing[1] * so)
            dx = firing[6] * sx + firing[7] * sy + firing[8] * se
            dy = firing[9] * sx + firing[10] * sy + firing[11] * se
            dz = firing[12] * sx + firing[13] * sy + firing[14] * se
            best = _meet_ground(ground, ox, oy, oz, dx, dy, dz, max_range)
            owner, shade = (
                (GROUND, np.float32(GROUND_REFLECTIVITY))
                if best < max_range
                else (NOTHING, np.float32(0.0))
            )
            flat = dx * dx + dy * dy
            for at in range(count):
                b = bodies[met[at]]
                px, py, pz = ox - (b[0] + b[5] * tau), oy - (b[1] + b[6] * tau), oz - b[2]
                along = px * dx + py * dy
                root = along * along - flat * (px * px + py * py - b[8] * b[8])
                if root <= np.float32(0.0):
                    continue
                root = np.sqrt(root)
                enter, leave = (-along - root) / flat, (-along + root) / flat
                if leave < min_range or enter > best:
                    continue
                z0, z1 = pz + dz * max(enter, np.float32(0.0)), pz + dz * leave
                if max(z0, z1) < b[9] or min(z0, z1) > b[10]:
                    continue
                cos, sin = b[3] - b[4] * b[7] * tau, b[4] + b[3] * b[7] * tau
                lx, ly = cos * px + sin * py, cos * py - sin * px
                ex, ey = cos * dx + sin * dy, cos * dy - sin * dx
                first = int(b[11])
                for row in range(first, first + int(b[12])):
                    t = _meet_primitive(rows[first_row + row], lx, ly, pz, ex, ey, dz)
                    if t < best and t > min_range:
                        porous = rows[first_row + row, 13]
                        if porous == np.float32(0.0) or _chance(seed, ray, row) >= porous:
                            best, owner, shade = t, int(b[15]), rows[first_row + row, 12]
            distance[first_ray + ray] = best
            body[first_ray + ray] = owner
            reflectivity[first_ray + ray] = shade
