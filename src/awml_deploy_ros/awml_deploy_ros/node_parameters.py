"""The parameters of a running node: those of its start, and those of the model it has loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml
from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from awml_deploy_core.errors import AwmlDeployError
from awml_deploy_ros import ros_parameters
from awml_deploy_ros.parameter_spec import ParameterSpec, ParameterTable, check_value


def parameter_file(values: Mapping[str, Any]) -> str:
    """YAML with which any node of the same kind gets these parameters."""
    return yaml.safe_dump({"/**": {"ros__parameters": dict(values)}}, sort_keys=True, allow_unicode=True)


class NodeParameters:
    """Declares parameters and accepts a set of them as a whole, or none of it.

    Args:
        node: The node whose parameters they are.
        table: What they are.
        apply_options: Puts run-time options of the pipeline in force, or raises an AwmlDeployError.

    Raises:
        ParameterError: A parameter file or argument sets a wrong type or a value out of range.
    """

    def __init__(
        self, node: Node, table: ParameterTable, apply_options: Callable[[Mapping[str, Any]], None]
    ) -> None:
        self._node = node
        self._table = table
        self._apply_options = apply_options
        self._specs: dict[str, ParameterSpec] = {spec.name: spec for spec in table.at_start}
        self._model_specs: Sequence[ParameterSpec] = ()
        self._has_model = False
        ros_parameters.declare(node, table.at_start)
        node.add_on_set_parameters_callback(self._on_set)

    def at_start(self) -> dict[str, Any]:
        """Values by name of what is declared before a model is loaded."""
        return ros_parameters.read(self._node, self._table.at_start)

    def options(self) -> dict[str, Any]:
        """Run-time options of the pipeline."""
        return self._table.pipeline_options(ros_parameters.read(self._node, self._specs.values()))

    def add_model(self, options: Mapping[str, Any]) -> None:
        """Declare the options of a loaded model; name the parameters that then nobody reads."""
        specs = self._table.model_specs(options)
        self._specs.update({spec.name: spec for spec in specs})
        self._model_specs = specs
        ros_parameters.declare(self._node, specs)
        if unknown := ros_parameters.unknown(self._node):
            self._node.get_logger().warning(
                f"parameters that this node does not have: {', '.join(unknown)}"
            )
        self._has_model = True

    def remove_model(self) -> None:
        """Take back what :meth:`add_model` declared.

        Values that were set at run time are gone with it: who configures next starts from the parameter
        file and the bundle, that is from what was verified.
        """
        specs, self._model_specs, self._has_model = self._model_specs, (), False
        ros_parameters.undeclare(self._node, specs)
        for spec in specs:
            del self._specs[spec.name]

    def _on_set(self, parameters: list[Parameter[Any]]) -> SetParametersResult:
        known = {p.name: ros_parameters.plain(p) for p in parameters if p.name in self._specs}
        problems = [
            problem for name, value in known.items() if (problem := check_value(self._specs[name], value))
        ]
        if problems:
            return SetParametersResult(successful=False, reason="; ".join(problems))
        if self._has_model and any(self._specs[name].option for name in known):
            values = ros_parameters.read(self._node, self._specs.values())
            try:
                self._apply_options(self._table.pipeline_options({**values, **known}))
            except AwmlDeployError as error:
                return SetParametersResult(successful=False, reason=str(error))
            self._node.get_logger().info(f"options changed: {', '.join(known)}")
        return SetParametersResult(successful=True)

    def values(self) -> dict[str, Any]:
        """Every parameter in force, by name, as plain Python values.

        Those that rclpy declares by itself are left out unless somebody set them.
        """
        values = ros_parameters.read(self._node, list(self._specs.values()))
        others = {"use_sim_time", *ros_parameters.given(self._node)} - set(values)
        return values | {
            name: ros_parameters.plain(self._node.get_parameter(name)) for name in sorted(others)
        }
