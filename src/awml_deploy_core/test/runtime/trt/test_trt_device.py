"""The device's memory against a fake cuda-python, as no GPU is here."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from awml_deploy_core.device import DeviceSpec
from awml_deploy_core.errors import (
    BackendUnavailableError,
    DeviceError,
    InferenceError,
    MissingDependencyError,
)
from awml_deploy_core.runtime.trt.device import CudaPythonMemory, cuda_python_problem

OUT_OF_MEMORY = 2
GIVES = {"cuDeviceGet": 5, "cuDevicePrimaryCtxRetain": 6, "cuStreamCreate": 77, "cuMemAlloc": 4096}
OPENED = ["cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuCtxSetCurrent", "cuStreamCreate"]


class FakeDriver(ModuleType):
    def __init__(self) -> None:
        super().__init__("cuda.bindings.driver")
        self.codes: dict[str, int] = {}
        self.calls: list[tuple[Any, ...]] = []

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


def test_memory_is_copied_on_the_stream_and_freed_once(driver: FakeDriver) -> None:
    memory = CudaPythonMemory(DeviceSpec("cuda"))
    address = memory.allocate(16)
    values = np.arange(4, dtype=np.float32)
    memory.upload(address, values)
    memory.download(values, address)
    memory.synchronize()
    memory.close()
    memory.close()
    names = [call[0] for call in driver.calls]
    assert names[: len(OPENED)] == OPENED
    assert names[len(OPENED) :] == [
        "cuMemAlloc",
        "cuMemcpyHtoDAsync",
        "cuMemcpyDtoHAsync",
        "cuStreamSynchronize",
        "cuCtxSetCurrent",
        "cuMemFree",
        "cuStreamDestroy",
        "cuDevicePrimaryCtxRelease",
    ]
    upload, download = (call for call in driver.calls if call[0].startswith("cuMemcpy"))
    assert upload == ("cuMemcpyHtoDAsync", 4096, values.ctypes.data, 16, 77)
    assert download == ("cuMemcpyDtoHAsync", values.ctypes.data, 4096, 16, 77)


def test_no_memory_left_is_told_from_other_failures(driver: FakeDriver) -> None:
    memory = CudaPythonMemory(DeviceSpec("cuda"))
    driver.codes["cuMemAlloc"] = OUT_OF_MEMORY
    with pytest.raises(DeviceError, match="out of memory; got no room for 5 MB"):
        memory.allocate(5_000_000)
    driver.codes = dict.fromkeys(("cuMemAlloc", "cuStreamSynchronize"), 700)
    with pytest.raises(InferenceError, match="cuMemAlloc failed; got 700"):
        memory.allocate(1)
    with pytest.raises(InferenceError, match="cuStreamSynchronize failed"):
        memory.synchronize()


def test_a_device_that_cannot_be_used(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    driver.codes["cuDeviceGet"] = 101
    with pytest.raises(BackendUnavailableError, match="cuDeviceGet failed; got 101"):
        CudaPythonMemory(DeviceSpec("cuda", 3))

    def no_driver(*_: Any) -> Any:
        raise RuntimeError("libcuda.so.1 is not found")

    monkeypatch.setattr(driver, "cuInit", no_driver, raising=False)
    with pytest.raises(BackendUnavailableError, match=r"libcuda\.so\.1 is not found"):
        CudaPythonMemory(DeviceSpec("cuda"))


def test_without_cuda_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", None)
    assert "cuda.bindings cannot be imported" in str(cuda_python_problem())
    with pytest.raises(MissingDependencyError, match="pip install cuda-bindings"):
        CudaPythonMemory(DeviceSpec("cuda"))
