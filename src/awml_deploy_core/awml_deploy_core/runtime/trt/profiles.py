"""The shapes an engine is built for, checked against the graph before anything is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from awml_deploy_core.components import ComponentSpec, DynamicAxis, TensorSpec
from awml_deploy_core.runtime.binding import GraphTensor
from awml_deploy_core.runtime.trt.settings import Profile, ShapeRange
from awml_deploy_core.validation import suggest


def resolve_profile(
    spec: ComponentSpec, graph: Sequence[GraphTensor], configured: Profile
) -> tuple[dict[str, ShapeRange], list[str]]:
    """The shape range of every input of a graph, and everything that is wrong.

    A configured range wins over the axes that the component declares, but has to cover them: a
    session accepts every shape of its spec.

    Args:
        spec: The component; its inputs are those of the graph in order.
        graph: The graph's inputs.
        configured: Ranges by the name of the graph's or of the spec's input.

    Returns:
        Ranges by the graph's names, of those inputs that are right, and problems, one clause each.
    """
    names = {tensor.name for tensor in graph} | {tensor.name for tensor in spec.inputs}
    problems = [
        f"{spec.name}.{name}: is no input of the graph{suggest(name, names)}"
        for name in configured
        if name not in names
    ]
    problems += [
        f"{spec.name}.{tensor.name}: is missing in the graph" for tensor in spec.inputs[len(graph) :]
    ]
    ranges = {}
    for position, tensor in enumerate(graph):
        declared = spec.inputs[position] if position < len(spec.inputs) else _declared_by(tensor)
        chosen = configured.get(tensor.name) or configured.get(declared.name)
        wrong = _range_problems(tensor, declared, chosen) if chosen else _undeclared(tensor, declared)
        problems += [f"{spec.name}.{tensor.name}: {text}" for text in wrong]
        if not wrong:
            ranges[tensor.name] = chosen or declared_range(declared)
    return ranges, problems


def declared_range(spec: TensorSpec) -> ShapeRange:
    """The range that an input's axes declare."""
    low, middle, high = (
        tuple(axis if isinstance(axis, int) else int(getattr(axis, end)) for axis in spec.shape)
        for end in ("min", "opt", "max")
    )
    return ShapeRange(low, middle, high)


_OPEN = 0
"""Length of an axis that neither the component nor the graph gives."""


def _declared_by(tensor: GraphTensor) -> TensorSpec:
    """An input that the component does not know, as far as the graph declares it."""
    shape = tuple(axis if isinstance(axis, int) else _OPEN for axis in tensor.shape)
    return TensorSpec(tensor.name, shape, tensor.dtype)


def _undeclared(tensor: GraphTensor, spec: TensorSpec) -> list[str]:
    """What keeps the declared axes from being the profile."""
    if len(tensor.shape) != len(spec.shape):
        return [
            f"has rank {len(tensor.shape)} in the graph ({tensor}), expected {len(spec.shape)} ({spec})"
        ]
    problems = []
    for position, (actual, axis) in enumerate(zip(tensor.shape, spec.shape, strict=True)):
        if not isinstance(actual, int):
            if axis == _OPEN:
                problems.append(f"axis {position} ({actual or '?'}) is dynamic and has no profile")
        elif isinstance(axis, DynamicAxis):
            if not _is_fixed(axis, actual):
                problems.append(f"axis {position} is fixed at {actual} in the graph, expected {axis}")
        elif actual != axis:
            problems.append(f"axis {position} is {actual} in the graph, expected {axis}")
    return problems


def _is_fixed(axis: DynamicAxis, length: int) -> bool:
    return axis.min == axis.max == length


def _range_problems(tensor: GraphTensor, spec: TensorSpec, chosen: ShapeRange) -> list[str]:
    ends = {"min": chosen.min, "opt": chosen.opt, "max": chosen.max}
    problems = [
        f"{end} {_text(shape)} has rank {len(shape)}, the graph's is {len(tensor.shape)} ({tensor})"
        for end, shape in ends.items()
        if len(shape) != len(tensor.shape)
    ]
    if problems:
        return problems
    for position, actual in enumerate(tensor.shape):
        lengths = {end: shape[position] for end, shape in ends.items()}
        listed = ", ".join(f"{end} {length}" for end, length in lengths.items())
        if isinstance(actual, int):
            if set(lengths.values()) != {actual}:
                problems.append(
                    f"axis {position} is fixed at {actual} in the graph, the profile has {listed}"
                )
        elif not 1 <= lengths["min"] <= lengths["opt"] <= lengths["max"]:
            problems.append(f"axis {position} has {listed}, expected 1 <= min <= opt <= max")
        else:
            problems += _uncovered(position, lengths, spec)
    return problems


def _uncovered(position: int, lengths: Mapping[str, int], spec: TensorSpec) -> list[str]:
    """Whether frames that the component allows would not fit the engine."""
    axis = spec.shape[position] if position < len(spec.shape) else None
    if not isinstance(axis, DynamicAxis):
        return []
    if lengths["min"] <= axis.min and lengths["max"] >= axis.max:
        return []
    return [
        f"axis {position} has min {lengths['min']}, max {lengths['max']}, but the model's is {axis}: "
        "frames beyond the profile could not run"
    ]


def example_configuration(specs: Sequence[ComponentSpec]) -> str:
    """Profiles that are right for these components, as a deploy.yaml has them."""
    lines = ["export:", "  tensorrt:", "    profiles:"]
    for spec in specs:
        lines.append(f"      {spec.name}:")
        for tensor in spec.inputs:
            shapes = declared_range(tensor)
            ends = ", ".join(f"{end}: {_text(getattr(shapes, end))}" for end in ("min", "opt", "max"))
            lines.append(f"        {tensor.name}: {{{ends}}}")
    return "\n".join(lines)


def _text(shape: Sequence[int]) -> str:
    return f"[{', '.join(map(str, shape))}]"
