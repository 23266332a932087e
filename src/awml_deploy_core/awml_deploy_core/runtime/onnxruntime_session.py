"""An ONNX Runtime session on host arrays."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.runtime.binding import Binding
from awml_deploy_core.runtime.session import NativeSession, Tensors, check_inputs, check_outputs

NAME = "onnxruntime"


class OnnxRuntimeSession(NativeSession[Any]):
    """One ONNX graph loaded in ONNX Runtime."""

    def __init__(self, spec: ComponentSpec, device: DeviceSpec, native: Any, binding: Binding) -> None:
        super().__init__(NAME, spec, device, native)
        self._binding = binding

    @property
    def binding(self) -> Binding:
        """How the graph's tensors were matched to the spec."""
        return self._binding

    def run(self, inputs: Tensors) -> dict[str, npt.NDArray[Any]]:
        """Run the component on host arrays keyed by the spec's tensor names.

        Raises:
            TensorMismatchError: An input contradicts the spec.
            InferenceError: The session is closed, ONNX Runtime failed, or an output contradicts
                the spec.
        """
        native = self._open()
        check_inputs(self._spec, inputs)
        feed = {
            name: np.ascontiguousarray(inputs[tensor.name], np.dtype(tensor.dtype))
            for name, tensor in zip(self._binding.inputs, self._spec.inputs, strict=True)
        }
        failures: tuple[type[Exception], ...] = (*native_errors(), RuntimeError, ValueError)
        try:
            values = native.run(list(self._binding.outputs), feed)
        except failures as error:
            raise self._failed(error) from error
        return check_outputs(self._spec, values)


@cache
def native_errors() -> tuple[type[Exception], ...]:
    """The exceptions ONNX Runtime defines; they share no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return tuple(
        value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception)
    )
