"""The emulator itself: what kernels may rely on works, and what no GPU would bear is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cuda_emulation import emulate

SOURCE = r"""
extern "C" __global__ void __launch_bounds__(256) block_sums(
    const int* values, int n, unsigned long long* out) {
  __shared__ int partial[8];
  const int index = blockIdx.x * blockDim.x + threadIdx.x;
  int value = index < n ? __ldg(values + index) : 0;
  for (int d = 16; d > 0; d /= 2) value += __shfl_down_sync(0xffffffffu, value, d);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = value;
  __syncthreads();
  if (threadIdx.x == 0) {
    int sum = 0;
    for (int i = 0; i < 8; ++i) sum += partial[i];
    out[blockIdx.x] = (unsigned long long)sum;
  }
}

extern "C" __global__ void reversed_in_shared(float* values, unsigned n) {
  extern __shared__ __align__(16) float buffer[];
  buffer[threadIdx.x] = values[threadIdx.x];
  __syncthreads();
  values[threadIdx.x] = buffer[n - 1 - threadIdx.x];
}

extern "C" __global__ void votes(
    const unsigned char* flags, unsigned* ballots, unsigned* ranks, int* total) {
  const unsigned lane = threadIdx.x % 32;
  const unsigned ballot = __ballot_sync(0xffffffffu, flags[threadIdx.x]);
  ranks[threadIdx.x] = __popc(ballot & ((1u << lane) - 1));
  if (lane == 0) ballots[threadIdx.x / 32] = ballot;
  const int everyone = __syncthreads_count(flags[threadIdx.x]);
  if (threadIdx.x == 0) *total = everyone;
  if (threadIdx.x < 5) return;
  __syncthreads();
}

extern "C" __global__ void arrivals(unsigned* ticket, unsigned* order) {
  if (threadIdx.x == 0) order[atomicAdd(ticket, 1u)] = blockIdx.x;
}

extern "C" __global__ void written_while_read(int* out) {
  __shared__ int values[8];
  const int warp = threadIdx.x / 32;
  int sum = 0;
  for (int round = 0; round < 4; ++round) {
    if (threadIdx.x % 32 == 0) values[warp] = round;
    __syncthreads();
    for (int i = 0; i < 8; ++i) sum += values[i];
    __syncwarp();
  }
  out[threadIdx.x] = sum;
}

extern "C" __global__ void unwritten_shared(int* out) {
  __shared__ int value;
  *out = value;
}

extern "C" __global__ void divergent_barrier() {
  if (threadIdx.x < 3) __syncthreads(); else __syncwarp();
}

extern "C" __global__ void foreign_lane(int* out) {
  *out = __shfl_sync(1u << threadIdx.x, 1, threadIdx.x + 1);
}
"""


@pytest.fixture(scope="module")
def kernels() -> Any:
    return emulate(SOURCE)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shuffles_barriers_and_shared_memory(kernels: Any, seed: int) -> None:
    values = np.random.default_rng(0).integers(-1000, 1000, 1000).astype(np.int32)
    sums = np.zeros(4, np.uint64)
    kernels.launch("block_sums", 4, 256, [values, 1000, sums], seed=seed)
    padded = np.pad(values, (0, 24)).reshape(4, 256)
    np.testing.assert_array_equal(sums.astype(np.int64), padded.sum(axis=1))


def test_dynamic_shared_memory(kernels: Any) -> None:
    values = np.arange(96, dtype=np.float32)
    kernels.launch("reversed_in_shared", 1, 96, [values, np.uint32(96)], shared_bytes=96 * 4, seed=3)
    np.testing.assert_array_equal(values, np.arange(96)[::-1])


def test_votes_and_barriers_after_some_threads_have_ended(kernels: Any) -> None:
    flags = np.random.default_rng(1).integers(0, 2, 64).astype(np.uint8)
    ballots, ranks, total = np.zeros(2, np.uint32), np.zeros(64, np.uint32), np.zeros(1, np.int32)
    kernels.launch("votes", 1, 64, [flags, ballots, ranks, total], seed=5)
    for half in (0, 1):
        part = flags[32 * half : 32 * half + 32]
        assert int(ballots[half]) == sum(int(bit) << i for i, bit in enumerate(part))
        np.testing.assert_array_equal(ranks[32 * half : 32 * half + 32], np.cumsum(part) - part)
    assert total[0] == flags.sum()


def test_the_seed_orders_the_blocks(kernels: Any) -> None:
    orders = []
    for seed in (0, 1, 1, 2):
        ticket, order = np.zeros(1, np.uint32), np.zeros(50, np.uint32)
        kernels.launch("arrivals", (5, 10), 32, [ticket, order], seed=seed)
        orders.append(order.tolist())
    assert orders[0] == [i % 5 for i in range(50)]
    assert orders[1] == orders[2] != orders[3]
    assert sorted(orders[3]) == sorted(orders[0])


def test_a_warp_that_runs_ahead_shows_a_missing_barrier(kernels: Any) -> None:
    sums = np.zeros(256, np.int32)
    kernels.launch("written_while_read", 1, 256, [sums], seed=1)
    assert set(sums) != {8 * (0 + 1 + 2 + 3)}


def test_shared_memory_starts_spoilt(kernels: Any) -> None:
    out = np.zeros(1, np.int32)
    kernels.launch("unwritten_shared", 1, 1, [out])
    assert out.view(np.uint32)[0] == 0xCDCDCDCD


def test_what_no_gpu_bears_is_refused(kernels: Any) -> None:
    with pytest.raises(RuntimeError, match="wait for ever"):
        kernels.launch("divergent_barrier", 1, 32, [])
    with pytest.raises(RuntimeError, match="outside of its mask"):
        kernels.launch("foreign_lane", 1, 32, [np.zeros(1, np.int32)])
    with pytest.raises(RuntimeError, match="wrong number"):
        kernels.launch("unwritten_shared", 1, 1, [])
    with pytest.raises(TypeError, match="argument 1"):
        kernels.launch("block_sums", 1, 256, [np.zeros(1, np.int32), np.int64(1), np.zeros(1, np.uint64)])
    kernels.launch("unwritten_shared", 1, 1, [np.zeros(1, np.int32)])


def test_a_source_that_does_not_compile_says_where() -> None:
    with pytest.raises(RuntimeError, match=r"source\.cu:1"):
        emulate('extern "C" __global__ void broken() { nonsense; }')
