"""An ONNX Runtime session whose tensors stay on the GPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.runtime.binding import Binding
from awml_deploy_core.runtime.cuda.context import CudaContext
from awml_deploy_core.runtime.cuda.memory import DeviceSpan
from awml_deploy_core.runtime.cuda.session import (
    Shapes,
    check_input_shapes,
    check_spans,
    output_shapes,
    unbound,
)
from awml_deploy_core.runtime.onnxruntime_session import OnnxRuntimeSession, native_errors


class OnnxRuntimeCudaSession(OnnxRuntimeSession):
    """An ONNX graph on CUDA: run on host arrays, or enqueued on device memory through I/O binding.

    ONNX Runtime works on the one stream it was opened with. :meth:`enqueue` lets that stream and the
    caller's wait for each other by events, so that the host waits for neither.

    Args:
        spec: What the graph computes.
        context: Whose stream the native session was opened with; it is closed with the session.
        native: The native session.
        binding: How the graph's tensors are matched to the spec.
        capturable: Whether :meth:`enqueue` may be captured in a graph.
    """

    def __init__(
        self, spec: ComponentSpec, context: CudaContext, native: Any, binding: Binding, *, capturable: bool
    ) -> None:
        super().__init__(spec, context.device, native, binding)
        self._context = context
        self._capturable = capturable
        self._names = binding.graph_names(spec)
        self._spans: Mapping[str, DeviceSpan] | None = None
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._io: Any | None = None
        self._run_options = _asynchronous()
        self._ready, self._done = context.create_event(), context.create_event()

    @property
    def capturable(self) -> bool:
        """As it was opened."""
        return self._capturable

    @property
    def captures_shapes(self) -> bool:
        """Kernels and memory of a run are those of its shape."""
        return self._capturable

    def bind(self, spans: Mapping[str, DeviceSpan]) -> None:
        """As :meth:`awml_deploy_core.runtime.cuda.session.DeviceSession.bind`."""
        self._open()
        check_spans(self.spec, spans)
        self._spans, self._shapes, self._io = dict(spans), {}, None

    def set_shapes(self, shapes: Shapes) -> dict[str, tuple[int, ...]]:
        """As :meth:`awml_deploy_core.runtime.cuda.session.DeviceSession.set_shapes`."""
        native = self._open()
        if self._spans is None:
            raise unbound(self.spec)
        check_input_shapes(self.spec, shapes)
        given = {tensor.name: tuple(shapes[tensor.name]) for tensor in self.spec.inputs}
        outputs = output_shapes(self.spec, given)
        if (wanted := given | outputs) != self._shapes or self._io is None:
            self._io = native.io_binding()
            for tensors, bind in (
                (self.spec.inputs, self._io.bind_input),
                (self.spec.outputs, self._io.bind_output),
            ):
                for tensor in tensors:
                    bind(
                        self._names[tensor.name],
                        "cuda",
                        self.device.index,
                        np.dtype(tensor.dtype),
                        list(wanted[tensor.name]),
                        self._spans[tensor.name].address,
                    )
            self._shapes = wanted
        return outputs

    def enqueue(self, stream: int) -> None:
        """As :meth:`awml_deploy_core.runtime.cuda.session.DeviceSession.enqueue`."""
        native = self._open()
        if self._io is None:
            raise unbound(self.spec)
        own = self._context.stream
        self._context.record(self._ready, stream)
        self._context.wait_event(self._ready, own)
        failures: tuple[type[Exception], ...] = (*native_errors(), RuntimeError, ValueError)
        try:
            native.run_with_iobinding(self._io, self._run_options)
        except failures as error:
            raise self._failed(error) from error
        self._context.record(self._done, own)
        self._context.wait_event(self._done, stream)

    def close(self) -> None:
        """Release the graph, its stream and its memory. Calling it twice is allowed."""
        self._io = self._spans = None
        super().close()
        self._context.close()


def _asynchronous() -> Any:
    """Options of a run that returns while the device is still at work."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("disable_synchronize_execution_providers", "1")
    return options
