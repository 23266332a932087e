// Point bytes -> columns, cells, and the points of every cell, in the order of the frame.
//
// Three kernels, each of which needs the one before it to be complete. Which point, pillar or count
// comes out depends on no order of execution: `earliest` is a maximum, counts are sums, pillars are
// numbered by a prefix sum over "is the first point of its cell". What does depend on it, a point's
// place in its cell's part of the list, is sorted away by decorate.cu.
// The arithmetic is that of pillars.py.
#include "columns.cuh"
#include "frame.cuh"

constexpr int PLACE_THREADS = 256;
constexpr int TILE = 512;
constexpr int TILE_WARPS = TILE / 32;

/// Index of the segment that holds a place of the frame.
__device__ inline Word find_segment(const Frame* frame, Word place) {
  Word low = 0, high = frame->segments;
  while (high - low > 1) {
    const Word middle = (low + high) / 2;
    if (frame->segment[middle].start <= place) low = middle; else high = middle;
  }
  return low;
}

__device__ inline float4 read_point(const Sweep& sweep, const Byte* at) {
  float x = read_number(at + sweep.x, sweep.types & 0xff);
  float y = read_number(at + sweep.y, sweep.types >> 8 & 0xff);
  float z = read_number(at + sweep.z, sweep.types >> 16 & 0xff);
  if (sweep.moved) {
    const float* m = sweep.matrix;
    const float a = x, b = y, c = z;
    x = ((m[0] * a + m[1] * b) + m[2] * c) + m[3];
    y = ((m[4] * a + m[5] * b) + m[6] * c) + m[7];
    z = ((m[8] * a + m[9] * b) + m[10] * c) + m[11];
  }
  return make_float4(x, y, z, sweep.time_lag);
}

__device__ inline int cell_of(float4 p) {
  const bool inside = p.x >= X_MIN && p.x < X_MAX && p.y >= Y_MIN && p.y < Y_MAX && p.z >= Z_MIN && p.z < Z_MAX;
  if (!inside) return OUTSIDE;
  const int column = min((int)((p.x - X_MIN) / VOXEL_X), NX - 1);
  const int row = min((int)((p.y - Y_MIN) / VOXEL_Y), NY - 1);
  return row * NX + column;
}

/// Columns and cell of every point; number of points and first point of every cell.
///
/// points [capacity] x, y, z, time lag; intensities [capacity]; cells [capacity]; arrivals [capacity]:
/// how many points of its cell came before it in this run, whatever their order; grid [NY * NX].
extern "C" __global__ void __launch_bounds__(PLACE_THREADS) place_points(
    Frame* frame, float4* __restrict__ points, float* __restrict__ intensities, int* __restrict__ cells,
    Word* __restrict__ arrivals, Cell* grid) {
  __shared__ Word finite_points, points_in_range;
  if (threadIdx.x == 0) finite_points = points_in_range = 0;
  __syncthreads();
  const Word count = frame->points, lane = threadIdx.x % 32;
  Word finite_here = 0, in_range_here = 0;
  for (Word base = blockIdx.x * PLACE_THREADS; base < count; base += gridDim.x * PLACE_THREADS) {
    const Word place = base + threadIdx.x;
    int cell = OUTSIDE;
    bool finite = false;
    if (place < count) {
      const Segment segment = frame->segment[find_segment(frame, place)];
      const Sweep& sweep = frame->sweep[segment.sweep];
      const Word index = segment.first + (place - segment.start) * segment.stride;
      const Byte* at = sweep.bytes + (Long)index * sweep.step;
      const float4 p = read_point(sweep, at);
      // Zero only if all of them are finite.
      float difference = ((p.x - p.x) + (p.y - p.y)) + (p.z - p.z);
#if INTENSITY_CHANNEL
      const float intensity = read_number(at + sweep.intensity, sweep.types >> 24);
      difference += intensity - intensity;
      intensities[place] = intensity;
#endif
      finite = difference == 0.0f;
      cell = finite ? cell_of(p) : OUTSIDE;
      points[place] = p;
      cells[place] = cell;
    }
    // Points that follow each other often share a cell: the earliest of a warp speaks for them.
    const Word same = __match_any_sync(FULL_WARP, cell);
    const int leader = __ffs((int)same) - 1;
    Word before = 0;
    if (cell != OUTSIDE && (int)lane == leader) {
      atomicMax(&grid[cell].earliest, ~place);
      before = atomicAdd(&grid[cell].points, (Word)__popc(same));
    }
    before = __shfl_sync(FULL_WARP, before, leader);
    if (cell != OUTSIDE) arrivals[place] = before + __popc(same & ((1u << lane) - 1));
    finite_here += __popc(__ballot_sync(FULL_WARP, finite));
    in_range_here += __popc(__ballot_sync(FULL_WARP, cell != OUTSIDE));
  }
  if (lane == 0 && finite_here != 0) {
    atomicAdd(&finite_points, finite_here);
    atomicAdd(&points_in_range, in_range_here);
  }
  __syncthreads();
  if (threadIdx.x == 0 && finite_points != 0) {
    atomicAdd(&frame->counters.finite, finite_points);
    atomicAdd(&frame->counters.in_range, points_in_range);
  }
}

/// Sum of the values of all threads in earlier warps and earlier lanes; `total` of all of them.
__device__ inline Word sum_before(Word value, Word* warp_sums, Word* total) {
  const Word lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  Word sum = value;
  for (int distance = 1; distance < 32; distance *= 2) {
    const Word other = __shfl_up_sync(FULL_WARP, sum, distance);
    if ((int)lane >= distance) sum += other;
  }
  __syncthreads();
  if (lane == 31) warp_sums[warp] = sum;
  __syncthreads();
  Word before = 0, all = 0;
  for (int i = 0; i < TILE_WARPS; ++i) {
    if (i < (int)warp) before += warp_sums[i];
    all += warp_sums[i];
  }
  *total = all;
  return before + sum - value;
}

/// Give every occupied cell its part of the list, and count the first points of every tile of the frame.
///
/// firsts [capacity / TILE, rounded up]: first points of cells in each tile.
extern "C" __global__ void __launch_bounds__(TILE) open_cells(
    Frame* frame, const int* __restrict__ cells, Cell* grid, Word* __restrict__ firsts) {
  __shared__ Word warp_sums[TILE_WARPS], part;
  const Word count = frame->points;
  for (Word tile = blockIdx.x; (Long)tile * TILE < count; tile += gridDim.x) {
    const Word place = tile * TILE + threadIdx.x;
    const int cell = place < count ? cells[place] : OUTSIDE;
    const bool first = cell != OUTSIDE && grid[cell].earliest == ~place;
    const Word size = first ? grid[cell].points : 0;
    const int found = __syncthreads_count(first);
    Word total;
    const Word before = sum_before(size, warp_sums, &total);
    if (threadIdx.x == 0) {
      firsts[tile] = found;
      part = total != 0 ? atomicAdd(&frame->counters.list_end, total) : 0;
    }
    __syncthreads();
    if (first) grid[cell].list = part + before;
  }
}

/// Number the pillars by their first points, and list the points of every cell.
///
/// occupied [cells]: cell of every pillar, then of every dropped one; coordinates [MAX_VOXELS]: y, x;
/// list [capacity]: places of points, those of a cell side by side.
extern "C" __global__ void __launch_bounds__(TILE) number_pillars(
    Frame* frame, const int* __restrict__ cells, const Word* __restrict__ arrivals,
    const Cell* __restrict__ grid, const Word* __restrict__ firsts, int* __restrict__ occupied,
    int2* __restrict__ coordinates, Word* __restrict__ list) {
  __shared__ Word warp_sums[TILE_WARPS], truncated_points, dropped_points;
  if (threadIdx.x == 0) truncated_points = dropped_points = 0;
  const Word count = frame->points;
  Word truncated = 0, dropped = 0;
  for (Word tile = blockIdx.x; (Long)tile * TILE < count; tile += gridDim.x) {
    Word mine = 0, earlier, here;
    for (Word other = threadIdx.x; other < tile; other += TILE) mine += firsts[other];
    sum_before(mine, warp_sums, &earlier);
    const Word place = tile * TILE + threadIdx.x;
    const int cell = place < count ? cells[place] : OUTSIDE;
    Cell entry = {};
    if (cell != OUTSIDE) {
      entry = grid[cell];
      list[entry.list + arrivals[place]] = place;
    }
    const bool first = cell != OUTSIDE && entry.earliest == ~place;
    const Word row = earlier + sum_before(first, warp_sums, &here);
    if (first) {
      occupied[row] = cell;
      if (row < MAX_VOXELS) {
        coordinates[row] = make_int2(cell / NX, cell % NX);
        truncated += entry.points - min(entry.points, (Word)MAX_POINTS);
      } else {
        dropped += entry.points;
      }
    }
    if (threadIdx.x == 0 && (Long)(tile + 1) * TILE >= count) {
      frame->counters.cells = earlier + here;
      frame->counters.pillars = min(earlier + here, (Word)MAX_VOXELS);
    }
  }
  __syncthreads();
  if (truncated != 0) atomicAdd(&truncated_points, truncated);
  if (dropped != 0) atomicAdd(&dropped_points, dropped);
  __syncthreads();
  if (threadIdx.x == 0) {
    if (truncated_points != 0) atomicAdd(&frame->counters.truncated, truncated_points);
    if (dropped_points != 0) atomicAdd(&frame->counters.dropped_points, dropped_points);
  }
}
