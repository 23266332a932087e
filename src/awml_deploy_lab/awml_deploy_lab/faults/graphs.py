"""Edits of ONNX graphs that defects are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Array = npt.NDArray[Any]
GraphChange = Callable[[onnx.ModelProto], Any]
Find = Callable[[onnx.ModelProto], onnx.NodeProto]


def weights(name: str, change: Callable[[Array], Any]) -> GraphChange:
    """Change an initialiser: ``change`` edits a copy in place or returns another array."""

    def edit(model: onnx.ModelProto) -> None:
        (tensor,) = (item for item in model.graph.initializer if item.name == name)
        values = numpy_helper.to_array(tensor).copy()
        changed = change(values)
        values = values if changed is None else np.ascontiguousarray(changed, values.dtype)
        tensor.CopyFrom(numpy_helper.from_array(values, name))

    return edit


def every_weight(change: Callable[[str, Array], Array]) -> GraphChange:
    """Change all float32 initialisers."""

    def edit(model: onnx.ModelProto) -> None:
        for tensor in model.graph.initializer:
            values = numpy_helper.to_array(tensor)
            if values.dtype == np.float32:
                changed = np.ascontiguousarray(change(tensor.name, values), np.float32)
                tensor.CopyFrom(numpy_helper.from_array(changed, tensor.name))

    return edit


def node_of(model: onnx.ModelProto, output: str) -> onnx.NodeProto:
    """The node that makes a tensor."""
    return next(node for node in model.graph.node if output in node.output)


def taking(tensor: str) -> Find:
    """Finds the first node that takes a tensor, such as a weight."""
    return lambda model: next(node for node in model.graph.node if tensor in node.input)


def after(weight: str) -> Find:
    """Finds the activation behind the node that takes a weight."""
    return lambda model: taking(taking(weight)(model).output[0])(model)


def first(op_type: str) -> Find:
    """Finds the first node of an operator."""
    return lambda model: next(node for node in model.graph.node if node.op_type == op_type)


def all_of(*edits: GraphChange) -> GraphChange:
    """One edit after another, each in place."""

    def edit(model: onnx.ModelProto) -> None:
        for change in edits:
            change(model)

    return edit


def behind(output: str, op_type: str, **attributes: Any) -> GraphChange:
    """Put an operator between an output and what made it."""

    def edit(model: onnx.ModelProto) -> None:
        node = node_of(model, output)
        node.output[list(node.output).index(output)] = f"{output}_inner"
        name = f"added_{op_type}"
        model.graph.node.append(
            helper.make_node(op_type, [f"{output}_inner"], [output], name=name, **attributes)
        )

    return edit


def before(input_name: str, op_type: str, **attributes: Any) -> GraphChange:
    """Put an operator between a graph's input and what takes it."""

    def edit(model: onnx.ModelProto) -> None:
        for node in model.graph.node:
            for place, name in enumerate(node.input):
                if name == input_name:
                    node.input[place] = f"{input_name}_outer"
        added = helper.make_node(
            op_type, [input_name], [f"{input_name}_outer"], name=f"added_{op_type}", **attributes
        )
        model.graph.node.insert(0, added)

    return edit


def another_operator(find: Find, op_type: str) -> GraphChange:
    """Exchange a node's operator; inputs and attributes stay."""

    def edit(model: onnx.ModelProto) -> None:
        find(model).op_type = op_type

    return edit


def attribute(find: Find, name: str, value: Any) -> GraphChange:
    """Set an attribute of a node."""

    def edit(model: onnx.ModelProto) -> None:
        node = find(model)
        kept = [item for item in node.attribute if item.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute(name, value)])

    return edit


def exchange_outputs(a: str, b: str) -> GraphChange:
    """Let two outputs give each other's values, under the names and in the order they had."""

    def edit(model: onnx.ModelProto) -> None:
        first, second = node_of(model, a), node_of(model, b)
        first.output[list(first.output).index(a)] = b
        second.output[list(second.output).index(b)] = a

    return edit


def rename_input(old: str, new: str) -> GraphChange:
    """Give an input another name, everywhere."""

    def edit(model: onnx.ModelProto) -> None:
        for value in model.graph.input:
            value.name = new if value.name == old else value.name
        for node in model.graph.node:
            for place, name in enumerate(node.input):
                node.input[place] = new if name == old else name

    return edit


def drop_output(name: str) -> GraphChange:
    """Leave an output out of the graph."""

    def edit(model: onnx.ModelProto) -> None:
        kept = [value for value in model.graph.output if value.name != name]
        del model.graph.output[:]
        model.graph.output.extend(kept)

    return edit


def order_outputs(*names: str) -> GraphChange:
    """Declare the outputs in another order; each keeps its name and values."""

    def edit(model: onnx.ModelProto) -> None:
        by_name = {value.name: value for value in model.graph.output}
        ordered = [by_name[name] for name in names]
        del model.graph.output[:]
        model.graph.output.extend(ordered)

    return edit


def metadata(key: str, value: str) -> GraphChange:
    """Set what a file says of itself."""

    def edit(model: onnx.ModelProto) -> None:
        properties = {item.key: item.value for item in model.metadata_props}
        helper.set_model_props(model, properties | {key: value})

    return edit
