"""Sessions that take and leave their tensors on the device."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np

from awml_deploy_core.components import ComponentSpec, DynamicAxis, TensorSpec
from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import InferenceError, TensorMismatchError
from awml_deploy_core.runtime.cuda.memory import DeviceSpan

Shapes = Mapping[str, tuple[int, ...]]
"""By the spec's tensor names."""


@runtime_checkable
class DeviceSession(Protocol):
    """One component whose tensors stay on the device.

    :meth:`bind` once, :meth:`set_shapes` when a shape changes, :meth:`enqueue` every frame. Nothing of it
    waits for the device, but for a session that is not ``capturable``.
    """

    @property
    def spec(self) -> ComponentSpec: ...

    @property
    def backend(self) -> str: ...

    @property
    def device(self) -> DeviceSpec: ...

    @property
    def capturable(self) -> bool:
        """Whether :meth:`enqueue` may be captured in a graph, which then repeats the shapes it was
        captured with."""
        ...

    @property
    def captures_shapes(self) -> bool:
        """Whether a graph stays valid when :meth:`enqueue` is captured again with another shape."""
        ...

    def bind(self, spans: Mapping[str, DeviceSpan]) -> None:
        """Give every input and output its place on the device, for all frames to come.

        Args:
            spans: By the spec's tensor names, each with room for the largest shape. They stay the
                caller's, and have to live as long as they are bound.

        Raises:
            TensorMismatchError: A tensor is missing or its memory too small; all are listed.
            InferenceError: The session is closed or its backend refuses.
        """
        ...

    def set_shapes(self, shapes: Shapes) -> dict[str, tuple[int, ...]]:
        """Set the shapes of this frame's inputs and return those of its outputs, by the spec's names.

        Raises:
            TensorMismatchError: A shape contradicts the spec; all are listed.
            InferenceError: The session is closed or its backend refuses.
        """
        ...

    def enqueue(self, stream: int) -> None:
        """Run on the bound memory with the shapes that are set, in the order of the caller's stream.

        The session's device has to be that of the calling thread.

        Raises:
            InferenceError: The session is closed or not bound, or its backend refuses.
        """
        ...

    def close(self) -> None:
        """Release everything. Calling it twice is allowed."""
        ...


def capacity(spec: TensorSpec) -> int:
    """Bytes of a tensor in its largest shape."""
    return math.prod(largest_shape(spec)) * np.dtype(spec.dtype).itemsize


def largest_shape(spec: TensorSpec) -> tuple[int, ...]:
    """The shape of a tensor with every dynamic axis at its maximum."""
    return tuple(axis.max if isinstance(axis, DynamicAxis) else axis for axis in spec.shape)


def check_spans(spec: ComponentSpec, spans: Mapping[str, DeviceSpan]) -> None:
    """Raise one TensorMismatchError that lists every tensor without memory for its largest shape."""
    problems = []
    for tensor in (*spec.inputs, *spec.outputs):
        span = spans.get(tensor.name)
        if span is None:
            problems.append(f"{tensor.name} is missing (given: {', '.join(spans) or 'none'})")
        elif span.size < (needed := capacity(tensor)):
            problems.append(f"{tensor.name} has {span.size} bytes, expected at least {needed} ({tensor})")
    if problems:
        raise TensorMismatchError(
            f"device memory of {spec.name}", "does not fit the spec", problems=problems
        )


def unbound(spec: ComponentSpec) -> InferenceError:
    """The error of a session that was asked to run too early."""
    return InferenceError(
        f"component {spec.name}",
        "its memory is not bound or its shapes are not set",
        hint="Call bind and set_shapes first.",
    )


def check_input_shapes(spec: ComponentSpec, shapes: Shapes) -> None:
    """Raise one TensorMismatchError that lists every shape that contradicts the spec."""
    problems = [
        f"{tensor.name}: {reason}"
        for tensor in spec.inputs
        if (reason := tensor.mismatch(shapes.get(tensor.name, ())))
    ]
    if problems:
        raise TensorMismatchError(f"inputs of {spec.name}", "do not match the spec", problems=problems)


def output_shapes(spec: ComponentSpec, shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """Shapes of the outputs that follow from checked shapes of the inputs, axes matched by name.

    Raises:
        TensorMismatchError: An output has a dynamic axis that no input has.
    """
    lengths = {
        axis.name: shapes[tensor.name][position]
        for tensor in spec.inputs
        for position, axis in tensor.dynamic_axes.items()
    }
    problems = [
        f"{tensor.name}: axis {axis.name}"
        for tensor in spec.outputs
        for axis in tensor.dynamic_axes.values()
        if axis.name not in lengths
    ]
    if problems:
        raise TensorMismatchError(
            f"outputs of {spec.name}", "have axes that no input has", problems=problems
        )
    return {
        tensor.name: tuple(
            lengths[axis.name] if isinstance(axis, DynamicAxis) else axis for axis in tensor.shape
        )
        for tensor in spec.outputs
    }
