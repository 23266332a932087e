"""Finds the first internal tensor of an ONNX graph at which two runs of it part.

Two questions, because a component that fails alone has one of two causes:

1. Is the *file* wrong? If the component can be exported again from the trained model, the two files
   are compared weight by weight and then tensor by tensor, both run in the same way.
2. Is its *execution* wrong? The file is run on the test's execution provider, optimised, and on the
   CPU without optimisations, tensor by tensor. What goes wrong only in fused operators cannot be
   seen so, since exposing the tensors keeps operators from being fused; the result says so.

Tensors are exposed in execution order, a part of the graph at a time, so that memory stays bounded
and the search ends at the first that differs. onnx and ONNX Runtime are imported when needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.verification.onnx_graph import (
    GraphRun,
    changed_nodes,
    changed_weights,
    load_graph,
    run_tensors,
    tensor_sizes,
)
from awml_deploy_core.verification.tensors import TensorComparator, TensorComparison
from awml_deploy_core.verification.tolerances import Tolerances

if TYPE_CHECKING:
    import onnx

BUDGET_BYTES = 512 * 2**20
"""Memory of the tensors exposed at a time, where shape inference knows their sizes."""
_MOST_AT_A_TIME = 32
_MOST_NAMED = 5


@dataclass(frozen=True)
class Divergence:
    """The first tensor at which two runs part."""

    node: str
    op_type: str
    output: str
    position: int
    """Of the node in execution order, from 0."""
    num_nodes: int
    comparison: TensorComparison

    def __str__(self) -> str:
        place = f"node {self.position + 1} of {self.num_nodes}"
        return f"{self.op_type} {self.node} ({place}), output {self.output}: {self.comparison.message()}"


@dataclass(frozen=True)
class Bisection:
    """Where a component that failed alone first differs inside."""

    component: str
    against: str
    """What the graph was compared with."""
    tensors_compared: int
    divergence: Divergence | None
    changed_weights: tuple[str, ...] = ()
    """Weights whose values differ between the files."""
    changed_nodes: tuple[str, ...] = ()
    """How operators differ between the files, one clause each."""
    note: str = ""
    """What else there is to say, e.g. why nothing was found."""

    def message(self) -> str:
        """One line for people."""
        parts = []
        if self.divergence:
            parts.append(f"first diverging tensor: {self.divergence}")
        for what, changes in (
            ("changed weights", self.changed_weights),
            ("changed operators", self.changed_nodes),
        ):
            if changes:
                more = len(changes) - _MOST_NAMED
                suffix = f" and {more} more" if more > 0 else ""
                parts.append(f"{what}: {', '.join(changes[:_MOST_NAMED])}{suffix}")
        parts += [self.note] if self.note else []
        return f"{self.component} against {self.against}: " + "; ".join(parts or ["nothing differs"])


def bisect_file(
    component: str,
    file: Path,
    reference: Path,
    inputs: Sequence[npt.NDArray[Any]],
    tolerances: Tolerances,
) -> Bisection:
    """Compare a graph with the same component exported again, both run on the CPU as they are.

    Args:
        component: Its name.
        file: The graph in question.
        reference: The graph exported from the trained model.
        inputs: Values of the graph's inputs in their order.
        tolerances: A tensor beyond them differs.

    Raises:
        ArtifactError, InferenceError, MissingDependencyError: A graph cannot be read or run.
    """
    models = load_graph(file), load_graph(reference)
    weights, nodes = changed_weights(*models), changed_nodes(*models)
    compared, divergence = _search(
        GraphRun(file), GraphRun(reference), models, inputs, TensorComparator(_own(tolerances))
    )
    note = ""
    if len(models[0].graph.node) != len(models[1].graph.node):
        counts = " and ".join(str(len(model.graph.node)) for model in models)
        note = f"the graphs have {counts} nodes, so only tensors of the same name were compared"
    elif divergence is None and not weights and not nodes:
        note = "the file is the one that the trained model gives"
    return Bisection(component, "its graph exported again", compared, divergence, weights, nodes, note)


def bisect_execution(
    component: str,
    file: Path,
    provider: str,
    inputs: Sequence[npt.NDArray[Any]],
    tolerances: Tolerances,
) -> Bisection:
    """Compare a graph optimised on an execution provider with itself, unoptimised on the CPU.

    Args:
        component: Its name.
        file: The graph.
        provider: ONNX Runtime's name of the test's execution provider.
        inputs: Values of the graph's inputs in their order.
        tolerances: A tensor beyond them differs.

    Raises:
        ArtifactError, InferenceError, MissingDependencyError: The graph cannot be read or run.
    """
    model = load_graph(file)
    compared, divergence = _search(
        GraphRun(file, provider, True),
        GraphRun(file),
        (model, model),
        inputs,
        TensorComparator(_own(tolerances)),
    )
    note = ""
    if divergence is None:
        note = (
            f"{provider} computes every tensor of the file as the unoptimised CPU does: either the file is "
            "not what the reference runs, or only fused operators differ"
        )
    return Bisection(component, "its own graph, unoptimised on the CPU", compared, divergence, note=note)


def _own(tolerances: Tolerances) -> Tolerances:
    """Internal tensors share no names with outputs that have limits of their own."""
    return replace(tolerances, outputs={})


def _search(
    test: GraphRun,
    reference: GraphRun,
    models: tuple[onnx.ModelProto, onnx.ModelProto],
    inputs: Sequence[npt.NDArray[Any]],
    comparator: TensorComparator,
) -> tuple[int, Divergence | None]:
    """The number of tensors compared, and the first that differs."""
    known = {name for node in models[1].graph.node for name in node.output if name}
    nodes = models[0].graph.node
    places = {
        name: index for index, node in enumerate(nodes) for name in node.output if name and name in known
    }
    compared = 0
    for names in parts_within_budget(models[0], list(places)):
        expected = run_tensors(reference, models[1], names, inputs)
        actual = run_tensors(test, models[0], names, inputs)
        for name in names:
            if not _is_numeric(expected[name]) or not _is_numeric(actual[name]):
                continue
            compared += 1
            found = comparator.compare(name, expected[name], actual[name])
            if not found:
                node = nodes[places[name]]
                label = node.name or f"#{places[name]}"
                return compared, Divergence(label, node.op_type, name, places[name], len(nodes), found)
    return compared, None


def _is_numeric(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiub"


def parts_within_budget(model: onnx.ModelProto, names: Sequence[str]) -> Iterator[list[str]]:
    """Names in order, in parts whose tensors fit the budget."""
    sizes = tensor_sizes(model)
    part: list[str] = []
    total = 0
    for name in names:
        size = sizes.get(name, BUDGET_BYTES // _MOST_AT_A_TIME)
        if part and (total + size > BUDGET_BYTES or len(part) == _MOST_AT_A_TIME):
            yield part
            part, total = [], 0
        part.append(name)
        total += size
    if part:
        yield part
