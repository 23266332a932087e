// Decorated features of every pillar, one warp each; the arithmetic is that of pillars.py.
//
// A row is put together in shared memory and then written side by side. Only what this frame or
// the last one wrote of a row is touched. The grid is left free for the next frame.
#include "frame.cuh"

constexpr int WARPS = DECORATE_WARPS;
constexpr Word NONE = 0xffffffffu;
constexpr int ROW = MAX_POINTS * CHANNELS;

#if HALF_FEATURES
typedef Half Feature;
#else
typedef float Feature;
#endif
/// Features of a row that are written at once: 16 bytes where every row begins at a multiple of them.
constexpr int PIECE = ROW * sizeof(Feature) % 16 == 0 ? 16 / (int)sizeof(Feature) : 1;

/// Round to nearest, ties to even.
__device__ inline Half to_half(float value) {
#ifdef __CUDA_ARCH__
  Half bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
#else
  return cuda_emulation::half_bits(value);
#endif
}

__device__ inline void store_piece(float* at, const float* values) {
  if (PIECE == 1) {
    *at = values[0];
  } else {
    *(float4*)at = make_float4(values[0], values[1 % PIECE], values[2 % PIECE], values[3 % PIECE]);
  }
}

__device__ inline void store_piece(Half* at, const float* values) {
  if (PIECE == 1) {
    *at = to_half(values[0]);
  } else {
    Word pairs[4];
    for (int i = 0; i < 4; ++i) {
      pairs[i] = to_half(values[2 * i % PIECE]) | (Word)to_half(values[(2 * i + 1) % PIECE]) << 16;
    }
    *(uint4*)at = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
  }
}

/// Write `filled` features from shared memory and zeros up to `end`.
__device__ inline void write_row(Feature* row, const float* values, int filled, int end) {
  for (int at = (int)(threadIdx.x % 32) * PIECE; at < end; at += 32 * PIECE) {
    float piece[PIECE];
    for (int i = 0; i < PIECE; ++i) piece[i] = at + i < filled ? values[at + i] : 0.0f;
    store_piece(row + at, piece);
  }
}

/// Exchange with the lane at a distance so that the pair is ascending, or descending.
__device__ inline Word order_pair(Word value, int distance, bool ascending) {
  const Word other = __shfl_xor_sync(FULL_WARP, value, distance);
  const bool lower = (threadIdx.x & distance) == 0;
  return lower == ascending ? min(value, other) : max(value, other);
}

/// Values of a warp, ascending by lane (bitonic sort; Batcher, 1968).
__device__ inline Word sorted(Word value) {
  const Word lane = threadIdx.x % 32;
  for (int size = 2; size <= 32; size *= 2) {
    for (int distance = size / 2; distance > 0; distance /= 2) {
      value = order_pair(value, distance, (lane & size) == 0);
    }
  }
  return value;
}

/// The least 32 of two ascending warps of values.
__device__ inline Word least(Word kept, Word ascending) {
  const Word reversed = __shfl_sync(FULL_WARP, ascending, 31 - threadIdx.x % 32);
  Word value = min(kept, reversed);
  for (int distance = 16; distance > 0; distance /= 2) value = order_pair(value, distance, true);
  return value;
}

/// The 32 least places of a cell that are at least `from`, ascending by lane; NONE where there are fewer.
///
/// The list is nearly ascending, as blocks run nearly in order: few chunks have a place that counts.
__device__ inline Word next_places(const Word* __restrict__ list, Word count, Word from) {
  constexpr int AHEAD = 8;
  const Word lane = threadIdx.x % 32;
  Word kept = NONE, worst = NONE;
  for (Word base = 0; base < count; base += 32 * AHEAD) {
    Word loaded[AHEAD];
#pragma unroll
    for (int i = 0; i < AHEAD; ++i) {
      const Word at = base + 32 * i + lane;
      loaded[i] = at < count ? list[at] : NONE;
    }
#pragma unroll
    for (int i = 0; i < AHEAD; ++i) {
      const Word candidate = loaded[i] >= from ? loaded[i] : NONE;
      if (!__any_sync(FULL_WARP, candidate < worst)) continue;
      kept = least(kept, sorted(candidate));
      worst = __shfl_sync(FULL_WARP, kept, 31);
    }
  }
  return kept;
}

/// Put the raw channels of a point into its slot.
__device__ inline void fill_slot(float* slot, Word place, const float4* points, const float* intensities) {
  const float4 p = points[place];
  slot[0] = p.x;
  slot[1] = p.y;
  slot[2] = p.z;
#if INTENSITY_CHANNEL
  slot[INTENSITY_CHANNEL] = intensities[place] * INTENSITY_SCALE;
#endif
#if TIME_CHANNEL
  slot[TIME_CHANNEL] = p.w;
#endif
}

/// Raw channels of the first `stored` points of a cell, in the order of the frame.
__device__ inline void fill_slots(
    float* values, const Word* list, Word count, Word stored, const float4* points, const float* intensities) {
  const Word lane = threadIdx.x % 32;
  if (count <= 32) {
    const Word place = lane < count ? list[lane] : NONE;
    Word slot = 0;
    for (Word i = 0; i < count; ++i) slot += __shfl_sync(FULL_WARP, place, i) < place;
    if (lane < count && slot < stored) fill_slot(values + slot * CHANNELS, place, points, intensities);
  } else {
    Word from = 0;
    for (Word base = 0; base < stored; base += 32) {
      const Word place = next_places(list, count, from);
      if (base + lane < stored) fill_slot(values + (base + lane) * CHANNELS, place, points, intensities);
      from = __shfl_sync(FULL_WARP, place, 31) + 1;
    }
  }
  __syncwarp();
}

/// Offsets to the mean and to the centre, behind the raw channels.
__device__ inline void fill_offsets(float* values, int cell, Word stored) {
  const Word lane = threadIdx.x % 32;
  float sum = 0.0f;
  if (lane < 3) {
    for (Word slot = 0; slot < stored; ++slot) sum += values[slot * CHANNELS + lane];
  }
  const float mean = sum / (float)stored;
  const float mean_x = __shfl_sync(FULL_WARP, mean, 0);
  const float mean_y = __shfl_sync(FULL_WARP, mean, 1);
  const float mean_z = __shfl_sync(FULL_WARP, mean, 2);
  const float center_x = ((float)(cell % NX) + 0.5f) * VOXEL_X + X_MIN;
  const float center_y = ((float)(cell / NX) + 0.5f) * VOXEL_Y + Y_MIN;
  for (Word slot = lane; slot < stored; slot += 32) {
    float* point = values + slot * CHANNELS;
    float* offsets = point + RAW_CHANNELS;
    offsets[0] = point[0] - mean_x;
    offsets[1] = point[1] - mean_y;
    offsets[2] = point[2] - mean_z;
    offsets[3] = point[0] - center_x;
    offsets[4] = point[1] - center_y;
#if CENTER_DIMS == 3
    offsets[5] = point[2] - (0.5f * VOXEL_Z + Z_MIN);
#endif
  }
  __syncwarp();
}

/// Clear the padding rows that the last frame wrote; a warp looks at 32 rows at once.
__device__ inline void clear_padding(
    Word pillars, Word warp, Word warps, Feature* __restrict__ features, int* __restrict__ num_points,
    int* __restrict__ written) {
  const Word lane = threadIdx.x % 32;
  for (Word base = pillars + 32 * warp; base < MIN_ROWS; base += 32 * warps) {
    const Word row = base + lane;
    const int before = row < MIN_ROWS ? written[row] : 0;
    if (before != 0) num_points[row] = written[row] = 0;
    for (Word left = __ballot_sync(FULL_WARP, before != 0); left != 0; left &= left - 1) {
      const int source = __ffs((int)left) - 1;
      const int end = __shfl_sync(FULL_WARP, before, source) * CHANNELS;
      write_row(features + (Long)(base + source) * ROW, nullptr, 0, end);
    }
  }
}

/// Features of every pillar, zeros in what the last frame wrote beyond them, a free grid, and the counts
/// of the frame in memory of the host.
///
/// features [ROWS, MAX_POINTS, CHANNELS]; num_points [ROWS]: filled slots, zero in padding rows;
/// written [ROWS]: slots that are not zero, of the last frame and then of this one.
extern "C" __global__ void __launch_bounds__(32 * WARPS) decorate_pillars(
    const Frame* __restrict__ frame, const float4* __restrict__ points, const float* __restrict__ intensities,
    const int* __restrict__ occupied, const Word* __restrict__ list, Cell* grid, Feature* __restrict__ features,
    int* __restrict__ num_points, int* __restrict__ written, Counters* __restrict__ counts_on_host) {
  __shared__ float rows[WARPS][ROW];
  const Word lane = threadIdx.x % 32;
  const Word pillars = frame->counters.pillars, occupied_cells = frame->counters.cells;
  const Word warp = blockIdx.x * WARPS + threadIdx.x / 32, warps = gridDim.x * WARPS;
  float* values = rows[threadIdx.x / 32];
  if (blockIdx.x == 0 && threadIdx.x < sizeof(Counters) / sizeof(Word)) {
    ((Word*)counts_on_host)[threadIdx.x] = ((const Word*)&frame->counters)[threadIdx.x];
  }
  for (Word row = warp; row < pillars; row += warps) {
    const int before = written[row];
    const int cell = occupied[row];
    const Cell entry = grid[cell];
    const Word stored = min(entry.points, (Word)MAX_POINTS);
    fill_slots(values, list + entry.list, entry.points, stored, points, intensities);
    fill_offsets(values, cell, stored);
    const int filled = (int)stored * CHANNELS;
    write_row(features + (Long)row * ROW, values, filled, max(filled, before * CHANNELS));
    __syncwarp();
    if (lane == 0) {
      grid[cell] = Cell{};
      num_points[row] = written[row] = (int)stored;
    }
  }
  clear_padding(pillars, warp, warps, features, num_points, written);
  const Word thread = blockIdx.x * blockDim.x + threadIdx.x;
  for (Word i = pillars + thread; i < occupied_cells; i += gridDim.x * blockDim.x) grid[occupied[i]] = Cell{};
}
