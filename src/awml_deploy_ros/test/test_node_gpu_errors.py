"""What the node makes of a GPU that fails: a fake cuda-python, which runs nothing, returns the codes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from clouds import cloud_of
from fakes import IDENTITY, FakePipeline, FakeState
from harness import STATES, Harness, wait_until

from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import AwmlDeployError, DeviceLostError
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.files import sha256_file
from awml_deploy_core.runtime.cuda import CudaContext
from awml_deploy_core.runtime.cuda_driver import CudaDevice
from awml_deploy_core.runtime.trt.cache import EngineCache
from awml_deploy_core.runtime.trt.key import EngineKey, EngineTarget, Environment
from awml_deploy_core.runtime.trt.selection import select_engine
from awml_deploy_core.runtime.trt.settings import ShapeRange
from awml_deploy_ros.model import OpenModel
from awml_deploy_ros.process import _report
from awml_deploy_ros.settings import NodeSettings

pytestmark = pytest.mark.usefixtures("ros_for_all")
OUT_OF_MEMORY, NO_BINARY_FOR_GPU, ILLEGAL_ADDRESS = 2, 209, 700
GIVES = {"cuDeviceGet": 5, "cuDevicePrimaryCtxRetain": 6, "cuStreamCreate": 77, "cuMemAlloc": 4096}
POINTS = np.tile(np.array([[1.0, 2.0, 3.0, 50.0]], np.float32), (10, 1))


class FakeDriver(ModuleType):
    """``cuda.bindings.driver`` whose functions succeed, but for those in ``codes``."""

    def __init__(self) -> None:
        super().__init__("cuda.bindings.driver")
        self.codes: dict[str, int] = {}
        self.present = True

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("cu"):
            raise AttributeError(name)

        def call(*_: Any) -> tuple[Any, ...]:
            if not self.present:
                raise RuntimeError("libcuda.so.1 is not found")
            code = self.codes.get(name, 0)
            return (code, GIVES[name]) if name in GIVES else (code,)

        return call


class GpuPipeline(FakePipeline):
    """Every frame waits for the GPU."""

    context: CudaContext

    def with_options(self, _: Any) -> GpuPipeline:
        return self

    def _infer(self, *arguments: Any) -> Any:
        self.context.synchronize()
        return super()._infer(*arguments)


def open_on_gpu(_: NodeSettings) -> OpenModel:
    context = CudaContext(DeviceSpec("cuda"))
    try:
        context.allocate(80_000_000)
        context.driver.call("cuModuleLoadData", b"")
        context.synchronize()
    except BaseException:
        context.close()
        raise
    pipeline = GpuPipeline(FakeState())
    pipeline.context = context
    return OpenModel(pipeline, IDENTITY)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    made, bindings, package = FakeDriver(), ModuleType("cuda.bindings"), ModuleType("cuda")
    bindings.driver = made  # type: ignore[attr-defined]
    for module in (package, bindings, made):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return made


def node_on(open_model: Callable[[NodeSettings], OpenModel]) -> Harness:
    made = Harness()
    made.node._opener = open_model
    return made


def no_memory(driver: FakeDriver) -> None:
    driver.codes["cuMemAlloc"] = OUT_OF_MEMORY


def no_driver(driver: FakeDriver) -> None:
    driver.present = False


def another_gpu(driver: FakeDriver) -> None:
    driver.codes["cuModuleLoadData"] = NO_BINARY_FOR_GPU


@pytest.mark.parametrize(
    ("fail", "words"),
    [
        (no_memory, "DeviceError: cuda:0: out of memory; got 80 MB. End other processes"),
        (no_driver, "BackendUnavailableError: cuda:0: has no CUDA driver; got libcuda.so.1 is not found"),
        (another_gpu, "BackendUnavailableError: cuda:0: cannot be used: cuModuleLoadData failed; got 209"),
    ],
    ids=["out of memory", "missing driver", "code of another GPU"],
)
def test_what_fails_at_configure_leaves_the_node_unconfigured_fake_driver(
    driver: FakeDriver, fail: Callable[[FakeDriver], None], words: str
) -> None:
    with node_on(open_on_gpu) as h:
        fail(driver)
        assert not h.configure()
        assert h.state() == STATES["unconfigured"]
        assert words in h.node._configure_error
        assert h.fatal.error is None
        assert not h.fatal.stop.is_set()
        driver.codes.clear()
        driver.present = True
        assert h.configure()
        assert h.state() == STATES["inactive"]
        assert h.node._configure_error == ""


def test_an_engine_of_another_gpu_leaves_the_node_unconfigured(tmp_path: Path) -> None:
    onnx = tmp_path / "encoder.onnx"
    onnx.write_bytes(b"graph")
    cache = EngineCache(tmp_path)
    key = EngineKey(
        component="encoder",
        onnx_sha256=sha256_file(onnx),
        precision="fp16",
        profile={"x": ShapeRange((1, 3), (64, 3), (100, 3))},
        target=EngineTarget("tensorrt", "10.13.2.6", "NVIDIA RTX 4090", "8.9"),
    )
    cache.store(key, b"engine", "{}\n", seconds=1.0, details={})

    def open_engine(_: NodeSettings) -> OpenModel:
        orin = Environment("tensorrt", "10.13.2.6", CudaDevice(0, "Orin", "8.7"))
        select_engine(cache, "encoder", onnx, orin)
        raise AssertionError("the engine was taken")

    with node_on(open_engine) as h:
        assert not h.configure()
        assert h.state() == STATES["unconfigured"]
        assert "built for NVIDIA RTX 4090, here is Orin" in h.node._configure_error
        assert "awml-deploy build" in h.node._configure_error
        assert h.fatal.error is None


def test_a_sticky_error_at_configure_ends_the_process_fake_driver(driver: FakeDriver) -> None:
    with node_on(open_on_gpu) as h:
        driver.codes["cuStreamSynchronize"] = ILLEGAL_ADDRESS
        assert not h.configure()
        assert_ends_with_an_error(h)


def test_a_sticky_error_in_a_frame_ends_the_process_fake_driver(driver: FakeDriver) -> None:
    with node_on(open_on_gpu) as h:
        assert h.configure()
        assert h.activate()
        driver.codes["cuStreamSynchronize"] = ILLEGAL_ADDRESS
        h.publisher.publish(cloud_of(POINTS))
        assert_ends_with_an_error(h)


def assert_ends_with_an_error(h: Harness) -> None:
    """Launch respawns a process that ends with another code than zero."""
    assert wait_until(h.fatal.stop.is_set)
    error = h.fatal.error
    assert isinstance(error, DeviceLostError)
    assert isinstance(error, AwmlDeployError)
    assert "restart the process" in str(error)
    assert _report(error) == ExitCode.ERROR != 0
