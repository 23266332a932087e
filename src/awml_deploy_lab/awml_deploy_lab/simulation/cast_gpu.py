"""Ray casting on an NVIDIA GPU: many revolutions at once.

The same arithmetic as :mod:`awml_deploy_lab.simulation.cast`; one program of the kernel casts rays of
one firing (beams at one azimuth), which mostly meet the same bodies.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from awml_deploy_lab.simulation.cast import GROUND_REFLECTIVITY
from awml_deploy_lab.simulation.ground import GROUND_WIDTH
from awml_deploy_lab.simulation.primitives import PRIMITIVE_WIDTH
from awml_deploy_lab.simulation.view import BODY_WIDTH, COLUMN_WIDTH

_BLOCK = 64
"""Beams of a firing that one program casts."""
_MAX_BEAMS = 256


def cast_tables(
    bodies: Tensor,
    rows: Tensor,
    columns: Tensor,
    beams: Tensor,
    grounds: Tensor,
    sensors: Tensor,
    starts: Tensor,
    column_sweep: Tensor,
    distance: Tensor,
    body: Tensor,
    reflectivity: Tensor,
) -> None:
    """Fill ``distance``, ``body`` and ``reflectivity`` of all rays; all tensors on one CUDA device.

    Like :func:`awml_deploy_lab.simulation.cast.cast_tables`.
    """
    _cast_firing[(len(columns), _MAX_BEAMS // _BLOCK)](
        *(bodies, rows, columns, beams, grounds, sensors, starts, column_sweep),
        *(distance, body, reflectivity),
        SHADE=GROUND_REFLECTIVITY,
        BODY=BODY_WIDTH,
        COLUMN=COLUMN_WIDTH,
        PRIMITIVE=PRIMITIVE_WIDTH,
        GROUND=GROUND_WIDTH,
        SENSOR=sensors.shape[1],
        BLOCK=_BLOCK,
        num_warps=2,
    )


@triton.jit
def _chance(seed, ray, row):  # type: ignore[no-untyped-def]
    h = seed.to(tl.uint32) * 0x9E3779B1 + ray.to(tl.uint32) * 0x85EBCA77 + row.to(tl.uint32) * 0xC2B2AE3D
    h ^= h >> 16
    h *= 0x7FEB352D
    h ^= h >> 15
    h *= 0x846CA68B
    h ^= h >> 16
    return (h >> 8).to(tl.float32) * (1.0 / 16777216.0)


@triton.jit
def _slab(offset, slope, near, far):  # type: ignore[no-untyped-def]
    level = tl.abs(slope) < 1e-9
    t = -offset / tl.where(level, 1.0, slope)
    out = level & (offset > 0.0)
    near = tl.where(level, near, tl.where(slope < 0.0, tl.maximum(near, t), near))
    far = tl.where(level, far, tl.where(slope > 0.0, tl.minimum(far, t), far))
    return tl.where(out, 1e30, near), tl.where(out, -1e30, far)


@triton.jit
def _cast_firing(  # type: ignore[no-untyped-def]
    bodies,
    rows,
    columns,
    beams,
    grounds,
    sensors,
    starts,
    column_sweep,
    distance,
    body,
    reflectivity,
    SHADE: tl.constexpr,  # noqa: N803
    BODY: tl.constexpr,  # noqa: N803
    COLUMN: tl.constexpr,  # noqa: N803
    PRIMITIVE: tl.constexpr,  # noqa: N803
    GROUND: tl.constexpr,  # noqa: N803
    SENSOR: tl.constexpr,  # noqa: N803
    BLOCK: tl.constexpr,  # noqa: N803
):
    column = tl.program_id(0)
    sweep = tl.load(column_sweep + column)
    start = starts + sweep * 8
    first_body, num_bodies, first_row = tl.load(start), tl.load(start + 1), tl.load(start + 2)
    first_column, num_beams, first_beam = tl.load(start + 3), tl.load(start + 4), tl.load(start + 5)
    first_ray, seed = tl.load(start + 6), tl.load(start + 7)
    if tl.program_id(1) * BLOCK >= num_beams:
        return
    max_range, min_range = tl.load(sensors + sweep * SENSOR + 3), tl.load(sensors + sweep * SENSOR + 4)
    f = columns + column * COLUMN
    tau, ca, sa, azimuth = tl.load(f), tl.load(f + 1), tl.load(f + 2), tl.load(f + 15)
    ox, oy, oz = tl.load(f + 3), tl.load(f + 4), tl.load(f + 5)

    lane = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    valid = lane < num_beams
    table = beams + (first_beam + lane) * 5
    ce, se = tl.load(table, valid, 1.0), tl.load(table + 1, valid, 0.0)
    co, so = tl.load(table + 2, valid, 1.0), tl.load(table + 3, valid, 0.0)
    sx, sy = ce * (ca * co - sa * so), ce * (sa * co + ca * so)
    dx = tl.load(f + 6) * sx + tl.load(f + 7) * sy + tl.load(f + 8) * se
    dy = tl.load(f + 9) * sx + tl.load(f + 10) * sy + tl.load(f + 11) * se
    dz = tl.load(f + 12) * sx + tl.load(f + 13) * sy + tl.load(f + 14) * se

    g = grounds + sweep * GROUND
    g0, g1, g2 = tl.load(g), tl.load(g + 1), tl.load(g + 2)
    sink = dz - (g1 * dx + g2 * dy)
    rise = oz - (g0 + g1 * ox + g2 * oy)
    downward = sink <= -1e-4
    t = tl.minimum(-rise / tl.where(downward, sink, -1.0), max_range)
    miss = tl.full([BLOCK], 1.0, tl.float32)
    for _ in range(4):
        x, y = ox + t * dx, oy + t * dy
        height = g0 + g1 * x + g2 * y
        slope = g1 * dx + g2 * dy
        for wave in tl.static_range(2):
            w = g + 3 + 4 * wave
            amplitude, kx, ky = tl.load(w), tl.load(w + 1), tl.load(w + 2)
            phase = kx * x + ky * y + tl.load(w + 3)
            height += amplitude * tl.sin(phase)
            slope += amplitude * tl.cos(phase) * (kx * dx + ky * dy)
        miss = oz + t * dz - height
        t = t - miss / tl.minimum(dz - slope, -2e-3)
        t = tl.minimum(tl.maximum(t, 0.1), max_range)
    best = tl.where(downward & (tl.abs(miss) < 0.05), t, max_range)
    hit_ground = best < max_range
    owner = tl.where(hit_ground, -1, -2)
    shade = tl.where(hit_ground, SHADE, 0.0)

    flat = dx * dx + dy * dy
    ray = (column - first_column) * num_beams + lane
    for k in range(first_body, first_body + num_bodies):
        b = bodies + k * BODY
        apart = tl.abs(tl.load(b + 13) - azimuth)
        apart = tl.minimum(apart, 6.2831853 - apart)
        if apart < tl.load(b + 14):
            px = ox - (tl.load(b) + tl.load(b + 5) * tau)
            py = oy - (tl.load(b + 1) + tl.load(b + 6) * tau)
            pz = oz - tl.load(b + 2)
            radius = tl.load(b + 8)
            along = px * dx + py * dy
            root = along * along - flat * (px * px + py * py - radius * radius)
            square = tl.sqrt(tl.maximum(root, 0.0))
            enter, leave = (-along - square) / flat, (-along + square) / flat
            z0, z1 = pz + dz * tl.maximum(enter, 0.0), pz + dz * leave
            near_body = valid & (root > 0.0) & (leave >= min_range) & (enter <= best)
            near_body &= (tl.maximum(z0, z1) >= tl.load(b + 9)) & (tl.minimum(z0, z1) <= tl.load(b + 10))
            if tl.max(near_body.to(tl.int32), axis=0) > 0:
                c0, s0, turn = tl.load(b + 3), tl.load(b + 4), tl.load(b + 7)
                cos, sin = c0 - s0 * turn * tau, s0 + c0 * turn * tau
                lx, ly = cos * px + sin * py, cos * py - sin * px
                ex, ey = cos * dx + sin * dy, cos * dy - sin * dx
                number = tl.load(b + 15).to(tl.int32)
                first = tl.load(b + 11).to(tl.int32)
                for row in range(first, first + tl.load(b + 12).to(tl.int32)):
                    p = rows + (first_row + row) * PRIMITIVE
                    kind = tl.load(p)
                    qx, qy, qz = lx - tl.load(p + 1), ly - tl.load(p + 2), pz - tl.load(p + 3)
                    pc, ps = tl.load(p + 4), tl.load(p + 5)
                    u, v = pc * qx + ps * qy, pc * qy - ps * qx
                    du, dv = pc * ex + ps * ey, pc * ey - ps * ex
                    a, bb, c = tl.load(p + 6), tl.load(p + 7), tl.load(p + 8)
                    near = tl.full([BLOCK], -1e30, tl.float32)
                    far = tl.full([BLOCK], 1e30, tl.float32)
                    if kind == 1.0:
                        nu, nv, nw, mu, mv, mw = u / a, v / bb, qz / c, du / a, dv / bb, dz / c
                        qa, qb = mu * mu + mv * mv + mw * mw, nu * mu + nv * mv + nw * mw
                        disc = qb * qb - qa * (nu * nu + nv * nv + nw * nw - 1.0)
                        near = tl.where(disc > 0.0, (-qb - tl.sqrt(tl.maximum(disc, 0.0))) / qa, 1e30)
                    else:
                        near, far = _slab(qz - c, dz, near, far)
                        near, far = _slab(-qz - c, -dz, near, far)
                        if kind == 2.0:
                            nu, nv, mu, mv = u / a, v / bb, du / a, dv / bb
                            qa, qb = tl.maximum(mu * mu + mv * mv, 1e-9), nu * mu + nv * mv
                            disc = qb * qb - qa * (nu * nu + nv * nv - 1.0)
                            step = tl.sqrt(tl.maximum(disc, 0.0))
                            near = tl.where(disc > 0.0, tl.maximum(near, (-qb - step) / qa), 1e30)
                            far = tl.where(disc > 0.0, tl.minimum(far, (-qb + step) / qa), -1e30)
                        else:
                            up = qz + c
                            front, back, side = tl.load(p + 9), tl.load(p + 10), tl.load(p + 11)
                            near, far = _slab(u + front * up - a, du + front * dz, near, far)
                            near, far = _slab(-u + back * up - a, -du + back * dz, near, far)
                            near, far = _slab(v + side * up - bb, dv + side * dz, near, far)
                            near, far = _slab(-v + side * up - bb, -dv + side * dz, near, far)
                    porous = tl.load(p + 13)
                    hit = near_body & (near <= far) & (near < best) & (near > min_range)
                    hit &= (porous == 0.0) | (_chance(seed, ray, row) >= porous)
                    best = tl.where(hit, near, best)
                    owner = tl.where(hit, number, owner)
                    shade = tl.where(hit, tl.load(p + 12), shade)
    out = first_ray + ray
    tl.store(distance + out, best, valid)
    tl.store(body + out, owner, valid)
    tl.store(reflectivity + out, shade, valid)
