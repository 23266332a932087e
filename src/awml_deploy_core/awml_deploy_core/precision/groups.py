"""Layers of a graph that are lowered together."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

_ANONYMOUS = re.compile(r"^(onnx::|val_|_?\d)")
"""Weights that an exporter made up a name for."""


@dataclass(frozen=True)
class LayerGroup:
    """Layers of one component whose names begin alike."""

    component: str
    name: str
    layers: tuple[str, ...]
    """Names of the nodes with weights, in execution order."""
    members: tuple[str, ...]
    """Those, and the nodes without weights that work on what they give: activations, additions."""

    @property
    def title(self) -> str:
        """Unique among all components."""
        return f"{self.component}: {self.name}"


def with_names(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a model in which every node has a name of its own."""
    named = type(model)()
    named.CopyFrom(model)
    taken: set[str] = set()
    for index, node in enumerate(named.graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}_{index}"
        taken.add(node.name)
    return named


def layer_groups(
    model: onnx.ModelProto, component: str, depth: int, operators: Collection[str]
) -> tuple[LayerGroup, ...]:
    """Group the layers with constant weights, in execution order.

    A layer is called after its weight (``backbone.blocks.0.3.weight`` gives ``backbone.blocks.0.3``),
    or, if an exporter made up the weight's name, after its node (``/backbone/blocks.0/Conv``).

    Args:
        model: With names of its nodes, as :func:`with_names` gives it.
        component: For the result.
        depth: How many parts of the layer's name a group shares; 0 makes every node a group.
        operators: Types of the layers; others belong to no group.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    layers: dict[str, list[str]] = {}
    members: dict[str, list[str]] = {}
    owners: dict[str, str] = {}
    for node in model.graph.node:
        constants = [name for name in node.input[:2] if name in weights]
        key = next((owners[name] for name in node.input if name in owners), None)
        if node.op_type in operators and constants:
            scope = _scope(node, constants[-1])
            key = ".".join(scope[:depth]) if depth else f"{'.'.join(scope)} ({node.name})"
            layers.setdefault(key, []).append(node.name)
        if key is not None:
            members.setdefault(key, []).append(node.name)
            owners |= dict.fromkeys(node.output, key)
    return tuple(
        LayerGroup(component, name, tuple(nodes), tuple(members[name])) for name, nodes in layers.items()
    )


def _scope(node: onnx.NodeProto, weight: str) -> list[str]:
    """The parts of a layer's name, without the last, which says what the tensor or operator is."""
    parts = weight.split(".")[:-1]
    if parts and not _ANONYMOUS.match(weight):
        return parts
    path = [part for level in node.name.split("/")[:-1] for part in level.split(".") if part]
    return path or [node.name]
