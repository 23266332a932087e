"""A PyTorch module whose tensors stay on the GPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from awml_deploy_core.components import ComponentSpec, TensorSpec
from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.runtime.cuda.memory import DeviceBuffer, DeviceSpan
from awml_deploy_core.runtime.cuda.session import (
    Shapes,
    check_input_shapes,
    check_spans,
    largest_shape,
    output_shapes,
    unbound,
)
from awml_deploy_core.runtime.pytorch_session import MODULE_ERRORS, PytorchSession, scoped_settings
from awml_deploy_core.runtime.session import SessionOptions

if TYPE_CHECKING:
    import torch


class PytorchCudaSession(PytorchSession):
    """A module on CUDA: run on host arrays, or enqueued on device memory.

    What the module allocates comes from a pool of its own, so that nobody else is given memory that
    a captured graph goes on writing to.
    """

    def __init__(
        self, spec: ComponentSpec, device: DeviceSpec, module: torch.nn.Module, options: SessionOptions
    ) -> None:
        super().__init__(spec, device, module, options)
        self._spans: dict[str, torch.Tensor] | None = None
        self._inputs: tuple[torch.Tensor, ...] = ()
        self._outputs: tuple[torch.Tensor, ...] = ()
        self._streams: dict[int, Any] = {}
        self._pool: Any | None = None

    @property
    def capturable(self) -> bool:
        """A module of PyTorch operators enqueues what a graph can repeat, once it has run eagerly."""
        return True

    @property
    def captures_shapes(self) -> bool:
        """Kernels and memory of a capture are its own."""
        return True

    def bind(self, spans: Mapping[str, DeviceSpan]) -> None:
        """As :meth:`awml_deploy_core.runtime.cuda.session.DeviceSession.bind`."""
        self._open()
        check_spans(self.spec, spans)
        self._spans = {
            tensor.name: self._tensor(spans[tensor.name], tensor)
            for tensor in (*self.spec.inputs, *self.spec.outputs)
        }
        self._inputs = self._outputs = ()

    def set_shapes(self, shapes: Shapes) -> dict[str, tuple[int, ...]]:
        """As :meth:`awml_deploy_core.runtime.cuda.session.DeviceSession.set_shapes`."""
        self._open()
        if self._spans is None:
            raise unbound(self.spec)
        check_input_shapes(self.spec, shapes)
        given = {tensor.name: tuple(shapes[tensor.name]) for tensor in self.spec.inputs}
        outputs = output_shapes(self.spec, given)
        self._inputs, self._outputs = (
            tuple(_front(self._spans[name], shape) for name, shape in group.items())
            for group in (given, outputs)
        )
        return outputs

    def enqueue(self, stream: int) -> None:
        """As :meth:`awml_deploy_core.runtime.cuda.session.DeviceSession.enqueue`."""
        import torch

        module = self._open()
        if not self._outputs:
            raise unbound(self.spec)
        if self._pool is None:
            self._pool = torch.cuda.MemPool()
        native = self._streams.get(stream)
        if native is None:
            external: Any = torch.cuda.ExternalStream
            native = self._streams[stream] = external(stream, device=str(self.device))
        try:
            with (
                torch.cuda.stream(native),
                torch.cuda.use_mem_pool(self._pool),
                torch.inference_mode(),
                scoped_settings(self._options),
            ):
                result = module(*self._inputs)
                values = [result] if isinstance(result, torch.Tensor) else list(result)
                for target, value in zip(self._outputs, values, strict=True):
                    if target.shape != value.shape:
                        raise ValueError(f"output {list(value.shape)}, expected {list(target.shape)}")
                    target.copy_(value)
        except MODULE_ERRORS as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Release the module and the memory of its pool. Calling it twice is allowed."""
        super().close()
        self._spans, self._inputs, self._outputs = None, (), ()
        self._streams = {}
        self._pool = None

    def _tensor(self, span: DeviceSpan, spec: TensorSpec) -> torch.Tensor:
        import torch

        buffer = DeviceBuffer(span.address, span.size, largest_shape(spec), np.dtype(spec.dtype))
        return torch.as_tensor(buffer, device=str(self.device))


def _front(tensor: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """The first elements of a contiguous tensor in another shape."""
    return tensor.reshape(-1)[: int(np.prod(shape))].view(shape)


def half_precision(module: torch.nn.Module) -> torch.nn.Module:
    """A module in FP16 whose inputs and outputs stay as they are; images have their channels last."""
    import torch

    class Half(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            halved: Any = module.half()
            self.inner = halved.to(memory_format=torch.channels_last)

        def forward(self, *inputs: torch.Tensor) -> Any:
            result = self.inner(*(_half(value) for value in inputs))
            values = (result,) if isinstance(result, torch.Tensor) else tuple(result)
            return tuple(value.float() for value in values)

    return Half()


def _half(value: torch.Tensor) -> torch.Tensor:
    import torch

    layout = torch.channels_last if value.dim() == 4 else torch.contiguous_format
    return value.to(torch.float16, memory_format=layout)
