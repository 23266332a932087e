"""Axes of a tensor as a configuration writes them: one length, or least, usual and largest."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from awml_deploy_core.components import Axis, DynamicAxis

Length = Annotated[int, Field(gt=0, le=2**20)]
AxisRange = Length | tuple[Length, Length, Length]


def check_axis(axis: AxisRange) -> AxisRange:
    """The axis if its range is ordered.

    Raises:
        ValueError: It is not.
    """
    if not isinstance(axis, int) and list(axis) != sorted(axis):
        raise ValueError(f"must be least, usual and largest in this order, got {list(axis)}")
    return axis


def axis_of(name: str, axis: AxisRange) -> Axis:
    """The axis of a tensor; a fixed length has no name."""
    return axis if isinstance(axis, int) else DynamicAxis(name, *axis)


def least(axis: Axis) -> int:
    """The shortest length of an axis."""
    return axis.min if isinstance(axis, DynamicAxis) else axis
