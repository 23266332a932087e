"""What the CUDA driver says, without any CUDA toolkit or framework."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from awml_deploy_core.errors import BackendUnavailableError

_MAJOR, _MINOR = 75, 76
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR of cuda.h."""
_MULTIPROCESSORS = 16
"""CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT of cuda.h."""
_NAME_BYTES = 256


@dataclass(frozen=True)
class CudaDevice:
    """A GPU as the driver names it."""

    index: int
    name: str
    compute_capability: str
    """Major and minor, e.g. ``8.9``."""
    multiprocessors: int | None = None
    """Tells apart what has one name: every Jetson Orin is an ``Orin``. None is unknown."""


def cuda_device_count() -> int:
    """Number of CUDA devices the driver offers to this process; 0 without a driver."""
    driver = _driver()
    count = ctypes.c_int(0)
    if driver is None or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def cuda_device(index: int) -> CudaDevice | None:
    """The device of an index; None where the driver does not offer it."""
    driver = _driver()
    if driver is None:
        return None
    handle = ctypes.c_int(0)
    if driver.cuDeviceGet(ctypes.byref(handle), ctypes.c_int(index)) != 0:
        return None
    name = ctypes.create_string_buffer(_NAME_BYTES)
    major, minor, multiprocessors = ctypes.c_int(0), ctypes.c_int(0), ctypes.c_int(0)
    done = (
        driver.cuDeviceGetName(name, _NAME_BYTES, handle),
        driver.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, handle),
        driver.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, handle),
        driver.cuDeviceGetAttribute(ctypes.byref(multiprocessors), _MULTIPROCESSORS, handle),
    )
    if any(done):
        return None
    text = name.value.decode(errors="replace").strip()
    return CudaDevice(index, text, f"{major.value}.{minor.value}", multiprocessors.value)


@contextmanager
def current_device(index: int) -> Iterator[None]:
    """Make a device that of the calling thread, for libraries that work on the current one.

    Does nothing where there is no driver or device.

    Raises:
        BackendUnavailableError: The device cannot be used.
    """
    driver = _driver()
    if driver is None or cuda_device(index) is None:
        yield
        return
    handle, context = ctypes.c_int(0), ctypes.c_void_p()
    _check(driver.cuDeviceGet(ctypes.byref(handle), ctypes.c_int(index)), index)
    _check(driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), handle), index)
    try:
        _check(driver.cuCtxPushCurrent_v2(context), index)
        try:
            yield
        finally:
            driver.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))
    finally:
        driver.cuDevicePrimaryCtxRelease_v2(handle)


def _check(code: int, index: int) -> None:
    if code:
        raise BackendUnavailableError(
            f"cuda:{index}", "cannot be used", got=f"CUDA error {code}", hint="Check nvidia-smi."
        )


def has_cuda_driver() -> bool:
    """Whether a CUDA driver is installed, with or without a device behind it."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def _driver() -> ctypes.CDLL | None:
    """The initialised driver; None where there is none or no device."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    return driver if driver.cuInit(0) == 0 else None
