"""How the tensors of a loaded graph correspond to a component's spec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from awml_deploy_core.components import ComponentSpec, DynamicAxis, TensorSpec
from awml_deploy_core.errors import ArtifactError

if TYPE_CHECKING:
    from awml_deploy_core.runtime.session import Session


@dataclass(frozen=True)
class GraphTensor:
    """An input or output as a backend reports it; a shape entry that is no int is symbolic."""

    name: str
    dtype: str
    """numpy dtype name, or the backend's own word for what numpy does not have."""
    shape: tuple[int | str | None, ...]

    def __str__(self) -> str:
        shape = ", ".join("?" if axis is None else str(axis) for axis in self.shape)
        return f"{self.name} {self.dtype} [{shape}]"


@dataclass(frozen=True)
class Binding:
    """Graph tensor names in the order of the spec's inputs and outputs."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    by_index: bool
    """The graph's names differ from the spec's, so tensors were matched by position."""

    def graph_names(self, spec: ComponentSpec) -> dict[str, str]:
        """The graph's name of every input and output by the spec's."""
        tensors = (*spec.inputs, *spec.outputs)
        return dict(zip(_names(tensors), (*self.inputs, *self.outputs), strict=True))


def bind(
    spec: ComponentSpec, inputs: Sequence[GraphTensor], outputs: Sequence[GraphTensor], source: object
) -> Binding:
    """Match a graph's tensors to a spec: same order, and the same names or entirely other ones.

    The exchange format with the vehicle's own node fixes the order of the tensors, not their
    names. A graph with the right names in another order would run here and be decoded wrongly
    there, so it is refused like one with some names misplaced. Index binding, where only the
    names differ, needs the same number of tensors, each compatible with the spec at its position.

    Args:
        spec: What the component must look like.
        inputs: The graph's inputs in order.
        outputs: The graph's outputs in order; more may follow those of the spec where the names
            match.
        source: The file, for the error.

    Raises:
        ArtifactError: The graph contradicts the spec; every offending tensor is listed.
    """
    kept = outputs[: len(spec.outputs)]
    by_name = _names(inputs) == _names(spec.inputs) and _names(kept) == _names(spec.outputs)
    if by_name:
        problems = [
            *_incompatible("input", spec.inputs, inputs),
            *_incompatible("output", spec.outputs, kept),
        ]
    else:
        problems = [
            *_by_index_problems("input", spec.inputs, inputs),
            *_by_index_problems("output", spec.outputs, outputs),
        ]
    if problems:
        raise ArtifactError(
            source,
            f"its tensors do not match component {spec.name}",
            problems=problems,
            hint="Check that the file belongs to this model and that the model configuration is the "
            "one it was exported with.",
        )
    return Binding(_names(inputs), _names(kept), not by_name)


def name_problem(session: Session) -> str | None:
    """How an open graph names its tensors otherwise than its component, or None if it does not."""
    binding, spec = getattr(session, "binding", None), session.spec
    if not isinstance(binding, Binding) or not binding.by_index:
        return None
    pairs = [
        (f"{kind} {name}", tensor.name)
        for kind, names, tensors in (
            ("input", binding.inputs, spec.inputs),
            ("output", binding.outputs, spec.outputs),
        )
        for name, tensor in zip(names, tensors, strict=True)
        if name != tensor.name
    ]
    texts = ", ".join(f"{found} is called {wanted} in the component" for found, wanted in pairs)
    return f"{texts}: the file was changed after its export, and what binds tensors by name cannot run it"


def _names(tensors: Sequence[GraphTensor] | Sequence[TensorSpec]) -> tuple[str, ...]:
    return tuple(tensor.name for tensor in tensors)


def _by_index_problems(kind: str, specs: Sequence[TensorSpec], tensors: Sequence[GraphTensor]) -> list[str]:
    if len(specs) != len(tensors):
        return [
            f"{len(tensors)} {kind}s ({', '.join(str(t) for t in tensors) or 'none'}), expected "
            f"{len(specs)} ({', '.join(str(t) for t in specs)})"
        ]
    positions = {spec.name: i for i, spec in enumerate(specs)}
    misplaced = [
        f"{kind} {i} is {tensor.name}, expected {tensor.name} at position {positions[tensor.name]}"
        for i, tensor in enumerate(tensors)
        if positions.get(tensor.name, i) != i
    ]
    return misplaced + _incompatible(kind, specs, tensors)


def _incompatible(kind: str, specs: Sequence[TensorSpec], tensors: Sequence[GraphTensor]) -> list[str]:
    return [
        f"{kind} {tensor.name}: {reason}"
        for spec, tensor in zip(specs, tensors, strict=True)
        if (reason := incompatibility(spec, tensor)) is not None
    ]


def incompatibility(spec: TensorSpec, tensor: GraphTensor) -> str | None:
    """Say how a graph's tensor contradicts its spec, names apart, or ``None`` if it does not.

    Unlike ``TensorSpec.mismatch`` this judges a graph: a symbolic dimension fits every axis, and a
    fixed one does not fit an axis that has to vary.
    """
    if tensor.dtype != np.dtype(spec.dtype).name:
        return f"dtype {tensor.dtype}, expected {spec.dtype} ({spec})"
    if len(tensor.shape) != len(spec.shape):
        return f"rank {len(tensor.shape)} ({tensor}), expected rank {len(spec.shape)} ({spec})"
    for position, (actual, axis) in enumerate(zip(tensor.shape, spec.shape, strict=True)):
        if not isinstance(actual, int):
            continue
        if isinstance(axis, DynamicAxis):
            if not axis.min == axis.max == actual:
                return f"axis {position} is fixed at {actual}, expected {axis}"
        elif actual != axis:
            return f"axis {position} is {actual}, expected {axis} ({spec})"
    return None
