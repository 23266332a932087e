"""Sessions that stay on a real GPU against the same sessions on host arrays; skipped without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from awml_deploy_core.components import ComponentSpec, DynamicAxis, TensorSpec
from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import AwmlDeployError, InferenceError
from awml_deploy_core.runtime import SessionOptions, SessionSource, load_backend
from awml_deploy_core.runtime.cuda import CudaContext, DeviceBuffer, capture
from awml_deploy_core.runtime.cuda.session import DeviceSession, largest_shape
from awml_deploy_core.runtime.cuda.switch import DeviceSwitch

torch = pytest.importorskip("torch")

N = DynamicAxis("n", 1, 40, 64)
LINEAR = ComponentSpec(
    "linear", "linear.onnx", (TensorSpec("x", (N, 32, 9)),), (TensorSpec("y", (N, 1, 16)),)
)
CONVOLUTION = ComponentSpec(
    "convolution",
    "convolution.onnx",
    (TensorSpec("x", (1, 8, 32, 32)),),
    (TensorSpec("y", (1, 4, 16, 16)), TensorSpec("z", (1, 2, 32, 32))),
)


class Linear(torch.nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(9, 16, bias=False)

    def forward(self, x: Any) -> Any:
        return torch.relu(self.inner(x)).max(dim=1, keepdim=True)[0]


class Convolution(torch.nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.down = torch.nn.Conv2d(8, 4, 3, stride=2, padding=1)
        self.up = torch.nn.ConvTranspose2d(4, 2, 2, stride=2)

    def forward(self, x: Any) -> Any:
        y = torch.relu(self.down(x))
        return y, self.up(y)


MODULES: dict[str, tuple[ComponentSpec, type[Any]]] = {
    "linear": (LINEAR, Linear),
    "convolution": (CONVOLUTION, Convolution),
}
BACKENDS: dict[str, tuple[str, dict[str, Any]]] = {
    "pytorch fp32": ("pytorch", {}),
    "pytorch fp16": ("pytorch", {"precision": "fp16"}),
    "onnxruntime": ("onnxruntime", {}),
}


@pytest.fixture(params=BACKENDS)
def opened(
    request: pytest.FixtureRequest, gpu: CudaContext, tmp_path: Path
) -> Iterator[dict[str, DeviceSession]]:
    name, extra = BACKENDS[request.param]
    backend = load_backend(name)
    state = backend.availability(DeviceSpec("cuda"))
    if not state:
        pytest.skip(f"{name} does not run on the GPU: {state.detail}")
    made = {}
    for key, (spec, kind) in MODULES.items():
        torch.manual_seed(3)
        module = kind().eval()
        path = tmp_path / spec.onnx_file
        if name == "onnxruntime":
            export(spec, module, path)
        source = SessionSource(spec, path, lambda module=module: module)
        session = backend.open_session(source, DeviceSpec("cuda"), SessionOptions(extra={name: extra}))
        assert isinstance(session, DeviceSession)
        made[key] = session
    yield made
    for session in made.values():
        session.close()
        session.close()


def export(spec: ComponentSpec, module: Any, path: Path) -> None:
    sample = tuple(torch.zeros(largest_shape(tensor)) for tensor in spec.inputs)
    dynamic = {
        tensor.name: {position: axis.name for position, axis in tensor.dynamic_axes.items()}
        for tensor in (*spec.inputs, *spec.outputs)
    }
    torch.onnx.export(
        module,
        sample,
        str(path),
        input_names=[tensor.name for tensor in spec.inputs],
        output_names=[tensor.name for tensor in spec.outputs],
        dynamic_axes=dynamic,
        dynamo=False,
    )


def bound(context: CudaContext, session: DeviceSession) -> dict[str, DeviceBuffer]:
    buffers = {
        tensor.name: context.buffer(largest_shape(tensor), tensor.dtype, fill=0xFF)
        for tensor in (*session.spec.inputs, *session.spec.outputs)
    }
    session.bind(buffers)
    context.synchronize()
    return buffers


def sample_of(spec: ComponentSpec, rows: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(rows)
    (tensor,) = spec.inputs
    shape = tuple(rows if isinstance(axis, DynamicAxis) else axis for axis in tensor.shape)
    return {tensor.name: generator.normal(size=shape).astype(np.float32)}


def fetch(context: CudaContext, buffer: DeviceBuffer, shape: tuple[int, ...]) -> np.ndarray:
    found = np.empty(shape, buffer.dtype)
    context.download(found, buffer.address)
    context.synchronize()
    return found


@pytest.mark.parametrize("name", MODULES)
def test_on_the_device_it_gives_what_it_gives_on_host_arrays(
    opened: dict[str, DeviceSession], gpu: CudaContext, name: str
) -> None:
    session: Any = opened[name]
    buffers = bound(gpu, session)
    for rows in (64, 3, 64, 17):
        inputs = sample_of(session.spec, rows)
        expected = session.run(inputs)
        for key, value in inputs.items():
            gpu.upload(buffers[key].address, value)
        shapes = session.set_shapes({key: value.shape for key, value in inputs.items()})
        session.enqueue(gpu.stream)
        for key, shape in shapes.items():
            np.testing.assert_array_equal(fetch(gpu, buffers[key], shape), expected[key])


def test_a_captured_session_repeats_itself_on_other_inputs(
    opened: dict[str, DeviceSession], gpu: CudaContext
) -> None:
    session: Any = opened["convolution"]
    if not session.capturable:
        pytest.skip(f"{session.backend} does not promise that it can be captured")
    graph = captured(gpu, session)
    check_replays(gpu, session, *graph)


def test_whether_onnxruntime_can_be_captured(opened: dict[str, DeviceSession], gpu: CudaContext) -> None:
    session: Any = opened["convolution"]
    if session.backend != "onnxruntime":
        pytest.skip("is about ONNX Runtime")
    try:
        graph = captured(gpu, session)
    except AwmlDeployError as error:
        pytest.skip(f"it cannot: {error}")
    check_replays(gpu, session, *graph)


def captured(context: CudaContext, session: Any) -> tuple[Any, dict[str, DeviceBuffer]]:
    buffers = bound(context, session)
    session.set_shapes({tensor.name: largest_shape(tensor) for tensor in session.spec.inputs})
    session.enqueue(context.stream)
    context.synchronize()
    return capture(context, context.stream, session.enqueue), buffers


def check_replays(context: CudaContext, session: Any, graph: Any, buffers: dict[str, DeviceBuffer]) -> None:
    for seed in (1, 2):
        inputs = sample_of(session.spec, seed)
        for key, value in inputs.items():
            context.upload(buffers[key].address, value)
        graph.launch(context.stream)
        context.synchronize()
        found = {
            tensor.name: fetch(context, buffers[tensor.name], largest_shape(tensor))
            for tensor in session.spec.outputs
        }
        # Run after the replay, so that anything it allocates would disturb the next one.
        for key, value in session.run(inputs).items():
            np.testing.assert_array_equal(found[key], value)
    graph.close()


def test_the_device_chooses_how_many_rows_run(opened: dict[str, DeviceSession], gpu: CudaContext) -> None:
    session: Any = opened["linear"]
    if not session.capturable:
        pytest.skip(f"{session.backend} does not promise that it can be captured")
    buffers = bound(gpu, session)
    inputs = sample_of(session.spec, 64)
    expected = session.run(inputs)["y"]
    gpu.upload(buffers["x"].address, inputs["x"])
    count = gpu.buffer((1,), np.uint32, fill=0)
    limits = (16, 32, 64)
    switch = DeviceSwitch(gpu, limits)

    def run(rows: int, stream: int) -> None:
        session.set_shapes({"x": (rows, 32, 9)})
        session.enqueue(stream)

    for rows in limits:
        run(rows, switch.stream)
    gpu.synchronize(switch.stream)
    branches = [lambda stream, rows=rows: run(rows, stream) for rows in limits]
    graph = capture(gpu, gpu.stream, lambda s: switch.capture(s, count, branches))
    for wanted, runs in ((0, 0), (1, 16), (16, 16), (17, 32), (64, 64)):
        gpu.fill(buffers["y"].address, 0, buffers["y"].size)
        gpu.upload(count.address, np.array([wanted], np.uint32))
        graph.launch(gpu.stream)
        found = fetch(gpu, buffers["y"], largest_shape(LINEAR.outputs[0]))
        np.testing.assert_allclose(found[:runs], expected[:runs], rtol=1e-2, atol=1e-2)
        assert not found[runs:].any()
    graph.close()


def test_a_closed_or_unbound_session_says_so(opened: dict[str, DeviceSession], gpu: CudaContext) -> None:
    session = opened["linear"]
    with pytest.raises(InferenceError, match="not bound"):
        session.enqueue(gpu.stream)
    session.close()
    with pytest.raises(InferenceError, match="closed"):
        session.enqueue(gpu.stream)
