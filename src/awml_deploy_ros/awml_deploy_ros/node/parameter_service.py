"""ROS 2's parameter services, which rclpy lets a malformed request end the node with."""

from __future__ import annotations

from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.parameter_service import ParameterService


class CheckedParameterService(ParameterService):  # type: ignore[misc]
    """Refuses a value of a type that does not exist, which rclpy raises about."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)

    def _set_parameters_callback(self, request: Any, response: Any) -> Any:
        refused = [_refusal(parameter) for parameter in request.parameters]
        if not any(refused):
            return super()._set_parameters_callback(request, response)
        everything = list(request.parameters)
        results = []
        for parameter, reason in zip(everything, refused, strict=True):
            if reason:
                results.append(SetParametersResult(successful=False, reason=reason))
                continue
            request.parameters, response.results = [parameter], []
            results += super()._set_parameters_callback(request, response).results
        response.results = results
        return response

    def _set_parameters_atomically_callback(self, request: Any, response: Any) -> Any:
        reasons = [reason for parameter in request.parameters if (reason := _refusal(parameter))]
        if reasons:
            response.result = SetParametersResult(successful=False, reason="; ".join(reasons))
            return response
        return super()._set_parameters_atomically_callback(request, response)


def _refusal(parameter: Any) -> str:
    """Why a rcl_interfaces/Parameter is none; empty if it is one."""
    if not parameter.name:
        return "a parameter has no name"
    try:
        Parameter.Type(parameter.value.type)
    except ValueError:
        return f"{parameter.name}: there is no parameter type {parameter.value.type}"
    return ""
