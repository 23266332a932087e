"""The context, launches and graphs against a fake cuda-python, which runs nothing."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import (
    AwmlDeployError,
    BackendUnavailableError,
    DeviceError,
    DeviceLostError,
    InferenceError,
    MissingDependencyError,
)
from awml_deploy_core.runtime.cuda import CudaContext, Kernel, capture, cuda_python_problem

OUT_OF_MEMORY = 2
GIVES = {
    "cuDeviceGet": 5,
    "cuDevicePrimaryCtxRetain": 6,
    "cuStreamCreate": 77,
    "cuMemAlloc": 4096,
    "cuEventCreate": 88,
    "cuStreamEndCapture": 55,
    "cuGraphInstantiate": 56,
    "cuDeviceGetAttribute": 9,
}
OPENED = ["cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuCtxSetCurrent", "cuStreamCreate"]
CLOSED = [
    "cuCtxSetCurrent",
    "cuStreamSynchronize",
    "cuMemFree",
    "cuStreamDestroy",
    "cuDevicePrimaryCtxRelease",
]


class FakeDriver(ModuleType):
    def __init__(self) -> None:
        super().__init__("cuda.bindings.driver")
        self.codes: dict[str, int] = {}
        self.calls: list[tuple[Any, ...]] = []
        self.CUstreamCaptureMode = SimpleNamespace(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL=1)
        self.CUdevice_attribute = SimpleNamespace(
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR=75, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR=76
        )

    @property
    def names(self) -> list[str]:
        return [call[0] for call in self.calls]

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("cu"):
            raise AttributeError(name)

        def call(*arguments: Any) -> tuple[Any, ...]:
            self.calls.append((name, *arguments))
            code = self.codes.get(name, 0)
            return (code, GIVES[name]) if name in GIVES else (code,)

        return call


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    made, bindings, package = FakeDriver(), ModuleType("cuda.bindings"), ModuleType("cuda")
    bindings.driver = made  # type: ignore[attr-defined]
    for module in (package, bindings, made):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return made


def test_memory_is_copied_on_the_stream_and_freed_once_fake_driver(driver: FakeDriver) -> None:
    context = CudaContext(DeviceSpec("cuda"))
    address = context.allocate(16)
    values = np.arange(4, dtype=np.float32)
    context.upload(address, values)
    context.download(values, address)
    context.synchronize()
    context.close()
    context.close()
    assert driver.names[: len(OPENED)] == OPENED
    assert driver.names[len(OPENED) :] == [
        "cuMemAlloc",
        "cuMemcpyHtoDAsync",
        "cuMemcpyDtoHAsync",
        "cuStreamSynchronize",
        *CLOSED,
    ]
    upload, download = (call for call in driver.calls if call[0].startswith("cuMemcpy"))
    assert upload == ("cuMemcpyHtoDAsync", 4096, values.ctypes.data, 16, 77)
    assert download == ("cuMemcpyDtoHAsync", values.ctypes.data, 4096, 16, 77)


@pytest.mark.parametrize(
    ("code", "error", "message"),
    [
        (OUT_OF_MEMORY, DeviceError, "out of memory"),
        (700, DeviceLostError, "is lost: cuStreamSynchronize failed; got 700.*restart the process"),
        (719, DeviceLostError, "restart the process"),
        (209, BackendUnavailableError, "cannot be used"),
        (1, InferenceError, "cuStreamSynchronize failed; got 1"),
    ],
)
def test_every_kind_of_failure_has_its_type_fake_driver(
    driver: FakeDriver, code: int, error: type[AwmlDeployError], message: str
) -> None:
    context = CudaContext(DeviceSpec("cuda"))
    driver.codes["cuStreamSynchronize"] = code
    with pytest.raises(error, match=message):
        context.synchronize()


def test_no_memory_left_says_how_much_was_asked_for_fake_driver(driver: FakeDriver) -> None:
    context = CudaContext(DeviceSpec("cuda"))
    driver.codes["cuMemAlloc"] = OUT_OF_MEMORY
    with pytest.raises(DeviceError, match="out of memory; got 5 MB"):
        context.buffer((5_000_000,), np.uint8)


def test_a_device_that_cannot_be_used_fake_driver(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.codes["cuDeviceGet"] = 101
    with pytest.raises(BackendUnavailableError, match="cuDeviceGet failed; got 101"):
        CudaContext(DeviceSpec("cuda", 3))

    def no_driver(*_: Any) -> Any:
        raise RuntimeError("libcuda.so.1 is not found")

    monkeypatch.setattr(driver, "cuInit", no_driver, raising=False)
    with pytest.raises(BackendUnavailableError, match=r"libcuda\.so\.1 is not found"):
        CudaContext(DeviceSpec("cuda"))


def test_without_cuda_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", None)
    assert "cuda.bindings cannot be imported" in str(cuda_python_problem())
    with pytest.raises(MissingDependencyError, match="pip install cuda-bindings"):
        CudaContext(DeviceSpec("cuda"))


def test_a_graph_is_captured_uploaded_and_launched_fake_driver(driver: FakeDriver) -> None:
    context = CudaContext(DeviceSpec("cuda"))
    before = len(driver.calls)
    graph = capture(context, 77, lambda stream: context.fill(4096, 0, 8, stream))
    graph.launch(77)
    graph.close()
    graph.close()
    assert driver.names[before:] == [
        "cuStreamBeginCapture",
        "cuMemsetD8Async",
        "cuStreamEndCapture",
        "cuGraphInstantiate",
        "cuGraphDestroy",
        "cuGraphUpload",
        "cuGraphLaunch",
        "cuGraphExecDestroy",
    ]


def test_a_failed_capture_leaves_the_stream_usable_fake_driver(driver: FakeDriver) -> None:
    context = CudaContext(DeviceSpec("cuda"))

    def fails(_: int) -> None:
        raise InferenceError("component", "cannot be captured")

    with pytest.raises(InferenceError, match="cannot be captured"):
        capture(context, 77, fails)
    assert driver.names[-2:] == ["cuStreamEndCapture", "cuGraphDestroy"]


def test_arguments_of_a_launch_say_how_wide_they_are_fake_driver(driver: FakeDriver) -> None:
    context = CudaContext(DeviceSpec("cuda"))
    kernel = Kernel(context, "move", 66)
    bound = kernel.bind(3, (32, 4, 1), [context.buffer((4,), np.float32), np.int32(4)], shared=128)
    bound.enqueue(77)
    name, handle, *rest = driver.calls[-1]
    assert (name, handle, rest[:8]) == ("cuLaunchKernel", 66, [3, 1, 1, 32, 4, 1, 128, 77])
    with pytest.raises(InferenceError, match="argument 0 does not say how wide"):
        kernel.bind(1, 1, [4])  # type: ignore[list-item]
    with pytest.raises(InferenceError, match="launch is empty"):
        kernel.bind(0, 1, [])
    driver.codes["cuLaunchKernel"] = 1
    with pytest.raises(InferenceError, match="cuLaunchKernel of move failed"):
        bound.enqueue(77)


def test_pinned_memory_is_an_array_of_the_host_fake_driver(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = np.full(16, 7, np.uint8)
    monkeypatch.setattr(driver, "cuMemHostAlloc", lambda *_: (0, block.ctypes.data), raising=False)
    pinned = CudaContext(DeviceSpec("cuda")).pinned((2, 2), np.float32)
    assert (pinned.size, pinned.array.tolist()) == (16, [[0.0, 0.0], [0.0, 0.0]])
    pinned.array[0, 1] = 1.0
    assert block.view(np.float32)[1] == 1.0


def test_the_architecture_is_named_as_compilers_do_fake_driver(driver: FakeDriver) -> None:
    assert CudaContext(DeviceSpec("cuda")).arch == "sm_99"
