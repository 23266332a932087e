"""The driver through ctypes, against ones that answer as told or write down what they are asked."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import Any

import pytest

from awml_deploy_core.errors import BackendUnavailableError
from awml_deploy_core.runtime import cuda_driver
from awml_deploy_core.runtime.cuda_driver import cuda_device, cuda_device_count, current_device


class RecordingDriver:
    def __init__(self, devices: int = 2, refuses: str = "") -> None:
        self.devices, self.refuses = devices, refuses
        self.calls: list[str] = []

    def cuDeviceGet(self, handle: Any, index: Any) -> int:  # noqa: N802 - as cuda.h has it
        handle._obj.value = index.value
        return 0 if index.value < self.devices else 101

    def cuDeviceGetAttribute(self, value: Any, kind: int, device: Any) -> int:  # noqa: N802
        value._obj.value = {75: 8, 76: 7, 16: 14}[kind]
        return 0

    def cuDeviceGetName(self, name: Any, size: int, device: Any) -> int:  # noqa: N802
        name.value = b"Orin"
        return 0

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> int:
            devices = [str(a.value) for a in arguments if type(a).__name__ == "c_int"]
            self.calls.append(" ".join([name, *devices]))
            return 999 if name == self.refuses else 0

        return call


def install(monkeypatch: pytest.MonkeyPatch, driver: RecordingDriver | None) -> None:
    monkeypatch.setattr(cuda_driver, "_driver", lambda: driver)


def test_a_device_has_what_tells_it_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, RecordingDriver())
    device = cuda_device(1)
    assert device is not None
    assert (device.name, device.compute_capability, device.multiprocessors) == ("Orin", "8.7", 14)
    assert cuda_device(2) is None


def test_a_device_is_current_for_as_long_as_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = RecordingDriver()
    install(monkeypatch, driver)
    with suppress(KeyError), current_device(1):
        driver.calls.append("work")
        raise KeyError
    assert driver.calls == [
        "cuDevicePrimaryCtxRetain 1",
        "cuCtxPushCurrent_v2",
        "work",
        "cuCtxPopCurrent_v2",
        "cuDevicePrimaryCtxRelease_v2 1",
    ]


@pytest.mark.parametrize("driver", [None, RecordingDriver(devices=0)])
def test_nothing_is_done_where_there_is_no_device(
    monkeypatch: pytest.MonkeyPatch, driver: RecordingDriver | None
) -> None:
    install(monkeypatch, driver)
    with current_device(0):
        pass
    assert driver is None or driver.calls == []


def test_a_device_that_cannot_be_used_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = RecordingDriver(refuses="cuCtxPushCurrent_v2")
    install(monkeypatch, driver)
    with pytest.raises(BackendUnavailableError, match="CUDA error 999"), current_device(0):
        pass
    assert driver.calls[-1] == "cuDevicePrimaryCtxRelease_v2 0"


class CountingDriver:
    def __init__(self, result: int, count: int) -> None:
        self.result, self.count = result, count

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self.result

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self.count
        return 0


@pytest.mark.parametrize(("result", "count", "expected"), [(0, 2, 2), (0, 0, 0), (100, 2, 0)])
def test_counts_what_the_driver_offers(
    monkeypatch: pytest.MonkeyPatch, result: int, count: int, expected: int
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: CountingDriver(result, count))
    assert cuda_device_count() == expected


def test_without_a_driver_there_is_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert cuda_device_count() == 0
