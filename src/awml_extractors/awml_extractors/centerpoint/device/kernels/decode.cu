// From the head's maps to boxes, best score first: thresholds, sorting and decoding of decode.py and
// decode_mmdet3d.py, with the same bits, order and counts.
//
// Candidates are collected in any order and sorted by unique keys, so that nothing depends on the order
// in which threads run. Grids are fixed; kernels loop over what the frame has.
#include "postprocess.cuh"

constexpr int kCellsOfThread = 4, kCellsOfBlock = 256 * kCellsOfThread;

/// Start a frame. `pillars` may be null.
extern "C" __global__ void __launch_bounds__(32) begin_frame(const int* pillars, Counters* counters) {
  if (threadIdx.x != 0) return;
  *counters = Counters{pillars != nullptr && *pillars == 0, 0, 0, 0};
}

__device__ __forceinline__ void add_candidate(const Parameters& p, Counters* counters, Key* keys, float score,
                                              unsigned place) {
  const int slot = atomicAdd(&counters->candidates, 1);
  if (slot < p.capacity) keys[slot] = key_of(score, place);
}

/// The sigmoid is certainly less than that of `logit` below it; `tie_floor` of decode.py.
__device__ __forceinline__ float tie_floor(float logit) {
  return logit >= -80.0f ? fminf(logit, 9.0f) - 1e-3f : -__int_as_float(0x7f800000);
}

__device__ __forceinline__ void choose_class(const Parameters& p, const Element* heatmap, const Element* reg,
                                             const Element* rot, int cell, Counters* counters, Key* keys) {
  float logits[CLASSES], best = -__int_as_float(0x7f800000);
#pragma unroll
  for (int c = 0; c < CLASSES; ++c) {
    logits[c] = value_of(heatmap[static_cast<size_t>(c) * p.cells + cell]);
    if (logits[c] > best) best = logits[c];
  }
  const float floor = tie_floor(best);
  int label = -1;
  float score = -1.0f;
#pragma unroll
  for (int c = 0; c < CLASSES; ++c) {
    if (!(logits[c] >= floor)) continue;
    const float value = arithmetic::sigmoid_of(logits[c]);
    if (value > score) {
      label = c;
      score = value;
    }
  }
  if (label < 0) return;
  const float x = p.step_x * (static_cast<float>(cell % p.width) + value_of(reg[cell])) + p.min_x;
  const float y = p.step_y * (static_cast<float>(cell / p.width) + value_of(reg[p.cells + cell])) + p.min_y;
  const float distance = sqrtf(x * x + y * y);
  int bin = 0;
  while (bin < p.bins && !(distance < p.limits[bin])) ++bin;
  if (bin == p.bins || score < p.scores[bin][label] || score <= 0.0f) return;
  const float rot0 = value_of(rot[cell]), rot1 = value_of(rot[p.cells + cell]);
  const float norm = sqrtf(rot0 * rot0 + rot1 * rot1);
  if (norm >= p.yaw_norms[label]) {
    add_candidate(p, counters, keys, score, static_cast<unsigned>(cell) * CLASSES + label);
  }
}

/// Every cell, or with mmdet3d's decoder every cell and class, that passes the thresholds. Empties the bins.
extern "C" __global__ void __launch_bounds__(256)
    find_candidates(const Parameters* parameters, const Element* heatmap, const Element* reg, const Element* rot,
                    Counters* counters, Key* keys, int* heads) {
  __shared__ int found[kCellsOfBlock];
  __shared__ int count;
  const Parameters& p = *parameters;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < kBins; i += gridDim.x * blockDim.x) heads[i] = kNobody;
  if (counters->closed) return;
  if (threadIdx.x == 0) count = 0;
  __syncthreads();
  const int first = blockIdx.x * kCellsOfBlock + threadIdx.x * kCellsOfThread;
  float best[kCellsOfThread];
  for (int i = 0; i < kCellsOfThread; ++i) best[i] = -__int_as_float(0x7f800000);
  const bool aligned = reinterpret_cast<size_t>(heatmap) % sizeof(Elements) == 0 && p.cells % kCellsOfThread == 0;
  if (aligned && first < p.cells) {
#pragma unroll
    for (int c = 0; c < CLASSES; ++c) {
      const Element* row = heatmap + static_cast<size_t>(c) * p.cells;
      const Elements four = *reinterpret_cast<const Elements*>(row + first);
      const float values[] = {value_of(four.x), value_of(four.y), value_of(four.z), value_of(four.w)};
      for (int i = 0; i < kCellsOfThread; ++i) best[i] = values[i] > best[i] ? values[i] : best[i];
    }
  } else {
    for (int i = 0; i < kCellsOfThread && first + i < p.cells; ++i) {
      for (int c = 0; c < CLASSES; ++c) {
        const float value = value_of(heatmap[static_cast<size_t>(c) * p.cells + first + i]);
        best[i] = value > best[i] ? value : best[i];
      }
    }
  }
  for (int i = 0; i < kCellsOfThread && first + i < p.cells; ++i) {
    if (best[i] >= p.floor) found[atomicAdd(&count, 1)] = first + i;
  }
  __syncthreads();
  for (int i = threadIdx.x; i < count; i += blockDim.x) {
    const int cell = found[i];
    if (p.decoder == kAutoware) {
      choose_class(p, heatmap, reg, rot, cell, counters, keys);
      continue;
    }
    for (int c = 0; c < CLASSES; ++c) {
      const unsigned place = static_cast<unsigned>(c) * p.cells + cell;
      const float logit = value_of(heatmap[place]);
      if (!(logit >= p.floor)) continue;
      const float score = arithmetic::sigmoid_of(logit);
      if (score > p.least_score) add_candidate(p, counters, keys, score, place);
    }
  }
}

/// The box of a key; false if it is not finite.
__device__ inline bool decode_box(const Parameters& p, Key key, const Element* reg, const Element* height,
                                  const Element* dim, const Element* rot, const Element* vel, Row& row) {
  const unsigned place = place_of(key), cells = p.cells;
  const bool autoware = p.decoder == kAutoware;
  const int cell = autoware ? place / CLASSES : place % cells;
  const float column = static_cast<float>(cell % p.width), line = static_cast<float>(cell / p.width);
  const float reg0 = value_of(reg[cell]), reg1 = value_of(reg[cells + cell]);
  row.x = (autoware ? p.step_x * (column + reg0) : ((column + reg0) * p.factor) * p.voxel_x) + p.min_x;
  row.y = (autoware ? p.step_y * (line + reg1) : ((line + reg1) * p.factor) * p.voxel_y) + p.min_y;
  row.z = value_of(height[cell]);
  float sizes[3];
#pragma unroll
  for (int i = 0; i < 3; ++i) {
    sizes[i] = static_cast<float>(arithmetic::exp_of(static_cast<double>(value_of(dim[i * cells + cell]))));
  }
  row.length = sizes[p.swaps_sizes ? 1 : 0];
  row.width = sizes[p.swaps_sizes ? 0 : 1];
  row.height = sizes[2];
  const double rot0 = value_of(rot[cell]), rot1 = value_of(rot[cells + cell]);
  const double yaw = p.negates_rot ? arithmetic::arctan2_of(-rot1, -rot0) : arithmetic::arctan2_of(rot0, rot1);
  row.yaw = static_cast<float>(yaw == -arithmetic::kPiHigh ? -yaw : yaw);
  row.velocity_x = p.has_twist ? value_of(vel[cell]) : 0.0f;
  row.velocity_y = p.has_twist ? value_of(vel[cells + cell]) : 0.0f;
  row.score = score_of(key);
  row.label = autoware ? place % CLASSES : place / cells;
  row.unused = 0;
  return is_finite(row.x) && is_finite(row.y) && is_finite(row.z) && is_finite(row.length) &&
         is_finite(row.width) && is_finite(row.height) && is_finite(row.yaw) && is_finite(row.velocity_x) &&
         is_finite(row.velocity_y);
}

/// Boxes are written at their rank and put into the list of their bin; one that is not finite is in none.
///
/// heads [kBins], nexts [capacity]: the lists, whose order is that of threads.
extern "C" __global__ void __launch_bounds__(256)
    sort_and_decode(const Parameters* parameters, const Key* keys, const Element* reg, const Element* height,
                    const Element* dim, const Element* rot, const Element* vel, Counters* counters, Row* rows,
                    Spot* spots, double2* turns, int* heads, int* nexts) {
  const Parameters& p = *parameters;
  const int total = counters->candidates;
  if (total > p.capacity) return;
  const int warp = (blockIdx.x * blockDim.x + threadIdx.x) / 32, warps = gridDim.x * blockDim.x / 32;
  for (int first = warp * kKeysOfWarp; first < total; first += warps * kKeysOfWarp) {
    Key key = 0;
    int rank = 0;
    if (!rank_key(keys, total, first, key, rank) || rank >= p.best) continue;
    Row row;
    const bool finite = decode_box(p, key, reg, height, dim, rot, vel, row);
    if (!finite) atomicAdd(&counters->non_finite, 1);
    rows[rank] = row;
    const float reach = sqrtf(row.length * row.length + row.width * row.width);
    const float nowhere = __int_as_float(0x7fc00000);
    spots[rank] = Spot{finite ? row.x : nowhere, row.y, reach, 2 * row.label + (p.pedestrian[row.label] != 0)};
    if (finite) nexts[rank] = atomicExch(&heads[bin_at(bin_across(p, row.x), bin_across(p, row.y))], rank);
    turns[rank] = arithmetic::cos_sin_of(static_cast<double>(row.yaw));
  }
}
