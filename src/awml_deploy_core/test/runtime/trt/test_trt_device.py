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
            return (code, 4096) if name == "cuMemAlloc" else (code,)

        return call


class FakeStream:
    handle = 77

    def close(self) -> None:
        self.handle = 0


class FakeDevice:
    def __init__(self, index: int) -> None:
        if index > 0:
            raise ValueError("no such device")

    def set_current(self) -> None:
        pass

    def create_stream(self) -> FakeStream:
        return FakeStream()


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    made, core = FakeDriver(), ModuleType("cuda.core")
    core.Device = FakeDevice  # type: ignore[attr-defined]
    bindings, package = ModuleType("cuda.bindings"), ModuleType("cuda")
    bindings.driver = made  # type: ignore[attr-defined]
    modules = {"cuda": package, "cuda.core": core, "cuda.bindings": bindings, "cuda.bindings.driver": made}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
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
    assert [call[0] for call in driver.calls] == [
        "cuMemAlloc",
        "cuMemcpyHtoDAsync",
        "cuMemcpyDtoHAsync",
        "cuStreamSynchronize",
        "cuMemFree",
    ]
    assert driver.calls[1] == ("cuMemcpyHtoDAsync", 4096, values.ctypes.data, 16, 77)
    assert driver.calls[2] == ("cuMemcpyDtoHAsync", values.ctypes.data, 4096, 16, 77)


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


@pytest.mark.usefixtures("driver")
def test_a_device_that_is_not_there() -> None:
    with pytest.raises(BackendUnavailableError, match="no such device"):
        CudaPythonMemory(DeviceSpec("cuda", 3))


def test_without_cuda_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.core", None)
    assert "cuda.core cannot be imported" in str(cuda_python_problem())
    with pytest.raises(MissingDependencyError, match="pip install cuda-core cuda-bindings"):
        CudaPythonMemory(DeviceSpec("cuda"))
