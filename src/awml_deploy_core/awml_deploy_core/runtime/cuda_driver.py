"""What the CUDA driver says, without any CUDA toolkit or framework."""

from __future__ import annotations

import ctypes


def cuda_device_count() -> int:
    """Number of CUDA devices the driver offers to this process; 0 without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value
