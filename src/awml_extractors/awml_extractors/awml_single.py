"""What AWML's configurations of models that are one graph have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from awml_deploy_core.awml_import import AwmlComponent, AwmlSource
from awml_deploy_core.errors import ConfigError


@dataclass(frozen=True)
class SingleGraph:
    """The only component of a source, and what it says of our ``model`` section."""

    component: AwmlComponent
    section: dict[str, Any]
    used: dict[str, str]
    input_name: str

    def has_dynamic(self, axis: int) -> bool:
        """Whether an axis of the input is dynamic."""
        axes = self.component.dynamic_axes.get(self.input_name)
        return isinstance(axes, Mapping) and (axis in axes or str(axis) in axes)


def single_graph(
    source: AwmlSource, task: str, model_type: str, tensors: tuple[str, str]
) -> SingleGraph | None:
    """The component of a source of one model, or None if it is of another.

    Args:
        source: What is imported.
        task: AWML's ``task_type`` of the model.
        model_type: Class of the model in its own configuration.
        tensors: Names of the only input and output.

    Raises:
        ConfigError: The task is the model's, but its tensors have other names.
    """
    components = source.components()
    if len(components) != 1:
        return None
    (component,) = components.values()
    names = (*component.inputs, *component.outputs)
    by_name = names == tensors
    if source.task_type is not None:
        is_ours = source.task_type == task
    elif source.model_type is not None:
        is_ours = source.model_type == model_type
    else:
        is_ours = by_name
    if not is_ours:
        return None
    if names and not by_name:
        raise ConfigError(
            component.io_keys[0],
            f"other tensors than those of a model of {task}",
            got=", ".join(names),
            expected=", ".join(tensors),
        )
    used = dict.fromkeys((*component.io_keys, "task_type"), "")
    section: dict[str, Any] = {}
    if component.onnx_file is not None:
        section["onnx_file"] = component.onnx_file
        used[component.onnx_file_key] = "onnx_file"
    return SingleGraph(component, section, used, tensors[0])
