"""One engine on one GPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import ArtifactError, InferenceError
from awml_deploy_core.runtime.binding import Binding, GraphTensor, bind
from awml_deploy_core.runtime.cuda.context import DeviceMemory
from awml_deploy_core.runtime.cuda.memory import DeviceSpan
from awml_deploy_core.runtime.cuda.session import capacity, check_input_shapes, check_spans
from awml_deploy_core.runtime.session import NativeSession, Tensors, check_inputs, check_outputs
from awml_deploy_core.runtime.trt.library import Messages, TensorRTApi, shape_of
from awml_deploy_core.runtime.trt.settings import Precision

if TYPE_CHECKING:
    import tensorrt

NAME = "tensorrt"

_PROFILE = 0
"""Engines of this suite have one optimisation profile."""
_DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT8": "int8",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
    "UINT8": "uint8",
}


@dataclass(frozen=True, eq=False)
class LoadedEngine:
    """An engine and what has to live as long as it."""

    runtime: tensorrt.Runtime
    engine: tensorrt.ICudaEngine
    context: tensorrt.IExecutionContext
    messages: Messages


def bind_engine(api: TensorRTApi, engine: tensorrt.ICudaEngine, spec: ComponentSpec, path: Path) -> Binding:
    """Match an engine's tensors to a spec by name, or by index where all names are others.

    Raises:
        ArtifactError: Names, order, dtypes, shapes or the profile contradict the spec; every offending
            tensor is listed.
    """
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    modes = {name: engine.get_tensor_mode(name) for name in names}
    inputs = [_graph_tensor(engine, name) for name in names if modes[name] == api.TensorIOMode.INPUT]
    outputs = [_graph_tensor(engine, name) for name in names if modes[name] == api.TensorIOMode.OUTPUT]
    binding = bind(spec, inputs, outputs, path)
    problems = []
    for name, tensor in zip(binding.inputs, spec.inputs, strict=True):
        low, _, high = (shape_of(dims) for dims in engine.get_tensor_profile_shape(name, _PROFILE))
        for position, axis in tensor.dynamic_axes.items():
            if low[position] > axis.min or high[position] < axis.max:
                problems.append(
                    f"input {name}: axis {position} is built for {low[position]}..{high[position]}, "
                    f"expected {axis}"
                )
    if problems:
        raise ArtifactError(
            path,
            f"does not cover the shapes of component {spec.name}",
            problems=problems,
            hint="Build it again: awml-deploy build.",
        )
    return binding


def _graph_tensor(engine: tensorrt.ICudaEngine, name: str) -> GraphTensor:
    kind = engine.get_tensor_dtype(name).name
    shape = tuple(axis if axis >= 0 else None for axis in shape_of(engine.get_tensor_shape(name)))
    return GraphTensor(name, _DTYPES.get(kind, kind), shape)


class TensorRTSession(NativeSession[LoadedEngine]):
    """An engine that is enqueued on the caller's stream, or run on host arrays.

    On the device: :meth:`bind` once, then :meth:`enqueue` every frame. Nothing is allocated and the
    host does not wait, so that a CUDA graph can capture it; a shape has to be set once before the
    capture. A session belongs to one thread at a time.
    """

    def __init__(
        self,
        spec: ComponentSpec,
        device: DeviceSpec,
        loaded: LoadedEngine,
        binding: Binding,
        memory: DeviceMemory,
        precision: Precision = "fp32",
        engine_key: str | None = None,
    ) -> None:
        super().__init__(NAME, spec, device, loaded)
        self._precision = precision
        self._engine_key = engine_key
        self._memory = memory
        self._names = binding.graph_names(spec)
        self._binding = binding
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._bound: Mapping[str, DeviceSpan] | None = None
        self._own: Mapping[str, DeviceSpan] | None = None

    @property
    def precision(self) -> Precision:
        """What the engine computes in: its outputs are as exact as that."""
        return self._precision

    @property
    def capturable(self) -> bool:
        """TensorRT enqueues only what a graph can repeat; TensorRT-RTX says whether it does."""
        # The stubs are those of TensorRT, which does not have this.
        asked = getattr(self._open().context, "is_stream_capturable", None)
        return asked is None or bool(asked(self._memory.stream))

    @property
    def captures_shapes(self) -> bool:
        """A graph uses the state of its execution context, which another shape changes (developer guide
        of TensorRT, "CUDA graphs": one context for each graph)."""
        return False

    @property
    def engine_key(self) -> str | None:
        """Which engine of the bundle runs: the name of its file, with the digest of its key."""
        return self._engine_key

    @property
    def binding(self) -> Binding:
        """How the engine's tensors were matched to the spec."""
        return self._binding

    def bind(self, spans: Mapping[str, DeviceSpan]) -> None:
        """Give every input and output its place on the device, for all frames to come.

        Args:
            spans: By the spec's tensor names, each with room for the largest shape. They stay the
                caller's, and have to live as long as they are bound.

        Raises:
            TensorMismatchError: A tensor is missing or its memory too small; all are listed.
            InferenceError: The session is closed or TensorRT refuses an address.
        """
        context = self._open().context
        check_spans(self._spec, spans)
        # An address that is refused leaves the others where they were put.
        self._bound = None
        for name, graph_name in self._names.items():
            if not context.set_tensor_address(graph_name, spans[name].address):
                raise self._failure(f"set_tensor_address of {graph_name}")
        self._bound = dict(spans)

    def set_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        """Set the shapes of this frame's inputs and return those of its outputs, by the spec's names.

        Raises:
            TensorMismatchError: A shape contradicts the spec; all are listed.
            InferenceError: The session is closed or TensorRT refuses a shape.
        """
        context = self._open().context
        check_input_shapes(self._spec, shapes)
        for tensor in self._spec.inputs:
            shape = tuple(shapes[tensor.name])
            if self._shapes.get(tensor.name) == shape:
                continue
            self._shapes.pop(tensor.name, None)
            if not context.set_input_shape(self._names[tensor.name], shape):
                raise self._failure(f"set_input_shape of {tensor.name} to {list(shape)}")
            self._shapes[tensor.name] = shape
        try:
            missing = context.infer_shapes()
        except RuntimeError as error:
            raise self._failure(f"infer_shapes ({error})") from error
        if missing:
            raise InferenceError(
                f"component {self._spec.name}", "shapes are not set", got=", ".join(missing)
            )
        return {
            tensor.name: shape_of(context.get_tensor_shape(self._names[tensor.name]))
            for tensor in self._spec.outputs
        }

    def enqueue(self, stream: int) -> None:
        """Run on the bound memory with the shapes that are set, in the order of the caller's stream.

        The session's device has to be that of the calling thread.

        Args:
            stream: Handle of a CUDA stream of the session's device.

        Raises:
            InferenceError: The session is closed or not bound, or TensorRT refuses.
        """
        loaded = self._open()
        if self._bound is None:
            raise InferenceError(
                f"component {self._spec.name}", "its memory is not bound", hint="Call bind first."
            )
        if not loaded.context.execute_async_v3(stream):
            raise self._failure("execute_async_v3")

    def run(self, inputs: Tensors) -> dict[str, npt.NDArray[Any]]:
        """Run the component on host arrays keyed by the spec's tensor names.

        It uses memory of its own: what was bound before has to be bound again.

        Raises:
            TensorMismatchError: An input contradicts the spec.
            InferenceError: The session is closed, the device failed, or an output contradicts the spec.
            DeviceError: The device has no memory left.
        """
        self._open()
        check_inputs(self._spec, inputs)
        # The thread that opened the session may be another one.
        self._memory.activate()
        if self._own is None:
            self._own = {
                tensor.name: DeviceSpan(self._memory.allocate(capacity(tensor)), capacity(tensor))
                for tensor in (*self._spec.inputs, *self._spec.outputs)
            }
        if self._bound != self._own:
            self.bind(self._own)
        shapes = self.set_shapes({tensor.name: inputs[tensor.name].shape for tensor in self._spec.inputs})
        held = []
        for tensor in self._spec.inputs:
            held.append(np.ascontiguousarray(inputs[tensor.name], np.dtype(tensor.dtype)))
            self._memory.upload(self._own[tensor.name].address, held[-1])
        self.enqueue(self._memory.stream)
        outputs = []
        for tensor in self._spec.outputs:
            outputs.append(np.empty(shapes[tensor.name], np.dtype(tensor.dtype)))
            self._memory.download(outputs[-1], self._own[tensor.name].address)
        self._memory.synchronize()
        return check_outputs(self._spec, outputs)

    def close(self) -> None:
        """Release the engine and its memory. Calling it twice is allowed."""
        super().close()
        self._bound = self._own = None
        self._memory.close()

    def _failure(self, call: str) -> InferenceError:
        return InferenceError(
            f"component {self._spec.name}",
            f"{NAME} on {self._device}: {call} failed",
            problems=self._open().messages.errors(),
        )
