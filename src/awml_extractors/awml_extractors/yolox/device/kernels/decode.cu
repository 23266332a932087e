// From the network's output to boxes, best score first: threshold, sorting and decoding of decode.py,
// with the same bits, order and counts.
//
// Candidates are collected in any order and sorted by unique keys, so that nothing depends on the order
// in which threads run. Grids are fixed; kernels loop over what the frame has.
#include "postprocess.cuh"

constexpr int kValues = 5 + CLASSES;

__host__ __device__ constexpr int cells_at(int stride) {
  return (INPUT_WIDTH / stride) * (INPUT_HEIGHT / stride);
}
constexpr int kCells = cells_at(8) + cells_at(16) + cells_at(32);

__device__ __forceinline__ void add_candidate(Counters* counters, Key* keys, float score, unsigned place) {
  const int slot = atomicAdd(&counters->candidates, 1);
  if (slot < CAPACITY) keys[slot] = key_of(score, place);
}

/// Every cell, or with Autoware's decoder every cell and class, whose score exceeds the threshold. A thread
/// a cell.
///
/// output [kCells, kValues]; a place is a cell and a class.
extern "C" __global__ void __launch_bounds__(256)
    find_candidates(const Parameters* parameters, const float* output, Counters* counters, Key* keys) {
  const Parameters& p = *parameters;
  const int cell = blockIdx.x * blockDim.x + threadIdx.x;
  if (cell >= kCells) return;
  const float* values = output + static_cast<size_t>(cell) * kValues;
  bool finite = true;
#pragma unroll
  for (int i = 0; i < 5; ++i) finite &= is_finite(values[i]);
  const float objectness = values[4];
  float best = -1.0f;
  int label = 0;
#pragma unroll 8
  for (int c = 0; c < CLASSES; ++c) {
    const float value = values[5 + c], score = objectness * value;
    finite &= is_finite(value);
    if (score > best) {
      best = score;
      label = c;
    }
  }
  if (!finite) atomicAdd(&counters->broken_cells, 1);
  if (!finite || !(best > p.score)) return;
  const unsigned place = static_cast<unsigned>(cell) * CLASSES;
  if (p.decoder == kMmdet) {
    add_candidate(counters, keys, best, place + label);
    return;
  }
  for (int c = 0; c < CLASSES; ++c) {
    const float score = objectness * values[5 + c];
    if (score > p.score) add_candidate(counters, keys, score, place + c);
  }
}

/// The box of a key in pixels of the network's input.
__device__ inline Row decode_box(const Parameters& p, Key key, const float* output) {
  const unsigned place = place_of(key);
  const int cell = place / CLASSES;
  int index = cell, stride = 8;
  while (stride < 32 && index >= cells_at(stride)) {
    index -= cells_at(stride);
    stride *= 2;
  }
  const int columns = INPUT_WIDTH / stride;
  const float* values = output + static_cast<size_t>(cell) * kValues;
  const float pixels = static_cast<float>(stride);
  const float x = (values[0] + static_cast<float>(index % columns)) * pixels;
  const float y = (values[1] + static_cast<float>(index / columns)) * pixels;
  const float half_width =
      static_cast<float>(arithmetic::exp_of(static_cast<double>(values[2]))) * pixels / 2.0f;
  const float half_height =
      static_cast<float>(arithmetic::exp_of(static_cast<double>(values[3]))) * pixels / 2.0f;
  Row row = {x - half_width, y - half_height, x + half_width, y + half_height, score_of(key), 0, 0, 0};
  row.label = static_cast<int>(place % CLASSES);
  row.finite = is_finite(row.left) && is_finite(row.top) && is_finite(row.right) && is_finite(row.bottom);
  if (p.decoder == kAutoware) {
    const float width = truncf(row.right - row.left), height = truncf(row.bottom - row.top);
    row.left = truncf(row.left);
    row.top = truncf(row.top);
    row.right = row.left + width;
    row.bottom = row.top + height;
  }
  return row;
}

/// Boxes are written at the rank of their key; those that are not finite say so.
extern "C" __global__ void __launch_bounds__(256)
    sort_and_decode(const Parameters* parameters, const Key* keys, const float* output, Counters* counters,
                    Row* rows) {
  const int total = boxes_of(*counters);
  const int warp = (blockIdx.x * blockDim.x + threadIdx.x) / 32, warps = gridDim.x * blockDim.x / 32;
  for (int first = warp * kKeysOfWarp; first < total; first += warps * kKeysOfWarp) {
    Key key = 0;
    int rank = 0;
    if (!rank_key(keys, total, first, key, rank)) continue;
    const Row row = decode_box(*parameters, key, output);
    if (!row.finite) atomicAdd(&counters->broken_boxes, 1);
    rows[rank] = row;
  }
}
