"""What a model is made of: components with declared tensors.

A ``ComponentSpec`` describes one graph without needing torch; an ``ExportableComponent`` adds
the module and sample inputs that an exporter needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from awml_deploy_core.errors import TensorMismatchError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class DynamicAxis:
    """An axis whose length changes from frame to frame, with the range it is built for."""

    name: str
    min: int
    opt: int
    max: int

    def __post_init__(self) -> None:
        if not 1 <= self.min <= self.opt <= self.max:
            raise TensorMismatchError(
                f"axis {self.name}",
                "range is not ordered",
                got=f"min {self.min}, opt {self.opt}, max {self.max}",
                expected="1 <= min <= opt <= max",
            )

    def __str__(self) -> str:
        return f"{self.name}[{self.min}..{self.opt}..{self.max}]"


Axis = int | DynamicAxis


@dataclass(frozen=True)
class TensorSpec:
    """Name, dtype (a numpy dtype name) and shape of one input or output tensor."""

    name: str
    shape: tuple[Axis, ...]
    dtype: str = "float32"

    @property
    def dynamic_axes(self) -> dict[int, DynamicAxis]:
        """Dynamic axes by dimension."""
        return {i: axis for i, axis in enumerate(self.shape) if isinstance(axis, DynamicAxis)}

    def mismatch(self, shape: Sequence[object], dtype: str | None = None) -> str | None:
        """Say how an actual shape (and dtype) contradicts this spec, or ``None`` if it does not.

        A non-integer entry of ``shape`` (an ONNX symbolic dimension) is accepted where this spec
        has a dynamic axis; a static entry there must lie within the axis' range.
        """
        if dtype is not None and np.dtype(dtype) != np.dtype(self.dtype):
            return f"dtype {dtype}, expected {self.dtype}"
        if len(shape) != len(self.shape):
            return f"rank {len(shape)} {_shape_text(shape)}, expected {_shape_text(self.shape)}"
        for position, (actual, axis) in enumerate(zip(shape, self.shape, strict=True)):
            if isinstance(axis, DynamicAxis):
                if isinstance(actual, int) and not axis.min <= actual <= axis.max:
                    return f"axis {position} is {actual}, expected {axis}"
            elif actual != axis:
                return f"axis {position} is {actual}, expected {axis} (shape {_shape_text(self.shape)})"
        return None

    def __str__(self) -> str:
        return f"{self.name} {self.dtype} {_shape_text(self.shape)}"


def _shape_text(shape: Sequence[object]) -> str:
    return "[" + ", ".join(str(axis) for axis in shape) + "]"


@dataclass(frozen=True)
class ComponentSpec:
    """One graph of a model: its name, its ONNX file in a bundle, and its tensors in order."""

    name: str
    onnx_file: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True, eq=False)
class ExportableComponent:
    """A component with the module that computes it.

    ``module`` takes the inputs positionally in the order of ``spec.inputs`` and returns one
    tensor or a tuple in the order of ``spec.outputs``. ``sample_inputs`` are tensors on the
    module's device that satisfy the specs.
    """

    spec: ComponentSpec
    module: torch.nn.Module
    sample_inputs: tuple[torch.Tensor, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Written into the ONNX file's metadata properties, e.g. the head convention."""


class ModelComponentExtractor(Protocol):
    """Makes the components of a loaded model. Implemented by a model family."""

    def extract(self, model: torch.nn.Module) -> tuple[ExportableComponent, ...]:
        """Split ``model`` into its components, in execution order."""
        ...


@dataclass(frozen=True)
class SimpleComponentExtractor:
    """Extractor of a model that is one graph: the whole module is the only component."""

    spec: ComponentSpec

    def extract(self, model: torch.nn.Module) -> tuple[ExportableComponent, ...]:
        """Wrap ``model`` with zero-filled sample inputs of the optimal shapes."""
        import torch

        device: Any = next((p.device for p in model.parameters()), torch.device("cpu"))
        samples = tuple(
            torch.zeros(
                [axis.opt if isinstance(axis, DynamicAxis) else axis for axis in spec.shape],
                dtype=getattr(torch, spec.dtype),
                device=device,
            )
            for spec in self.spec.inputs
        )
        return (ExportableComponent(self.spec, model, samples),)
