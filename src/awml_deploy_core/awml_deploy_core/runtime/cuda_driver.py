"""What the CUDA driver says, without any CUDA toolkit or framework."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

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
