from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from awml_deploy_core.components import ComponentSpec, DynamicAxis, ExportableComponent, TensorSpec
from awml_deploy_core.device import CPU, DeviceSpec
from awml_deploy_core.errors import (
    ArtifactError,
    BackendUnavailableError,
    InferenceError,
    ParameterError,
    TensorMismatchError,
)
from awml_deploy_core.runtime import SessionOptions, SessionSource
from awml_deploy_core.runtime import onnxruntime_backend as module
from awml_deploy_core.runtime.onnxruntime_backend import OnnxRuntimeBackend, OnnxRuntimeSession

onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
helper = onnx.helper

N = DynamicAxis("n", 1, 4, 8)
SPEC = ComponentSpec(
    "sum", "sum.onnx", (TensorSpec("a", (N, 3)), TensorSpec("b", (N, 3))), (TensorSpec("total", (N, 3)),)
)
CUDA = DeviceSpec("cuda", 0)


def write_model(
    path: Path,
    inputs: tuple[str, ...] = ("a", "b"),
    output: str = "total",
    shape: tuple[object, ...] = ("n", 3),
    op: str = "Add",
) -> Path:
    def value(name: str) -> Any:
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        [helper.make_node(op, list(inputs), [output])], "sum", [value(n) for n in inputs], [value(output)]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    path.write_bytes(model.SerializeToString())
    return path


def open_session(path: Path | None, spec: ComponentSpec = SPEC, **options: Any) -> OnnxRuntimeSession:
    return OnnxRuntimeBackend().open_session(SessionSource(spec, path), CPU, SessionOptions(**options))


def arrays(n: int = 4) -> dict[str, Any]:
    return {"a": np.ones((n, 3), np.float32), "b": np.full((n, 3), 2, np.float32)}


@pytest.fixture
def session(tmp_path: Path) -> OnnxRuntimeSession:
    return open_session(write_model(tmp_path / "sum.onnx"))


def test_runs_and_identifies_itself(session: OnnxRuntimeSession) -> None:
    outputs = session.run(arrays())
    assert list(outputs) == ["total"]
    np.testing.assert_array_equal(outputs["total"], np.full((4, 3), 3, np.float32))
    assert (session.backend, session.device, session.spec) == ("onnxruntime", CPU, SPEC)
    assert not session.binding.by_index


@pytest.mark.parametrize("n", [1, 8])
def test_runs_every_length_of_a_dynamic_axis(session: OnnxRuntimeSession, n: int) -> None:
    assert session.run(arrays(n))["total"].shape == (n, 3)


def test_outputs_belong_to_the_caller(session: OnnxRuntimeSession) -> None:
    first = session.run(arrays())["total"]
    first[:] = -1
    np.testing.assert_array_equal(session.run(arrays())["total"], np.full((4, 3), 3, np.float32))


@pytest.mark.parametrize(
    "a",
    [
        np.ones((8, 3), np.float32)[::2],
        np.asfortranarray(np.ones((4, 3), np.float32)),
        np.ones((4, 3), ">f4"),
        np.frombuffer(np.ones(12, np.float32).tobytes(), np.float32).reshape(4, 3),
    ],
    ids=["strided", "fortran", "big-endian", "read-only"],
)
def test_any_memory_layout_is_accepted(session: OnnxRuntimeSession, a: Any) -> None:
    np.testing.assert_array_equal(
        session.run({**arrays(), "a": a})["total"], np.full((4, 3), 3, np.float32)
    )


def test_inputs_are_checked_before_they_reach_the_runtime(session: OnnxRuntimeSession) -> None:
    with pytest.raises(TensorMismatchError) as caught:
        session.run({"a": np.ones((9, 3), np.float32), "b": np.ones((4, 3))})
    assert len(caught.value.problems) == 2


def test_after_close_it_refuses_to_run(session: OnnxRuntimeSession) -> None:
    session.close()
    session.close()
    with pytest.raises(InferenceError, match="its session is closed"):
        session.run(arrays())


def test_a_runtime_failure_names_component_and_device(session: OnnxRuntimeSession) -> None:
    inputs = arrays()
    inputs["b"] = np.ones((3, 3), np.float32)
    with pytest.raises(InferenceError, match="component sum: onnxruntime on cpu failed"):
        session.run(inputs)


def test_an_output_that_contradicts_the_spec_is_an_error(tmp_path: Path) -> None:
    path = write_model(tmp_path / "sum.onnx", shape=("n", "c"))
    spec = ComponentSpec("sum", "sum.onnx", SPEC.inputs, (TensorSpec("total", (N, 4)),))
    with pytest.raises(InferenceError, match="total: axis 1 is 3, expected 4"):
        open_session(path, spec).run(arrays())


def test_other_names_are_bound_by_index_and_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_model(tmp_path / "sum.onnx", ("in0", "in1"), "out0")
    with caplog.at_level(logging.WARNING):
        session = open_session(path)
    assert session.binding.by_index
    assert "bound by index: in0, in1 -> out0" in caplog.text
    np.testing.assert_array_equal(session.run(arrays())["total"], np.full((4, 3), 3, np.float32))


def test_index_binding_keeps_the_order_of_inputs(tmp_path: Path) -> None:
    session = open_session(write_model(tmp_path / "sub.onnx", ("in0", "in1"), "out0", op="Sub"))
    np.testing.assert_array_equal(session.run(arrays())["total"], np.full((4, 3), -1, np.float32))


def test_a_graph_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="axis 1 is 5, expected 3"):
        open_session(write_model(tmp_path / "sum.onnx", shape=("n", 5)))


@pytest.mark.parametrize("kind", ["none", "missing", "folder"])
def test_a_missing_file_is_an_artifact_error(tmp_path: Path, kind: str) -> None:
    path = {"none": None, "missing": tmp_path / "no.onnx", "folder": tmp_path}[kind]
    with pytest.raises(ArtifactError, match="ONNX file is missing"):
        open_session(path)


@pytest.mark.parametrize("content", [b"", b"hello, not onnx", "truncated", "unknown operator"])
def test_a_corrupt_file_is_an_artifact_error_and_prints_nothing(
    tmp_path: Path, content: bytes | str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_model(tmp_path / "sum.onnx", op="NoSuchOp" if content == "unknown operator" else "Add")
    if content == "truncated":
        path.write_bytes(path.read_bytes()[:-20])
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"sum\.onnx: onnxruntime on cpu cannot load it"):
        open_session(path)
    assert capfd.readouterr() == ("", "")


def test_every_truncation_is_an_artifact_error(tmp_path: Path) -> None:
    whole = write_model(tmp_path / "sum.onnx").read_bytes()
    path = tmp_path / "short.onnx"
    for length in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ArtifactError):
            open_session(path)


def test_deterministic_single_threaded_runs_repeat_bit_by_bit(
    conv_component: ExportableComponent, conv_file: Path
) -> None:
    canvas = {"canvas": np.random.default_rng(0).standard_normal((1, 4, 16, 12)).astype(np.float32)}
    results = [open_session(conv_file, conv_component.spec, num_threads=1).run(canvas) for _ in range(3)]
    for name in ("heatmap", "reg"):
        assert {result[name].tobytes() for result in results} == {results[0][name].tobytes()}


def test_unknown_extra_options_are_refused(tmp_path: Path) -> None:
    path = write_model(tmp_path / "sum.onnx")
    with pytest.raises(ParameterError, match=r"extra\.onnxruntime: unknown option; got nhwc"):
        open_session(path, extra={"onnxruntime": {"nhwc": True}})


def test_options_of_other_backends_are_ignored(tmp_path: Path) -> None:
    open_session(write_model(tmp_path / "sum.onnx"), extra={"tensorrt": {"workspace": 1}})


def test_provider_options_reach_the_provider(tmp_path: Path) -> None:
    path = write_model(tmp_path / "sum.onnx")
    session = open_session(path, extra={"onnxruntime": {"provider_options": {"use_arena": "0"}}})
    session.run(arrays())


def test_cpu_is_available() -> None:
    state = OnnxRuntimeBackend().availability(CPU)
    assert state
    assert onnxruntime.__version__ in state.detail


def test_cuda_without_its_provider_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    state = OnnxRuntimeBackend().availability(CUDA)
    assert not state
    assert state.hint == "pip install onnxruntime-gpu"
    with pytest.raises(BackendUnavailableError, match="pip install onnxruntime-gpu"):
        OnnxRuntimeBackend().open_session(
            SessionSource(SPEC, write_model(tmp_path / "sum.onnx")), CUDA, SessionOptions()
        )


@pytest.fixture
def pretend_cuda(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """ONNX Runtime that claims to have CUDA; what it is asked for is recorded, and it runs on the CPU."""
    asked: dict[str, Any] = {}
    native = onnxruntime.InferenceSession

    def create(path: str, options: Any, *, providers: Any, enable_fallback: int) -> Any:
        asked.update(providers=providers, fallback=enable_fallback, options=options)
        return native(path, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("Failed to load libcudnn.so.9"))
    monkeypatch.setattr(onnxruntime, "InferenceSession", create)
    monkeypatch.setattr(module, "cuda_device_count", lambda: 2)
    monkeypatch.setattr(module, "cuda_python_problem", lambda: "is not asked for")
    return asked


@pytest.mark.usefixtures("pretend_cuda")
def test_a_device_beyond_the_last_one_is_unavailable() -> None:
    assert OnnxRuntimeBackend().availability(DeviceSpec("cuda", 1))
    state = OnnxRuntimeBackend().availability(DeviceSpec("cuda", 2))
    assert not state
    assert "cuda:2 does not exist: the CUDA driver offers 2 device(s)" in state.detail


def test_a_silent_fallback_to_the_cpu_is_refused(
    pretend_cuda: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = SessionSource(SPEC, write_model(tmp_path / "sum.onnx"))
    with pytest.raises(BackendUnavailableError, match=r"CUDAExecutionProvider did not start.*CPUExecution"):
        OnnxRuntimeBackend().open_session(source, DeviceSpec("cuda", 1), SessionOptions())
    ((provider, options),) = pretend_cuda["providers"]
    assert provider == "CUDAExecutionProvider"
    assert options == {"device_id": "1", "cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}
    assert pretend_cuda["fallback"] == 0
    assert pretend_cuda["options"].use_deterministic_compute
    assert "libcudnn.so.9" in caplog.text


def test_the_run_path_imports_neither_torch_nor_onnx(tmp_path: Path) -> None:
    path = write_model(tmp_path / "sum.onnx")
    code = f"""
import sys
import numpy as np
from pathlib import Path
from awml_deploy_core.components import ComponentSpec, DynamicAxis, TensorSpec
from awml_deploy_core.device import CPU
from awml_deploy_core.runtime import SessionSource, open_sessions
n = DynamicAxis("n", 1, 4, 8)
a, b, total = (TensorSpec(name, (n, 3)) for name in ("a", "b", "total"))
source = SessionSource(ComponentSpec("sum", "sum.onnx", (a, b), (total,)), Path({str(path)!r}))
ones = np.ones((2, 3), np.float32)
open_sessions([source], "onnxruntime", CPU)["sum"].run({{"a": ones, "b": ones}})
print(*sorted({{"torch", "onnx", "onnxscript", "onnxslim"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
    assert done.stderr == ""


def test_a_real_foreign_encoder_runs(assets: Path) -> None:
    voxels = DynamicAxis("num_voxels", 1, 100, 12000)
    spec = ComponentSpec(
        "pts_voxel_encoder",
        "pts_voxel_encoder.onnx",
        (TensorSpec("input_features", (voxels, 32, 9)),),
        (TensorSpec("pillar_features", (voxels, 1, 32)),),
    )
    session = open_session(assets / "centerpoint_kitti_small" / spec.onnx_file, spec)
    features = session.run({"input_features": np.zeros((7, 32, 9), np.float32)})["pillar_features"]
    assert features.shape == (7, 1, 32)
    assert np.isfinite(features).all()


@pytest.mark.parametrize("name", ["haohao_waymo_pfe_baseline32000", "carkusl_nuscenes_pfe"])
def test_an_encoder_of_another_deployment_is_refused_tensor_by_tensor(assets: Path, name: str) -> None:
    voxels = DynamicAxis("num_voxels", 1, 100, 40000)
    spec = ComponentSpec(
        "pts_voxel_encoder",
        "pts_voxel_encoder.onnx",
        (TensorSpec("input_features", (voxels, 20, 10)),),
        (TensorSpec("pillar_features", (voxels, 1, 64)),),
    )
    with pytest.raises(ArtifactError) as caught:
        open_session(assets / "foreign_encoders" / f"{name}.onnx", spec)
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["input input.1", "output 47"]
