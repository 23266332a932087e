"""The session against a fake engine that doubles its input, as no GPU is here."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from awml_deploy_core.components import ComponentSpec, DynamicAxis, TensorSpec
from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import ArtifactError, InferenceError, TensorMismatchError
from awml_deploy_core.runtime.cuda.memory import DeviceSpan
from awml_deploy_core.runtime.cuda.session import capacity
from awml_deploy_core.runtime.trt.session import LoadedEngine, TensorRTSession, bind_engine

N = DynamicAxis("n", 1, 4, 8)
SPEC = ComponentSpec("double", "double.onnx", (TensorSpec("x", (N, 3)),), (TensorSpec("y", (N, 3)),))


class Mode(Enum):
    INPUT = 1
    OUTPUT = 2


API: Any = SimpleNamespace(TensorIOMode=Mode)


@dataclass
class FakeMemory:
    """Device memory as host arrays by address; what is enqueued runs at once."""

    stream: int = 77
    blocks: dict[int, np.ndarray] = field(default_factory=dict)
    closed: int = 0

    def activate(self) -> None:
        pass

    def allocate(self, size: int) -> int:
        address = 1000 + len(self.blocks)
        self.blocks[address] = np.zeros(size, np.uint8)
        return address

    def upload(self, address: int, array: np.ndarray) -> None:
        self.blocks[address][: array.nbytes] = np.frombuffer(array.tobytes(), np.uint8)

    def download(self, array: np.ndarray, address: int) -> None:
        array[...] = self.blocks[address][: array.nbytes].view(array.dtype).reshape(array.shape)

    def synchronize(self) -> None:
        pass

    def close(self) -> None:
        self.closed += 1


@dataclass
class FakeEngine:
    names: tuple[str, str] = ("x", "y")
    kind: str = "FLOAT"
    columns: int = 3
    most: int = 8

    @property
    def num_io_tensors(self) -> int:
        return len(self.names)

    def get_tensor_name(self, index: int) -> str:
        return self.names[index]

    def get_tensor_mode(self, name: str) -> Mode:
        return Mode.INPUT if name == self.names[0] else Mode.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        return SimpleNamespace(name=self.kind)

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, self.columns)

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        return [(1, self.columns), (4, self.columns), (self.most, self.columns)]


class FakeContext:
    def __init__(self, memory: FakeMemory, names: tuple[str, str] = ("x", "y")) -> None:
        self.memory, self.names = memory, names
        self.shape: tuple[int, ...] = ()
        self.addresses: dict[str, int] = {}
        self.calls: list[str] = []
        self.fails = ""

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.calls.append(f"address {name}")
        self.addresses[name] = address
        return self.fails != "address"

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.calls.append(f"shape {list(shape)}")
        self.shape = shape
        return self.fails != "shape"

    def infer_shapes(self) -> list[str]:
        if self.fails == "infer":
            raise RuntimeError("infer_shapes error code: -1")
        return []

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.shape

    def execute_async_v3(self, stream: int) -> bool:
        self.calls.append(f"execute on {stream}")
        if self.fails == "execute":
            return False
        source, result = (self.memory.blocks[self.addresses[name]] for name in self.names)
        size = 4 * int(np.prod(self.shape))
        result[:size] = (source[:size].view(np.float32) * 2).view(np.uint8)
        return True


@pytest.fixture
def memory() -> FakeMemory:
    return FakeMemory()


def make(memory: FakeMemory, engine: FakeEngine | None = None) -> tuple[TensorRTSession, FakeContext]:
    engine = engine or FakeEngine()
    context = FakeContext(memory, engine.names)
    messages = SimpleNamespace(errors=lambda: ("out of luck",))
    loaded: Any = LoadedEngine(None, engine, context, messages)  # type: ignore[arg-type]
    binding = bind_engine(API, engine, SPEC, Path("e"))  # type: ignore[arg-type]
    return TensorRTSession(SPEC, DeviceSpec("cuda"), loaded, binding, memory), context


def rows(count: int) -> np.ndarray:
    return np.arange(3 * count, dtype=np.float32).reshape(count, 3)


def test_host_arrays_of_varying_length(memory: FakeMemory) -> None:
    session, context = make(memory)
    for count in (4, 1, 8, 8):
        np.testing.assert_array_equal(session.run({"x": rows(count)})["y"], 2 * rows(count))
    assert len(memory.blocks) == 2
    assert [call for call in context.calls if call.startswith("address")] == ["address x", "address y"]
    assert context.calls.count("shape [8, 3]") == 1
    assert "execute on 77" in context.calls


def test_inputs_of_any_layout_are_copied_right(memory: FakeMemory) -> None:
    session, _ = make(memory)
    turned = np.asfortranarray(rows(5))[::-1]
    np.testing.assert_array_equal(session.run({"x": turned})["y"], 2 * turned)


def test_on_the_callers_memory_and_stream(memory: FakeMemory) -> None:
    session, context = make(memory)
    size = capacity(SPEC.inputs[0])
    spans = {name: DeviceSpan(memory.allocate(size), size) for name in "xy"}
    session.bind(spans)
    context.calls.clear()
    memory.upload(spans["x"].address, rows(2))
    assert session.set_shapes({"x": (2, 3)}) == {"y": (2, 3)}
    session.enqueue(5)
    session.set_shapes({"x": (2, 3)})
    session.enqueue(5)
    assert context.calls == ["shape [2, 3]", "execute on 5", "execute on 5"]
    result = np.empty((2, 3), np.float32)
    memory.download(result, spans["y"].address)
    np.testing.assert_array_equal(result, 2 * rows(2))


def test_memory_that_does_not_fit_is_named(memory: FakeMemory) -> None:
    session, _ = make(memory)
    with pytest.raises(InferenceError, match="is not bound"):
        session.enqueue(0)
    with pytest.raises(TensorMismatchError) as caught:
        session.bind({"x": DeviceSpan(1, 95)})
    assert "x has 95 bytes, expected at least 96" in str(caught.value)
    assert "y is missing" in str(caught.value)


def test_shapes_that_do_not_fit_are_named(memory: FakeMemory) -> None:
    session, _ = make(memory)
    with pytest.raises(TensorMismatchError, match="axis 0 is 9"):
        session.set_shapes({"x": (9, 3)})
    with pytest.raises(TensorMismatchError, match="dtype float64"):
        session.run({"x": rows(2).astype(np.float64)})


@pytest.mark.parametrize("step", ["address", "shape", "infer", "execute"])
def test_what_tensorrt_says_is_in_the_error(memory: FakeMemory, step: str) -> None:
    session, context = make(memory)
    context.fails = step
    with pytest.raises(InferenceError, match="out of luck"):
        session.run({"x": rows(2)})


def test_what_tensorrt_refused_is_not_taken_for_done(memory: FakeMemory) -> None:
    session, context = make(memory)
    session.run({"x": rows(4)})
    context.fails = "shape"
    with pytest.raises(InferenceError):
        session.set_shapes({"x": (2, 3)})
    context.fails = ""
    context.calls.clear()
    session.set_shapes({"x": (4, 3)})
    assert context.calls == ["shape [4, 3]"]
    context.fails = "address"
    with pytest.raises(InferenceError, match="set_tensor_address"):
        session.bind({name: DeviceSpan(1, 96) for name in "xy"})
    with pytest.raises(InferenceError, match="is not bound"):
        session.enqueue(5)


def test_rtx_says_whether_a_graph_can_hold_an_engine(memory: FakeMemory) -> None:
    session, context = make(memory)
    assert session.capturable
    assert not session.captures_shapes
    context.is_stream_capturable = lambda stream: stream != 77  # type: ignore[attr-defined]
    assert not session.capturable


def test_a_closed_session(memory: FakeMemory) -> None:
    session, _ = make(memory)
    session.close()
    session.close()
    assert memory.closed == 2
    for call in (lambda: session.run({"x": rows(1)}), lambda: session.enqueue(0), lambda: session.bind({})):
        with pytest.raises(InferenceError, match="is closed"):
            call()


def test_other_names_are_bound_by_index(memory: FakeMemory) -> None:
    session, _ = make(memory, FakeEngine(names=("voxels", "features")))
    assert session.binding.by_index
    np.testing.assert_array_equal(session.run({"x": rows(3)})["y"], 2 * rows(3))


@pytest.mark.parametrize(
    ("engine", "text"),
    [
        (FakeEngine(kind="HALF"), "dtype float16, expected float32"),
        (FakeEngine(kind="FP8"), "dtype FP8, expected float32"),
        (FakeEngine(columns=4), "axis 1 is 4, expected 3"),
        (FakeEngine(most=7), r"is built for 1\.\.7, expected n\[1\.\.4\.\.8\]"),
    ],
)
def test_an_engine_that_contradicts_the_spec(engine: FakeEngine, text: str) -> None:
    with pytest.raises(ArtifactError, match=text):
        bind_engine(API, engine, SPEC, Path("e"))  # type: ignore[arg-type]
