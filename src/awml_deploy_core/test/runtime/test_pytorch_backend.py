from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from awml_deploy_core.components import ComponentSpec, ExportableComponent, TensorSpec
from awml_deploy_core.device import CPU, DeviceSpec
from awml_deploy_core.errors import (
    ArtifactError,
    BackendUnavailableError,
    CheckpointError,
    InferenceError,
    TensorMismatchError,
)
from awml_deploy_core.runtime import SessionOptions, SessionSource, load_backend
from awml_deploy_core.runtime.pytorch_backend import PytorchBackend, PytorchSession

torch = pytest.importorskip("torch")

SPEC = ComponentSpec("f", "f.onnx", (TensorSpec("x", (2, 3)),), (TensorSpec("y", (2, 3)),))
X = {"x": np.arange(6, dtype=np.float32).reshape(2, 3)}


class Function(torch.nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


def open_session(function: Any, spec: ComponentSpec = SPEC, **options: Any) -> PytorchSession:
    return PytorchBackend().open_session(
        SessionSource(spec, load_module=lambda: Function(function)), CPU, SessionOptions(**options)
    )


def test_runs_in_inference_mode_and_eval_mode() -> None:
    seen = {}

    def look(x: Any) -> Any:
        seen["inference"] = torch.is_inference_mode_enabled()
        return x + 1

    session = open_session(look)
    np.testing.assert_array_equal(session.run(X)["y"], X["x"] + 1)
    assert seen["inference"]
    assert (session.backend, session.device, session.spec) == ("pytorch", CPU, SPEC)


def test_outputs_belong_to_the_caller_even_if_the_module_returns_its_input() -> None:
    x = X["x"].copy()
    output = open_session(lambda x: x).run({"x": x})["y"]
    output[:] = -1
    np.testing.assert_array_equal(x, X["x"])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "x",
    [
        np.ones((4, 3), np.float32)[::2],
        np.ones((2, 3), np.float32)[::-1],
        np.ones((2, 3), ">f4"),
        np.frombuffer(np.ones(6, np.float32).tobytes(), np.float32).reshape(2, 3),
    ],
    ids=["strided", "reversed", "big-endian", "read-only"],
)
def test_any_memory_layout_is_accepted(x: Any) -> None:
    np.testing.assert_array_equal(open_session(lambda x: x * 2).run({"x": x})["y"], np.full((2, 3), 2))


def test_deterministic_algorithms_are_set_only_while_running() -> None:
    seen = []

    def look(x: Any) -> Any:
        seen.append(torch.are_deterministic_algorithms_enabled())
        return x

    open_session(look).run(X)
    assert not torch.are_deterministic_algorithms_enabled()
    open_session(look, deterministic=False).run(X)
    assert seen == [True, False]


def test_threads_are_set_only_while_running() -> None:
    seen, before = [], torch.get_num_threads()
    open_session(lambda x: (seen.append(torch.get_num_threads()), x)[1], num_threads=before + 1).run(X)
    assert seen == [before + 1]
    assert torch.get_num_threads() == before


def test_settings_are_put_back_when_the_module_fails() -> None:
    before = torch.get_num_threads()

    def fail(x: Any) -> Any:
        raise RuntimeError("out of memory")

    with pytest.raises(InferenceError, match="component f: pytorch on cpu failed; got out of memory"):
        open_session(fail, num_threads=before + 1).run(X)
    assert torch.get_num_threads() == before
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (lambda x: (x, x), "2 tensors, expected 1"),
        (lambda x: x[:1], "y: axis 0 is 1, expected 2"),
        (lambda x: x.double(), "y: dtype float64, expected float32"),
    ],
)
def test_outputs_that_contradict_the_spec_are_an_error(function: Any, problem: str) -> None:
    with pytest.raises(InferenceError, match=problem):
        open_session(function).run(X)


def test_a_result_that_is_no_tensor_is_an_error() -> None:
    with pytest.raises(InferenceError, match="pytorch on cpu failed"):
        open_session(lambda x: {"y": x}).run(X)


def test_inputs_are_checked() -> None:
    with pytest.raises(TensorMismatchError, match="x: dtype float64"):
        open_session(lambda x: x).run({"x": np.zeros((2, 3))})


def test_after_close_it_refuses_to_run() -> None:
    session = open_session(lambda x: x)
    session.close()
    session.close()
    with pytest.raises(InferenceError, match="its session is closed"):
        session.run(X)


def test_a_source_without_a_module_asks_for_the_checkpoint() -> None:
    with pytest.raises(ArtifactError, match="expected a checkpoint"):
        PytorchBackend().open_session(SessionSource(SPEC, Path("f.onnx")), CPU, SessionOptions())


def test_a_checkpoint_error_of_the_loader_passes_through() -> None:
    def load() -> Any:
        raise CheckpointError("model.pth", "is truncated")

    with pytest.raises(CheckpointError, match="is truncated"):
        PytorchBackend().open_session(SessionSource(SPEC, load_module=load), CPU, SessionOptions())


def test_cuda_without_a_device_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendUnavailableError, match="sees no CUDA device"):
        PytorchBackend().open_session(
            SessionSource(SPEC, load_module=torch.nn.Identity), DeviceSpec("cuda"), SessionOptions()
        )


@pytest.mark.parametrize(("built_with", "hint"), [(None, "Install a CUDA build"), ("13.0", "nvidia-smi")])
def test_the_hint_fits_the_build(
    built_with: str | None, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", built_with)
    assert hint in PytorchBackend().availability(DeviceSpec("cuda")).hint


def test_a_device_beyond_the_last_one_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert PytorchBackend().availability(DeviceSpec("cuda", 0))
    assert "cuda:1 does not exist" in PytorchBackend().availability(DeviceSpec("cuda", 1)).detail


def test_without_torch_it_is_unavailable_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    backend = load_backend("pytorch")
    state = backend.availability(CPU)
    assert not state
    assert state.hint == "pip install torch"
    with pytest.raises(BackendUnavailableError, match="pip install torch"):
        backend.open_session(SessionSource(SPEC), CPU, SessionOptions())


@pytest.mark.parametrize("name", ["conv", "mlp"])
def test_onnxruntime_agrees_with_pytorch(
    name: str, request: pytest.FixtureRequest, conv_file: Path, mlp_file: Path
) -> None:
    component: ExportableComponent = request.getfixturevalue(f"{name}_component")
    spec = component.spec
    source = SessionSource(spec, conv_file if name == "conv" else mlp_file, lambda: component.module)
    reference, test = (
        load_backend(backend).open_session(source, CPU, SessionOptions())
        for backend in ("pytorch", "onnxruntime")
    )
    shape = [axis if isinstance(axis, int) else 37 for axis in spec.inputs[0].shape]
    inputs = {spec.inputs[0].name: np.random.default_rng(0).standard_normal(shape).astype(np.float32)}
    expected, actual = reference.run(inputs), test.run(inputs)
    assert list(expected) == list(actual) == [tensor.name for tensor in spec.outputs]
    for key, value in expected.items():
        np.testing.assert_allclose(actual[key], value, rtol=1e-4, atol=1e-5 * abs(value).max())
