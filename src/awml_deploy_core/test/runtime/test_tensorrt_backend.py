from __future__ import annotations

import ast
import sys
from enum import Enum
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from engine_builds import ADA, ENCODER, rtx

from awml_deploy_core.device import CPU, DeviceSpec
from awml_deploy_core.errors import (
    ArtifactError,
    BackendUnavailableError,
    ConfigError,
    DeviceError,
    MissingDependencyError,
    ParameterError,
)
from awml_deploy_core.runtime import SessionOptions, SessionSource, tensorrt_backend
from awml_deploy_core.runtime.cuda_driver import CudaDevice, cuda_device
from awml_deploy_core.runtime.session import Availability
from awml_deploy_core.runtime.tensorrt_backend import TensorRTBackend, load_engine
from awml_deploy_core.runtime.trt import library as library_module
from awml_deploy_core.runtime.trt.library import Messages, TensorRTLibrary, find_library
from awml_deploy_core.runtime.trt.settings import EngineSettings

CUDA = DeviceSpec("cuda")
STUBS = Path(__file__).resolve().parents[4] / "typings" / "tensorrt" / "__init__.pyi"


def machine(
    monkeypatch: pytest.MonkeyPatch,
    *,
    gpu: CudaDevice | None = ADA,
    driver: bool = True,
    cuda_python: str | None = None,
) -> None:
    monkeypatch.setattr(tensorrt_backend, "cuda_device", lambda index: gpu)
    monkeypatch.setattr(tensorrt_backend, "cuda_device_count", lambda: int(gpu is not None))
    monkeypatch.setattr(tensorrt_backend, "has_cuda_driver", lambda: driver)
    monkeypatch.setattr(tensorrt_backend, "cuda_python_problem", lambda: cuda_python)


def install(monkeypatch: pytest.MonkeyPatch, found: TensorRTLibrary | Exception) -> None:
    def find(choice: str = "auto") -> TensorRTLibrary:
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(tensorrt_backend, "find_library", find)


def fake_rtx() -> TensorRTLibrary:
    members = {"NONE": 0, "SM75": 1, "SM89": 2, "SM120": 3}
    api: Any = ModuleType("fake")
    api.ComputeCapability = type("ComputeCapability", (), {"__members__": members})
    return TensorRTLibrary("tensorrt_rtx", "1.7.1.116", api)


def test_it_runs_where_everything_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch)
    install(monkeypatch, fake_rtx())
    state = TensorRTBackend().availability(CUDA)
    assert state
    assert state.detail == "tensorrt_rtx 1.7.1.116, NVIDIA RTX 4090 (compute capability 8.9)"


def test_everything_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, gpu=None, driver=False, cuda_python="cuda.bindings cannot be imported: gone")
    install(monkeypatch, MissingDependencyError("TensorRT", "is not installed", problems=["no x"]))
    state = TensorRTBackend().availability(CUDA)
    assert not state
    for part in ("TensorRT is not installed (no x)", "cuda.bindings cannot be imported", "no CUDA driver"):
        assert part in state.detail
    assert "pip install cuda-bindings" in state.hint


def test_a_gpu_that_is_not_there_or_too_new_for_rtx(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, fake_rtx())
    machine(monkeypatch, gpu=None)
    assert "cuda:0 does not exist: the CUDA driver offers 0" in TensorRTBackend().availability(CUDA).detail
    machine(monkeypatch, gpu=CudaDevice(0, "NVIDIA H100", "9.0"))
    state = TensorRTBackend().availability(CUDA)
    assert not state
    assert "does not run on NVIDIA H100 of compute capability 9.0 (known: 7.5, 8.9, 12.0)" in state.detail
    assert not TensorRTBackend().availability(CPU)


def test_a_session_is_not_opened_where_it_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, gpu=None, driver=False)
    install(monkeypatch, fake_rtx())
    with pytest.raises(BackendUnavailableError, match="no CUDA driver"):
        TensorRTBackend().open_session(SessionSource(ENCODER), CUDA, SessionOptions())


def test_engines_are_looked_for_before_the_device_is_touched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(TensorRTBackend, "availability", lambda *_: Availability(True, ""))
    monkeypatch.setattr(tensorrt_backend, "cuda_device", lambda index: ADA)
    install(monkeypatch, fake_rtx())
    onnx = tmp_path / "sub" / "encoder.onnx"
    with pytest.raises(ArtifactError, match="ONNX file is missing"):
        TensorRTBackend().open_session(SessionSource(ENCODER, onnx), CUDA, SessionOptions())
    onnx.parent.mkdir()
    onnx.write_bytes(b"graph")
    source = SessionSource(ENCODER, onnx, bundle=tmp_path)
    with pytest.raises(ArtifactError, match="has no engine of component encoder") as caught:
        TensorRTBackend().open_session(source, CUDA, SessionOptions())
    assert str(tmp_path / "engines") in str(caught.value)


@pytest.mark.parametrize("extra", [{"precison": "fp16"}, {"precision": "fp8"}])
def test_options_that_are_unknown(extra: dict[str, str]) -> None:
    with pytest.raises(ParameterError, match="unknown"):
        TensorRTBackend().open_session(
            SessionSource(ENCODER), CUDA, SessionOptions(extra={"tensorrt": extra})
        )


def test_an_engine_does_not_open_without_a_gpu() -> None:
    library = rtx()
    if cuda_device(0) is not None:
        pytest.skip("there is a GPU")
    with pytest.raises(ArtifactError, match="cannot open it"):
        load_engine(library, b"no engine", "engines/x.engine")


def test_type_stubs_alone_are_no_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", ModuleType("tensorrt"))
    with pytest.raises(MissingDependencyError, match="tensorrt: has no Builder") as caught:
        find_library("tensorrt")
    assert "pip install tensorrt" in str(caught.value)


def test_which_library_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def modules(**versions: str) -> None:
        def load(name: str) -> tuple[Any, str]:
            if name not in versions:
                return None, f"{name}: missing"
            module: Any = ModuleType(name)
            module.__version__ = versions[name]
            return module, ""

        monkeypatch.setattr(library_module, "_import", load)

    modules(tensorrt="10.13.2.6", tensorrt_rtx_bindings="1.7.1.116")
    assert find_library().name == "tensorrt"
    assert find_library("tensorrt_rtx").version == "1.7.1.116"
    modules(tensorrt="8.6.1", tensorrt_rtx="1.7.1.116")
    assert find_library().name == "tensorrt_rtx"
    with pytest.raises(MissingDependencyError, match="is older than 10"):
        find_library("tensorrt")
    with pytest.raises(ConfigError):
        find_library("trt")  # type: ignore[arg-type]


def test_tensorrt_follows_what_rtx_cannot() -> None:
    api: Any = ModuleType("tensorrt")
    levels = {"NONE": 0, "AMPERE_PLUS": 1}
    api.HardwareCompatibilityLevel = type("Level", (), {"__members__": levels})
    full = TensorRTLibrary("tensorrt", "11.0.0.1", api)
    settings = EngineSettings(version_compatible=True, hardware_compatibility="ampere_plus")
    assert full.unsupported(settings) == []
    assert len(fake_rtx().unsupported(settings)) == 2
    assert len(full.unsupported(EngineSettings(compute_capabilities=("8.9",)))) == 1
    newer = EngineSettings(hardware_compatibility="same_compute_capability")
    (problem,) = full.unsupported(newer)
    assert "TensorRT 11.0.0.1 does not know same_compute_capability" in problem


def test_the_type_stubs_name_what_the_library_has() -> None:
    """Every class, method, property and enumerator that mypy believes in."""
    api = rtx().api
    missing = []
    for item in ast.parse(STUBS.read_text()).body:
        if not isinstance(item, ast.ClassDef):
            continue
        native = getattr(api, item.name, None)
        if native is None:
            missing.append(item.name)
            continue
        for member in item.body:
            names = []
            if isinstance(member, ast.FunctionDef):
                names = [member.name]
            elif isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
                names = [member.target.id]
            elif isinstance(member, ast.Assign):
                names = [target.id for target in member.targets if isinstance(target, ast.Name)]
            missing += [f"{item.name}.{name}" for name in names if not hasattr(native, name)]
    assert missing == []


class FakeLogger:
    class Severity(Enum):
        INTERNAL_ERROR, ERROR, WARNING, INFO = range(4)


def fake_api(**members: Any) -> Any:
    return SimpleNamespace(ILogger=FakeLogger, **members)


def test_all_of_a_process_share_one_logger_that_everybody_hears() -> None:
    """TensorRT goes on using the first logger it was given, whoever gave it."""
    library = TensorRTLibrary("tensorrt", "11.0.0.1", fake_api())
    first, second = Messages(library), Messages(library)
    logger: Any = first.logger
    assert second.logger is logger
    del first
    logger.log(FakeLogger.Severity.WARNING, "only logged")
    logger.log(FakeLogger.Severity.ERROR, " a cause\n")
    assert second.errors() == ("a cause",)
    assert second.errors() == ()
    for number in range(1000):
        logger.log(FakeLogger.Severity.INTERNAL_ERROR, str(number))
    assert second.errors()[-1] == "999"
    assert len(second.errors()) < 100
    assert Messages(TensorRTLibrary("tensorrt", "10.0.0.1", fake_api())).logger is not logger


def test_rtx_does_not_exchange_kernels_while_frames_run() -> None:
    strategy = Enum("strategy", "LAZY EAGER NONE")
    config = SimpleNamespace(dynamic_shapes_kernel_specialization_strategy=strategy["LAZY"])
    made: list[Any] = []
    engine: Any = SimpleNamespace(
        create_runtime_config=lambda: config, create_execution_context=lambda *args: made.append(args)
    )
    api = fake_api(DynamicShapesKernelSpecializationStrategy=strategy)
    TensorRTLibrary("tensorrt_rtx", "1.7.1.116", api).make_context(engine)
    TensorRTLibrary("tensorrt", "10.13.2.6", api).make_context(engine)
    assert made == [(config,), ()]
    assert config.dynamic_shapes_kernel_specialization_strategy is strategy["NONE"]
    native: Any = rtx().api
    assert "NONE" in native.DynamicShapesKernelSpecializationStrategy.__members__
    assert "dynamic_shapes_kernel_specialization_strategy" in dir(native.IRuntimeConfig)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("Error Code 1: Cuda Runtime (out of memory)", DeviceError),
        ("Error Code 2: OutOfMemory (Requested size was 9 bytes.)", DeviceError),
        ("Error Code 6: serialized engine is of another version", ArtifactError),
    ],
)
def test_an_engine_without_memory_is_no_wrong_engine(said: str, error: type[Exception]) -> None:
    class Runtime:
        def __init__(self, logger: Any) -> None:
            self.logger = logger

        def deserialize_cuda_engine(self, content: bytes) -> Any:
            return SimpleNamespace(create_execution_context=self.refuse)

        def refuse(self) -> None:
            self.logger.log(FakeLogger.Severity.ERROR, said)

    library = TensorRTLibrary("tensorrt", "11.0.0.1", fake_api(Runtime=Runtime))
    with pytest.raises(error, match=said.partition("(")[0]):
        load_engine(library, b"engine", "engines/x.engine")


def test_only_version_compatible_engines_may_bring_code() -> None:
    def make_runtime(logger: Any) -> Any:
        return SimpleNamespace(engine_host_code_allowed=False)

    library = TensorRTLibrary("tensorrt", "11.0.0.1", fake_api(Runtime=make_runtime))
    for allowed in (False, True):
        assert library.runtime(Messages(library), host_code=allowed).engine_host_code_allowed is allowed


def test_engines_of_rtx_can_be_captured() -> None:
    library, flags = rtx(), list[Any]()
    config: Any = SimpleNamespace(set_flag=flags.append)
    library.allow_capture(config)
    assert [flag.name for flag in flags] == ["REQUIRE_USER_ALLOCATION"]
    TensorRTLibrary("tensorrt", "11.0.0.1", library.api).allow_capture(config)
    assert len(flags) == 1
