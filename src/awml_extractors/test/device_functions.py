"""The functions of the kernels' headers as kernels over arrays, and arguments for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from awml_deploy_core.runtime.cuda import KernelSource
from awml_extractors import arithmetic
from awml_extractors.centerpoint import bev_iou
from awml_extractors.centerpoint.device.constants import FOLDER
from awml_extractors.centerpoint.device.decoder_launches import kernel_sources
from awml_extractors.device import HEADERS

SOURCE = r"""
#include "overlap.cuh"
#include "postprocess.cuh"
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
extern "C" __global__ void overlap_all(const overlap::Box* a, const overlap::Box* b, int n, double* out) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    out[i] = overlap::area_of(a[i], b[i]);
}
extern "C" __global__ void apart_all(const overlap::Box* a, const overlap::Box* b, int n, double* out) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    out[i] = overlap::are_apart(a[i], b[i]) && overlap::area_of(a[i], b[i]) != 0.0;
}
extern "C" __global__ void float16_all(const unsigned short* x, int n, float* out) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    out[i] = value_of(x[i]);
}
"""
SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 709.78, 709.8, -708.5, -745.1, -745.3, np.pi, -np.pi]
)


def write_source(folder: Path) -> KernelSource:
    """The kernels, in a folder."""
    (folder / "functions.cu").write_text(SOURCE)
    options = kernel_sources(1, half=False)[1].options
    return KernelSource(folder / "functions.cu", options, (FOLDER, HEADERS))


def overlaps(a: Any, b: Any) -> Any:
    """Areas of pairs of boxes by the CPU's function."""
    scratch = np.empty(bev_iou.SCRATCH_SHAPE)
    return np.array([bev_iou.box_overlap(one, other, scratch) for one, other in zip(a, b, strict=True)])


ON_CPU: dict[str, Callable[..., Any]] = {
    "exp_all": arithmetic.exp,
    "arctan2_all": arithmetic.arctan2,
    "cos_sin_all": arithmetic.cos_sin,
    "sigmoid_all": arithmetic.sigmoid,
    "overlap_all": overlaps,
    # Boxes that a line separates share nothing, also where every operation is rounded.
    "apart_all": lambda a, b: np.zeros(len(a)),
    "float16_all": lambda bits: bits.view(np.float16).astype(np.float32),
}


def boxes(rng: Any, count: int) -> Any:
    """float64 ``[count, 6]``: boxes that often share sides, corners, everything or nothing."""
    yaws = rng.choice([0.0, 0.0, np.pi / 2, *rng.uniform(-np.pi, np.pi, 5)], count).astype(np.float32)
    places = rng.choice([0.0, 0.5, 1.0, *rng.normal(0, 1, 3)], (count, 2)).astype(np.float32)
    sizes = rng.choice([1.0, 2.0, 1e-20, *rng.uniform(0.1, 5, 4)], (count, 2)).astype(np.float32)
    return np.column_stack([places, sizes, arithmetic.cos_sin(yaws).T])


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
        "overlap_all": (boxes(rng, min(count, 20_000)), boxes(rng, min(count, 20_000))),
        "apart_all": (boxes(rng, count), boxes(rng, count)),
        "float16_all": (np.arange(2**16, dtype=np.uint16),),
    }


def assert_same_bits(found: Any, expected: Any, name: str) -> None:
    """Of whatever is a number: the bits of NaN are nobody's."""
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected), err_msg=name)
    word = np.uint64 if found.dtype == np.float64 else np.uint32
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(found[numbers].view(word), expected[numbers].view(word), err_msg=name)
