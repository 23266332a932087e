"""The functions of arithmetic.cuh as kernels over arrays."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from awml_extractors.centerpoint.device import decoder

SOURCE = r"""
#include "arithmetic.cuh"
extern "C" __global__ void exp_all(const double* x, int n, double* out) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    out[i] = arithmetic::exp_of(x[i]);
}
extern "C" __global__ void arctan2_all(const double* y, const double* x, int n, double* out) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    out[i] = arithmetic::arctan2_of(y[i], x[i]);
}
extern "C" __global__ void cos_sin_all(const double* x, int n, double* out) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
    const double2 both = arithmetic::cos_sin_of(x[i]);
    out[i] = both.x;
    out[n + i] = both.y;
  }
}
extern "C" __global__ void sigmoid_all(const float* x, int n, float* out) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    out[i] = arithmetic::sigmoid_of(x[i]);
}
"""
SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 709.78, 709.8, -708.5, -745.1, -745.3, np.pi, -np.pi]
)


def write_source(folder: Path) -> Path:
    """The kernels and the header they include, in a folder."""
    kernels = Path(decoder.__file__).parent / "kernels"
    shutil.copy(kernels / "arithmetic.cuh", folder)
    (folder / "arithmetic_probe.cu").write_text(SOURCE)
    return folder / "arithmetic_probe.cu"


def arguments_of(count: int, seed: int) -> dict[str, tuple[Any, ...]]:
    """Arguments by kernel: of every magnitude, of the ranges in use, float32 ones, and special values."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2**64, count, np.uint64).view(np.float64)
    wide = rng.normal(size=count) * 10.0 ** rng.integers(-30, 30, count)
    narrow = rng.uniform(-20, 20, count)
    single = rng.normal(size=count).astype(np.float32).astype(float)
    values = np.concatenate([bits, wide, narrow, single, SPECIAL])
    coordinates = np.concatenate([wide, narrow, single, SPECIAL])
    y, x = (
        np.concatenate([rng.permutation(coordinates), grid.ravel()])
        for grid in np.meshgrid(SPECIAL, SPECIAL)
    )
    logits = np.concatenate(
        [narrow, wide, rng.uniform(-110, 90, count), SPECIAL, np.linspace(-105, -85, count)]
    ).astype(np.float32)
    return {
        "exp_all": (np.concatenate([values, rng.uniform(-750, 715, count)]),),
        "arctan2_all": (y, x),
        "cos_sin_all": (np.concatenate([values, rng.uniform(-1e5, 1e5, count)]),),
        "sigmoid_all": (logits,),
    }
