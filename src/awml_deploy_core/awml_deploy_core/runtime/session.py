"""One protocol for every backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import InferenceError, TensorMismatchError

if TYPE_CHECKING:
    import torch

Tensors = Mapping[str, npt.NDArray[Any]]
Native = TypeVar("Native")


class Session(Protocol):
    """One component loaded in one backend on one device."""

    @property
    def spec(self) -> ComponentSpec: ...

    @property
    def backend(self) -> str: ...

    @property
    def device(self) -> DeviceSpec: ...

    def run(self, inputs: Tensors) -> dict[str, npt.NDArray[Any]]:
        """Run the component.

        Inputs and outputs are host arrays keyed by the spec's tensor names. Outputs are owned by
        the caller.

        Raises:
            TensorMismatchError: An input's name, dtype or shape contradicts the spec.
            InferenceError: The backend failed.
        """
        ...

    def close(self) -> None:
        """Release everything. Calling it twice is allowed."""
        ...


class NativeSession(Generic[Native]):
    """What every session has that runs something its backend loaded: a base of implementations.

    Args:
        backend: Its name.
        spec: What the component computes.
        device: Where it runs.
        native: What the backend loaded.
    """

    def __init__(self, backend: str, spec: ComponentSpec, device: DeviceSpec, native: Native) -> None:
        self._backend = backend
        self._spec = spec
        self._device = device
        self._native: Native | None = native

    @property
    def spec(self) -> ComponentSpec:
        return self._spec

    @property
    def backend(self) -> str:
        return self._backend

    @property
    def device(self) -> DeviceSpec:
        return self._device

    def close(self) -> None:
        """Release what the backend loaded. Calling it twice is allowed."""
        self._native = None

    def _open(self) -> Native:
        if self._native is None:
            raise InferenceError(f"component {self._spec.name}", "its session is closed")
        return self._native

    def _failed(self, error: Exception) -> InferenceError:
        return InferenceError(
            f"component {self._spec.name}", f"{self._backend} on {self._device} failed", got=error
        )


@dataclass(frozen=True, eq=False)
class SessionSource:
    """Where a backend gets a component from: an ONNX file, a module, or both."""

    spec: ComponentSpec
    onnx_path: Path | None = None
    load_module: Callable[[], torch.nn.Module] | None = None
    """Gives the component's module in eval mode on the CPU (pytorch backend)."""
    bundle: Path | None = None
    """The bundle's folder, which has the engines (tensorrt backend); None is the ONNX file's."""


@dataclass(frozen=True)
class Availability:
    """Whether a backend can run on a device, and if not why and what would help."""

    available: bool
    detail: str
    hint: str = ""

    def __bool__(self) -> bool:
        return self.available


@dataclass(frozen=True)
class SessionOptions:
    """Backend-independent options of a session."""

    num_threads: int = 0
    """Intra-op CPU threads; 0 leaves the choice to the backend."""
    deterministic: bool = True
    extra: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Options of one backend by its name; every other backend ignores them."""


class Backend(Protocol):
    """A runtime, found through the entry-point group ``awml_deploy.backends``."""

    @property
    def name(self) -> str: ...

    def availability(self, device: DeviceSpec) -> Availability:
        """Whether this backend can open a session on ``device``; never raises."""
        ...

    def open_session(self, source: SessionSource, device: DeviceSpec, options: SessionOptions) -> Session:
        """Load a component.

        Raises:
            BackendUnavailableError: The backend or the device is not usable here.
            ArtifactError: The artifact is missing, corrupt or contradicts the spec.
        """
        ...


def check_inputs(spec: ComponentSpec, inputs: Tensors) -> None:
    """Raise one TensorMismatchError that lists every input contradicting the spec."""
    problems = []
    for tensor in spec.inputs:
        value = inputs.get(tensor.name)
        if value is None:
            problems.append(f"{tensor.name} is missing (given: {', '.join(inputs) or 'none'})")
        elif reason := tensor.mismatch(value.shape, np.dtype(value.dtype).name):
            problems.append(f"{tensor.name}: {reason}")
    if problems:
        raise TensorMismatchError(f"inputs of {spec.name}", "do not match the spec", problems=problems)


def check_outputs(spec: ComponentSpec, values: Sequence[npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """What a backend gave for the spec's outputs in order, by name.

    Raises:
        InferenceError: Their number, a dtype or a shape contradicts the spec; all are listed.
    """
    if len(values) != len(spec.outputs):
        problems = [f"{len(values)} tensors, expected {len(spec.outputs)}"]
    else:
        problems = [
            f"{tensor.name}: {reason}"
            for tensor, value in zip(spec.outputs, values, strict=True)
            if (reason := tensor.mismatch(value.shape, value.dtype.name))
        ]
    if problems:
        raise InferenceError(f"outputs of {spec.name}", "do not match the spec", problems=problems)
    return {tensor.name: value for tensor, value in zip(spec.outputs, values, strict=True)}
