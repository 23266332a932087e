"""Sessions for whole frames on the GPU: none at all, and the networks in every backend."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gpu_kernels import scene
from gpu_timing import GraphTimer

from awml_deploy_core.components import ComponentSpec
from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.runtime import SessionOptions, SessionSource, load_backend
from awml_deploy_core.runtime.cuda import CudaContext, DeviceSpan
from awml_deploy_core.runtime.cuda.session import DeviceSession, Shapes, largest_shape, output_shapes
from awml_extractors.centerpoint.config import CenterPointConfig
from awml_extractors.centerpoint.specs import component_specs

CUDA = DeviceSpec("cuda")
BACKENDS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "pytorch fp16": ("pytorch", {"precision": "fp16"}, True),
    "pytorch fp16, algorithms free": ("pytorch", {"precision": "fp16"}, False),
    "pytorch fp32": ("pytorch", {}, True),
    "onnxruntime fp16": ("onnxruntime", {}, True),
    "onnxruntime fp16, algorithms free": (
        "onnxruntime",
        {"provider_options": {"cudnn_conv_algo_search": "EXHAUSTIVE", "prefer_nhwc": "1"}},
        False,
    ),
    "onnxruntime fp32": ("onnxruntime", {}, True),
}
"""Backend, its options, and whether it has to be deterministic."""


class NullSession:
    """A session of the GPU that does nothing: its outputs are what was there."""

    backend = "null"
    device = CUDA
    capturable = captures_shapes = True

    def __init__(
        self, context: CudaContext, spec: ComponentSpec, outputs: Mapping[str, np.ndarray]
    ) -> None:
        self.spec = spec
        self._context = context
        self._outputs = outputs

    def bind(self, spans: Mapping[str, DeviceSpan]) -> None:
        for tensor in self.spec.outputs:
            if tensor.name in self._outputs:
                self._context.upload(spans[tensor.name].address, self._outputs[tensor.name])

    def set_shapes(self, shapes: Shapes) -> dict[str, tuple[int, ...]]:
        return output_shapes(self.spec, shapes)

    def enqueue(self, stream: int) -> None:
        pass

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def close(self) -> None:
        pass


def null_sessions(context: CudaContext, config: CenterPointConfig, objects: int) -> dict[str, NullSession]:
    """An encoder that does nothing, and a head whose outputs are always the same scene."""
    encoder, head = component_specs(config)
    return {
        encoder.name: NullSession(context, encoder, {}),
        head.name: NullSession(context, head, scene(config, objects)),
    }


def network_sessions(config: CenterPointConfig, key: str) -> dict[str, Any]:
    """Encoder and head with random weights in one of :data:`BACKENDS`.

    Raises:
        AwmlDeployError: The backend does not run here.
    """
    import torch

    from awml_deploy_core.export.onnx_exporter import OnnxExporter
    from awml_deploy_core.export.precision import apply_precision
    from awml_deploy_core.runtime.trt.settings import PrecisionPolicy
    from awml_extractors.centerpoint.extractor import CenterPointComponentExtractor
    from awml_extractors.centerpoint.model import CenterPoint

    name, extra, deterministic = BACKENDS[key]
    torch.manual_seed(0)
    components = CenterPointComponentExtractor(config).extract(CenterPoint(config).eval())
    options = SessionOptions(deterministic=deterministic, extra={name: extra})
    made = {}
    with tempfile.TemporaryDirectory() as folder:
        for component in components:
            path = Path(folder, component.spec.onnx_file)
            if name == "onnxruntime":
                OnnxExporter().export(component, Path(folder))
                if "fp16" in key:
                    import onnx

                    changed, _ = apply_precision(
                        onnx.load(path), PrecisionPolicy("fp16"), component.spec.name
                    )
                    onnx.save(changed, path)
            source = SessionSource(component.spec, path, lambda module=component.module: module)
            made[component.spec.name] = load_backend(name).open_session(source, CUDA, options)
    return made


def network_times(
    context: CudaContext, timer: GraphTimer, session: DeviceSession, rows: int | None, rounds: int
) -> dict[str, Any]:
    """Milliseconds of a session on device memory.

    Args:
        context: The GPU.
        timer: Of the context.
        session: What to measure.
        rows: Of the encoder's input; None for a session of fixed shapes.
        rounds: Launches where the session cannot be captured.
    """
    generator = np.random.default_rng(0)
    buffers = {}
    for tensor in (*session.spec.inputs, *session.spec.outputs):
        buffers[tensor.name] = context.buffer(largest_shape(tensor), tensor.dtype, fill=0)
    (tensor,) = session.spec.inputs
    values = generator.normal(size=largest_shape(tensor)).astype(tensor.dtype)
    context.upload(buffers[tensor.name].address, values)
    session.bind(buffers)
    shape = largest_shape(tensor)
    session.set_shapes({tensor.name: shape if rows is None else (rows, *shape[1:])})
    eager = timer.eager(session.enqueue, rounds)
    found: dict[str, Any] = {"eager_ms": eager}
    if session.capturable:
        found["graph_ms"] = timer.measure(session.enqueue)
    return found
