"""Any session as one whose tensors are on the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from awml_deploy_core.components import ComponentSpec, TensorSpec
from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.runtime.cuda.context import CudaContext
from awml_deploy_core.runtime.cuda.memory import DeviceSpan
from awml_deploy_core.runtime.cuda.session import (
    DeviceSession,
    Shapes,
    check_input_shapes,
    check_spans,
    largest_shape,
    output_shapes,
    unbound,
)
from awml_deploy_core.runtime.session import Session


def on_device(session: Session, context: CudaContext) -> DeviceSession:
    """The session itself where it can leave its tensors on the context's device, else a bridge to it."""
    if isinstance(session, DeviceSession) and session.device == context.device:
        return session
    return HostBridge(session, context)


class HostBridge:
    """A session of the host behind the protocol of the device: it downloads, runs, and uploads.

    It waits for the device twice a frame, so that no graph can hold it. It does not own the session.
    """

    def __init__(self, session: Session, context: CudaContext) -> None:
        self._session = session
        self._context = context
        self._spans: Mapping[str, DeviceSpan] | None = None
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._host = {
            tensor.name: context.pinned(largest_shape(tensor), tensor.dtype).array
            for tensor in (*session.spec.inputs, *session.spec.outputs)
        }

    @property
    def spec(self) -> ComponentSpec:
        return self._session.spec

    @property
    def backend(self) -> str:
        return self._session.backend

    @property
    def device(self) -> DeviceSpec:
        """Where the tensors are; the session itself runs elsewhere."""
        return self._context.device

    @property
    def capturable(self) -> bool:
        return False

    @property
    def captures_shapes(self) -> bool:
        return False

    def bind(self, spans: Mapping[str, DeviceSpan]) -> None:
        """As :meth:`DeviceSession.bind`."""
        check_spans(self.spec, spans)
        self._spans = dict(spans)

    def set_shapes(self, shapes: Shapes) -> dict[str, tuple[int, ...]]:
        """As :meth:`DeviceSession.set_shapes`."""
        check_input_shapes(self.spec, shapes)
        given = {tensor.name: tuple(shapes[tensor.name]) for tensor in self.spec.inputs}
        outputs = output_shapes(self.spec, given)
        self._shapes = given | outputs
        return outputs

    def enqueue(self, stream: int) -> None:
        """Wait for the inputs, run, and put the copies of the outputs on the stream.

        Raises:
            InferenceError: It is not bound, or has no shapes, or the session failed.
            DeviceLostError: What ran on the stream before failed.
        """
        if self._spans is None or not self._shapes:
            raise unbound(self.spec)
        inputs = {}
        for tensor in self.spec.inputs:
            inputs[tensor.name] = self._view(tensor)
            self._context.download(inputs[tensor.name], self._spans[tensor.name].address, stream)
        self._context.synchronize(stream)
        outputs = self._session.run(inputs)
        for tensor in self.spec.outputs:
            staged = self._view(tensor)
            staged[...] = outputs[tensor.name]
            self._context.upload(self._spans[tensor.name].address, staged, stream)

    def close(self) -> None:
        """Forget the memory; the session stays open."""
        self._spans = None

    def _view(self, tensor: TensorSpec) -> npt.NDArray[Any]:
        """The staging memory of a tensor in its shape of this frame."""
        flat = self._host[tensor.name].reshape(-1)
        shape = self._shapes[tensor.name]
        return flat[: int(np.prod(shape))].reshape(shape)
