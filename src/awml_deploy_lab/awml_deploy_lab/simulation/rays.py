"""Revolutions put together for casting, and casting on whichever device they are on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from awml_deploy_lab.simulation.cast import cast_tables
from awml_deploy_lab.simulation.lidar import Lidar
from awml_deploy_lab.simulation.view import SweepView


@dataclass(frozen=True, eq=False)
class Revolution:
    """One revolution to cast."""

    view: SweepView
    rows: npt.NDArray[np.float32]
    """float32 [P, PRIMITIVE_WIDTH]: primitives of its street."""
    lidar: Lidar
    seed: int
    """Of which beams pass a porous primitive, 0 to 2^31 - 1."""


@dataclass(frozen=True, eq=False)
class RevolutionTables:
    """Tables of S revolutions one behind the other, on one device."""

    bodies: Tensor
    """float32 [bodies of all, BODY_WIDTH]."""
    rows: Tensor
    """float32 [primitives of all, PRIMITIVE_WIDTH]."""
    columns: Tensor
    """float32 [firings of all, COLUMN_WIDTH]."""
    beams: Tensor
    """float32 [beams of all, 5]."""
    grounds: Tensor
    """float32 [S, GROUND_WIDTH]."""
    sensors: Tensor
    """float32 [S, 5]: range noise, drop-out, gain, greatest and least range."""
    starts: Tensor
    """int32 [S, 8]: first body, bodies, first row, first column, beams, first beam, first ray, seed."""
    column_sweep: Tensor
    """int32 [firings of all]: revolution of every firing."""
    num_rays: int

    @classmethod
    def of(cls, revolutions: Sequence[Revolution]) -> RevolutionTables:
        """Put the tables of some revolutions together, on the host."""
        starts, at = [], np.zeros(5, np.int64)
        for item in revolutions:
            columns, beams = item.lidar.columns, item.lidar.beams
            starts.append((at[0], len(item.view.bodies), at[1], at[2], beams, at[3], at[4], item.seed))
            at += (len(item.view.bodies), len(item.rows), columns, beams, columns * beams)
        counts = [item.lidar.columns for item in revolutions]
        lidars = [item.lidar for item in revolutions]
        sensors = [(s.range_noise, s.drop_out, s.gain, s.max_range, s.min_range) for s in lidars]

        def joined(parts: list[Any]) -> Tensor:
            return torch.from_numpy(np.concatenate(parts))

        return cls(
            joined([item.view.bodies for item in revolutions]),
            joined([item.rows for item in revolutions]),
            joined([item.view.columns for item in revolutions]),
            joined([lidar.beam_table() for lidar in lidars]),
            torch.from_numpy(np.stack([item.view.ground for item in revolutions])),
            torch.tensor(sensors, dtype=torch.float32),
            torch.tensor(starts, dtype=torch.int32),
            torch.from_numpy(np.repeat(np.arange(len(counts), dtype=np.int32), counts)),
            int(at[4]),
        )

    def to(self, device: torch.device) -> RevolutionTables:
        """These tables on a device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> RevolutionTables:
        """These tables in page-locked memory of the host."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> RevolutionTables:
        tensors = {key: change(value) for key, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **tensors)


@dataclass(frozen=True, eq=False)
class Rays:
    """R rays and the first surface on the way of each, by revolution, firing and beam."""

    tables: RevolutionTables
    distance: Tensor
    """float32 [R] [m]; the sensor's greatest range where there is nothing."""
    body: Tensor
    """int32 [R]: number of the body in its street, or GROUND, or NOTHING."""
    reflectivity: Tensor
    """float32 [R]: 0 to 1."""
    sweep: Tensor
    """int64 [R]: revolution."""
    column: Tensor
    """int64 [R]: firing, a row of the tables' columns."""
    beam: Tensor
    """int64 [R]: a row of the tables' beams."""


def cast(tables: RevolutionTables) -> Rays:
    """Cast all rays of all revolutions on the device of ``tables``.

    The GPU's results equal the CPU's to rounding: a ray that only just meets an edge may not.
    """
    device = tables.bodies.device
    distance = torch.empty(tables.num_rays, dtype=torch.float32, device=device)
    body = torch.empty(tables.num_rays, dtype=torch.int32, device=device)
    reflectivity = torch.empty(tables.num_rays, dtype=torch.float32, device=device)
    arguments = (
        *(tables.bodies, tables.rows, tables.columns, tables.beams, tables.grounds, tables.sensors),
        *(tables.starts, tables.column_sweep, distance, body, reflectivity),
    )
    if device.type == "cuda":
        # Triton comes with CUDA builds of torch only.
        from awml_deploy_lab.simulation.cast_gpu import cast_tables as cast_tables_on_gpu

        cast_tables_on_gpu(*arguments)
    else:
        cast_tables(*(tensor.numpy() for tensor in arguments))
    number = torch.arange(len(tables.starts), device=device)
    counts = torch.bincount(tables.column_sweep, minlength=len(number)) * tables.starts[:, 4]
    sweep = torch.repeat_interleave(number, counts, output_size=tables.num_rays)
    start = tables.starts[sweep].long()
    local = torch.arange(tables.num_rays, device=device) - start[:, 6]
    column = start[:, 3] + torch.div(local, start[:, 4], rounding_mode="floor")
    return Rays(
        tables,
        distance,
        body,
        reflectivity,
        sweep,
        column,
        start[:, 5] + torch.remainder(local, start[:, 4]),
    )
