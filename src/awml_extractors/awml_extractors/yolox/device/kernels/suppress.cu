// Greedy suppression of boxes that are sorted by score, as in nms.py, and what is left of them for the host.
#include "postprocess.cuh"

__device__ __forceinline__ double side(double low, double high) { return high > low ? high - low : 0.0; }

__device__ __forceinline__ double area_of(const Row& row) {
  return side(row.left, row.right) * side(row.top, row.bottom);
}

/// Whether the IoU of two boxes exceeds the threshold, and both count against each other.
__device__ __forceinline__ bool overlap(const Parameters& p, const Row& a, const Row& b) {
  if (p.decoder == kMmdet && a.label != b.label) return false;
  const float left = fmaxf(a.left, b.left), right = fminf(a.right, b.right);
  const float top = fmaxf(a.top, b.top), bottom = fminf(a.bottom, b.bottom);
  // Most pairs; all others share an area, so that their union has one.
  if (right <= left || bottom <= top) return false;
  const double shared = side(left, right) * side(top, bottom);
  return shared / (area_of(a) + area_of(b) - shared) > p.overlap;
}

/// Which boxes overlap one before them. A warp takes 32 x 32 pairs at a time, a lane one of the later boxes.
///
/// overlaps [kWords, 32 * kWords]: bit j of word w of box i is box 32 * w + j; a box that is not finite
/// overlaps itself. Words before the box's own are not written.
extern "C" __global__ void __launch_bounds__(128)
    find_overlaps(const Parameters* parameters, const Counters* counters, const Row* rows, unsigned* overlaps) {
  const Parameters& p = *parameters;
  const int total = boxes_of(*counters), words = (total + 31) / 32, lane = threadIdx.x % 32;
  const int warp = (blockIdx.x * blockDim.x + threadIdx.x) / 32, warps = gridDim.x * blockDim.x / 32;
  for (int tile = warp; tile < words * words; tile += warps) {
    const int earlier = tile / words, later = tile % words;
    if (later < earlier) continue;
    const int j = 32 * later + lane;
    const Row mine = rows[min(j, total - 1)], lent = rows[min(32 * earlier + lane, total - 1)];
    unsigned word = 0;
    for (int k = 0; k < 32; ++k) {
      const int i = 32 * earlier + k;
      Row other;
      other.left = __shfl_sync(kWarp, lent.left, k);
      other.top = __shfl_sync(kWarp, lent.top, k);
      other.right = __shfl_sync(kWarp, lent.right, k);
      other.bottom = __shfl_sync(kWarp, lent.bottom, k);
      other.label = __shfl_sync(kWarp, lent.label, k);
      const bool hit = i < j ? overlap(p, other, mine) : i == j && !mine.finite;
      const unsigned votes = __ballot_sync(kWarp, hit && j < total);
      if (lane == k) word = votes;
    }
    overlaps[static_cast<size_t>(later) * (32 * kWords) + 32 * earlier + lane] = word;
  }
}

/// A box is kept if no kept one before it overlaps it: 32 boxes after the other are settled by one warp,
/// and all warps then strike out what those suppress. Boxes and counts go into memory of the host.
///
/// One block. chosen [CAPACITY]: places of the kept boxes, in order.
extern "C" __global__ void __launch_bounds__(1024)
    write_boxes(const Parameters* parameters, const Counters* counters, const uint4* rows,
                const unsigned* overlaps, int* chosen, int* header, uint4* out) {
  __shared__ unsigned gone[kWords], kept;
  const int total = boxes_of(*counters), words = (total + 31) / 32, lane = threadIdx.x % 32;
  const int most = parameters->most;
  for (int w = threadIdx.x; w < words; w += blockDim.x) gone[w] = 0;
  __syncthreads();
  int count = 0;
  for (int word = 0; word < words && count < most; ++word) {
    if (threadIdx.x < 32) {
      const unsigned own = overlaps[static_cast<size_t>(word) * (32 * kWords) + 32 * word + lane];
      const bool stands = 32 * word + lane < total && !(gone[word] >> lane & 1u) && !(own >> lane & 1u);
      unsigned open = __ballot_sync(kWarp, stands), stays = 0;
      for (int room = most - count; open != 0 && room > 0; --room) {
        const int best = __ffs(open) - 1;
        stays |= 1u << best;
        open &= ~(1u << best | __shfl_sync(kWarp, own, best));
      }
      if (stays >> lane & 1u) chosen[count + __popc(stays & ((1u << lane) - 1))] = 32 * word + lane;
      if (lane == 0) kept = stays;
    }
    __syncthreads();
    const unsigned stays = kept;
    count += __popc(stays);
    for (int w = word + 1 + threadIdx.x; w < words; w += blockDim.x) {
      const unsigned* struck = overlaps + static_cast<size_t>(w) * (32 * kWords) + 32 * word;
      unsigned all = 0;
      for (unsigned rest = stays; rest != 0; rest &= rest - 1) all |= struck[__ffs(rest) - 1];
      gone[w] |= all;
    }
    __syncthreads();
  }
  // Side by side, as every write to the host is a packet of the bus.
  for (int piece = threadIdx.x; piece < count * kRowPieces; piece += blockDim.x) {
    out[piece] = rows[chosen[piece / kRowPieces] * kRowPieces + piece % kRowPieces];
  }
  if (threadIdx.x == 0) {
    header[0] = counters->candidates;
    header[1] = total - counters->broken_boxes;
    header[2] = counters->broken_cells + counters->broken_boxes;
    header[3] = count;
  }
}
