"""One ROS parameter and what can be wrong with its value. This module knows no ROS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

ParameterType = Literal["bool", "int", "double", "string", "double[]", "string[]"]
ParameterValue = bool | int | float | str | list[float] | list[str]


@dataclass(frozen=True)
class ParameterSpec:
    """One ROS parameter."""

    name: str
    type: ParameterType
    default: ParameterValue | None
    """``None``: the model's own value; declared once the model is loaded."""
    description: str
    range: tuple[float, float] | None = None
    """Least and greatest allowed value."""
    choices: tuple[str, ...] = ()
    read_only: bool = True
    option: str | None = None
    """The pipeline's run-time option that this parameter sets."""
    launch_argument: bool = False


@dataclass(frozen=True)
class ParameterTable:
    """The parameters of one kind of node."""

    specs: tuple[ParameterSpec, ...]
    model_specs: Callable[[Mapping[str, Any]], tuple[ParameterSpec, ...]]
    """Parameters whose defaults are the options of a loaded model."""
    pipeline_options: Callable[[Mapping[str, Any]], dict[str, Any]]
    """Run-time options of the pipeline from parameter values."""

    @property
    def at_start(self) -> tuple[ParameterSpec, ...]:
        """What is declared before a model is loaded."""
        return tuple(spec for spec in self.specs if spec.default is not None)


def model_option(
    name: str, limits: tuple[float, float], description: str, kind: ParameterType = "double"
) -> ParameterSpec:
    """A parameter that sets the option of its last name.

    It has no default of its own: what was verified with the bundle is what drives.
    """
    option = name.rpartition(".")[2]
    return ParameterSpec(name, kind, None, description, limits, read_only=False, option=option)


def plain_model_specs(
    specs: tuple[ParameterSpec, ...], options: Mapping[str, Any]
) -> tuple[ParameterSpec, ...]:
    """Those of the specs without a default whose option a loaded model has, with its value."""
    return tuple(
        replace(spec, default=list(value) if spec.type.endswith("[]") else value)
        for spec in specs
        if spec.default is None and (value := options.get(spec.option or "")) is not None
    )


def plain_options(specs: tuple[ParameterSpec, ...], values: Mapping[str, Any]) -> dict[str, Any]:
    """Run-time options from parameter values; parameters that set none are left out."""
    names = {spec.name: spec.option for spec in specs if spec.option is not None}
    return {names[name]: value for name, value in values.items() if name in names}


def plain_table(specs: tuple[ParameterSpec, ...]) -> ParameterTable:
    """A table in which every option of the model has one parameter."""
    return ParameterTable(specs, partial(plain_model_specs, specs), partial(plain_options, specs))


DURATION_MS = (1.0, 60000.0)


def check_value(spec: ParameterSpec, value: Any) -> str | None:
    """Say what is wrong with a value of the right type, or ``None``.

    Covers what a ROS descriptor cannot express: choices and the elements of arrays.
    """
    items = value if isinstance(value, list) else [value]
    if spec.choices and (wrong := [item for item in items if item not in spec.choices]):
        return f"{spec.name}: unknown {', '.join(map(repr, wrong))}, expected {', '.join(spec.choices)}"
    if spec.range is not None:
        low, high = spec.range
        # NaN compares false, so it is outside.
        if wrong := [item for item in items if not low <= item <= high]:
            return f"{spec.name}: {', '.join(map(str, wrong))} is outside [{low:g}, {high:g}]"
    return None
