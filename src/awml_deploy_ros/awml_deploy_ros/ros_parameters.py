"""Declares and reads the parameter table on an rclpy node."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from awml_deploy_core.errors import ParameterError
from awml_deploy_ros.parameters import ParameterSpec

_TYPES = {
    "bool": Parameter.Type.BOOL,
    "int": Parameter.Type.INTEGER,
    "double": Parameter.Type.DOUBLE,
    "string": Parameter.Type.STRING,
    "double[]": Parameter.Type.DOUBLE_ARRAY,
    "string[]": Parameter.Type.STRING_ARRAY,
}
_QOS_OVERRIDES = "qos_overrides."
"""rclpy declares these with the publisher or subscription that they are of."""
_TYPE_HINT = "A double needs a decimal point (1.0); the text y needs quotes, or YAML reads a boolean."


def descriptor(spec: ParameterSpec) -> ParameterDescriptor:
    """Description, range and read-only flag of a parameter."""
    result = ParameterDescriptor(
        name=spec.name,
        type=_TYPES[spec.type].value,
        description=spec.description,
        read_only=spec.read_only,
    )
    if spec.choices:
        result.additional_constraints = f"one of {', '.join(spec.choices)}"
    if spec.range is not None:
        low, high = spec.range
        if spec.type == "int":
            result.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
        elif spec.type == "double":
            result.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        else:
            result.additional_constraints = f"every value in [{low:g}, {high:g}]"
    return result


def declare(node: Node, specs: Iterable[ParameterSpec]) -> None:
    """Declare parameters.

    Raises:
        ParameterError: A parameter file or argument sets a wrong type or a value out of range;
            all problems are listed.
    """
    problems = []
    hint = None
    for spec in specs:
        try:
            node.declare_parameter(
                spec.name, spec.default, descriptor(spec), ignore_override=_is_bare_y(node, spec)
            )
        except InvalidParameterTypeException as error:
            problems.append(f"{spec.name}: {error}")
            hint = _TYPE_HINT
        except InvalidParameterValueException as error:
            problems.append(f"{spec.name}: {error}")
    if problems:
        raise ParameterError(
            "node parameters",
            "are invalid",
            problems=problems,
            hint=hint,
        )


def undeclare(node: Node, specs: Iterable[ParameterSpec]) -> None:
    """Undeclare those of the parameters that are declared."""
    for spec in specs:
        if node.has_parameter(spec.name):
            node.undeclare_parameter(spec.name)


def unknown(node: Node) -> list[str]:
    """Names that a parameter file or argument sets and the node does not declare."""
    return sorted(
        name
        for name in _overrides(node)
        if not node.has_parameter(name) and not name.startswith(_QOS_OVERRIDES)
    )


def _overrides(node: Node) -> dict[str, Parameter[Any]]:
    # rclpy has no public way to ask for overrides that nobody declared.
    overrides: dict[str, Parameter[Any]] = getattr(node, "_parameter_overrides", {})
    return overrides


def _is_bare_y(node: Node, spec: ParameterSpec) -> bool:
    """Whether the default y was given without quotes, which rcl reads as true.

    That is what ``ros2 param dump`` and launch files write, so their files have to be readable.
    """
    override = _overrides(node).get(spec.name)
    return spec.default == "y" and override is not None and override.value is True


def read(node: Node, specs: Iterable[ParameterSpec]) -> dict[str, Any]:
    """Values by name."""
    return {spec.name: plain(node.get_parameter(spec.name)) for spec in specs}


def plain(parameter: Parameter[Any]) -> Any:
    """A parameter's value; an array, which rclpy gives in several types, as a list."""
    value = parameter.value
    if parameter.type_ in (Parameter.Type.DOUBLE_ARRAY, Parameter.Type.STRING_ARRAY):
        return list(value)
    return value


def given(node: Node) -> list[str]:
    """Names that a parameter file or argument sets and the node has declared."""
    return sorted(name for name in _overrides(node) if node.has_parameter(name))
