// Circle and IoU suppression of boxes that are sorted by score, as in nms.py, and what is left of them
// for the host.
//
// What suppresses what is settled by rules that have one solution, whatever the order of threads.
#include "overlap.cuh"
#include "postprocess.cuh"

constexpr int kListed = 32;  // boxes near a box that are listed; of more all are looked at again
constexpr int kLoadedAtOnce = 4;
constexpr int kBoxesOfWarp = 4;

__device__ __forceinline__ bool are_near(const Parameters& p, float2 a, float2 b) {
  const float dx = a.x - b.x, dy = a.y - b.y;
  return dx * dx + dy * dy < p.near_squared;
}

/// For every box the first ones before it that are near it, and how many there are: all, or more than
/// are listed. -1 for a box that is not finite.
extern "C" __global__ void __launch_bounds__(256)
    list_near_boxes(const Parameters* parameters, const Counters* counters, const float2* centers,
                    int* near_counts, int* near_lists) {
  const Parameters& p = *parameters;
  const int total = boxes_of(p, *counters), lane = threadIdx.x % 32;
  const int warp = (blockIdx.x * blockDim.x + threadIdx.x) / 32, warps = gridDim.x * blockDim.x / 32;
  for (int first = warp * kBoxesOfWarp; first < total; first += warps * kBoxesOfWarp) {
    float2 mine[kBoxesOfWarp];
    int count[kBoxesOfWarp];
#pragma unroll
    for (int b = 0; b < kBoxesOfWarp; ++b) {
      mine[b] = centers[min(first + b, total - 1)];
      count[b] = 0;
    }
#pragma unroll 4
    for (int start = 0; start < first + kBoxesOfWarp; start += 32) {
      const int j = start + lane;
      const float2 other = centers[min(j, total - 1)];
#pragma unroll
      for (int b = 0; b < kBoxesOfWarp; ++b) {
        const int i = first + b;
        const bool near = j < i && are_near(p, mine[b], other);
        const unsigned votes = __ballot_sync(kWarp, near);
        if (votes == 0 || count[b] > kListed || i >= total) continue;
        const int slot = count[b] + __popc(votes & ((1u << lane) - 1));
        if (near && slot < kListed) near_lists[static_cast<size_t>(slot) * p.capacity + i] = j;
        count[b] += __popc(votes);
      }
    }
#pragma unroll
    for (int b = 0; b < kBoxesOfWarp; ++b) {
      if (lane == b && first + b < total) near_counts[first + b] = mine[b].x == mine[b].x ? count[b] : -1;
    }
  }
}

enum Fate { kOpen, kKept, kGone };

/// What becomes of a box, as far as the fates of the boxes before it tell.
__device__ __forceinline__ Fate fate_of(const Parameters& p, int i, int count, const int* near_lists,
                                        const float2* centers, const unsigned* kept, const unsigned* open) {
  if (count < 0) return kGone;
  bool waits = false;
  const int listed = min(count, kListed);
  int last = -1;
  for (int first = 0; first < listed; first += kLoadedAtOnce) {
    int near[kLoadedAtOnce];
#pragma unroll
    for (int k = 0; k < kLoadedAtOnce; ++k) {
      const int slot = first + k;
      near[k] = slot < listed ? near_lists[static_cast<size_t>(slot) * p.capacity + i] : -1;
    }
#pragma unroll
    for (int k = 0; k < kLoadedAtOnce; ++k) {
      const int j = near[k];
      if (j < 0) continue;
      if (kept[j / 32] >> (j % 32) & 1u) return kGone;
      waits |= open[j / 32] >> (j % 32) & 1u;
      last = j;
    }
  }
  if (count > kListed) {
    for (int j = last + 1; j < i; ++j) {
      const bool is_kept = kept[j / 32] >> (j % 32) & 1u, is_open = open[j / 32] >> (j % 32) & 1u;
      if (!(is_kept || is_open) || !are_near(p, centers[i], centers[j])) continue;
      if (is_kept) return kGone;
      waits = true;
    }
  }
  return waits ? kOpen : kKept;
}

/// Circle suppression: a box goes if a kept one before it is near. In every round the boxes are settled
/// of which all that are near and before are; the first open box is always among them.
/// One block; shared memory: four masks of the boxes, in words of 32.
extern "C" __global__ void __launch_bounds__(1024)
    suppress_near_boxes(const Parameters* parameters, Counters* counters, const float2* centers,
                        const int* near_counts, const int* near_lists, int* apart) {
  extern __shared__ unsigned masks[];
  __shared__ int sums[32];
  const Parameters& p = *parameters;
  const int total = boxes_of(p, *counters), words = (total + 31) / 32, lane = threadIdx.x % 32;
  unsigned *kept = masks, *open = masks + words, *next_kept = masks + 2 * words, *next_open = masks + 3 * words;
  for (int w = threadIdx.x; w < words; w += blockDim.x) {
    kept[w] = 0;
    open[w] = total - 32 * w >= 32 ? ~0u : (1u << (total - 32 * w)) - 1;
  }
  __syncthreads();
  int unsettled = total > 0;
  while (unsettled) {
    unsettled = 0;
    for (int w = threadIdx.x / 32; w < words; w += blockDim.x / 32) {
      const int i = 32 * w + lane;
      const bool was_open = open[w] >> lane & 1u;
      Fate fate = kOpen;
      if (was_open) fate = fate_of(p, i, near_counts[i], near_lists, centers, kept, open);
      const unsigned now_kept = __ballot_sync(kWarp, was_open && fate == kKept);
      const unsigned still_open = __ballot_sync(kWarp, was_open && fate == kOpen);
      if (lane == 0) {
        next_kept[w] = kept[w] | now_kept;
        next_open[w] = still_open;
      }
      unsettled |= still_open != 0;
    }
    unsettled = __syncthreads_or(unsettled);
    unsigned* swapped = kept;
    kept = next_kept;
    next_kept = swapped;
    swapped = open;
    open = next_open;
    next_open = swapped;
  }
  // The indices of the kept boxes, in order.
  int base = 0;
  for (int start = 0; start < words; start += blockDim.x) {
    const int w = start + threadIdx.x;
    const unsigned mask = w < words ? kept[w] : 0;
    int sum = __popc(mask);
    for (int d = 1; d < 32; d *= 2) {
      const int before = __shfl_up_sync(kWarp, sum, d);
      if (lane >= d) sum += before;
    }
    if (lane == 31) sums[threadIdx.x / 32] = sum;
    __syncthreads();
    int place = base + sum - __popc(mask);
    for (unsigned other = 0; other < blockDim.x / 32; ++other) {
      if (other < threadIdx.x / 32) place += sums[other];
      base += sums[other];
    }
    for (unsigned rest = mask; rest != 0; rest &= rest - 1) apart[place++] = 32 * w + __ffs(rest) - 1;
    __syncthreads();
  }
  if (threadIdx.x == 0) counters->apart = base;
}

__device__ __forceinline__ overlap::Box box_of(const Row& row, double2 turn) {
  return {row.x, row.y, row.length, row.width, turn.x, turn.y};
}

/// Whether the first box is suppressed by the second, which is before it.
__device__ inline bool overlaps(const Parameters& p, const Row& row, double2 turn, const Row& other,
                                double2 other_turn) {
  const overlap::Box a = box_of(row, turn), b = box_of(other, other_turn);
  const double dx = a.x - b.x, dy = a.y - b.y;
  if (!(dx * dx + dy * dy <= p.search_squared)) return false;
  const double shared = overlap::area_of(a, b);
  const double united = a.length * a.width + b.length * b.width - shared;
  return united >= 0.01 && shared / united > p.overlap;
}

/// Whether two boxes can overlap at all: never false for a pair of which the exact test is true.
__device__ __forceinline__ bool may_overlap(const Parameters& p, const Row& a, const Row& b) {
  if (a.label != b.label && (p.pedestrian[a.label] || p.pedestrian[b.label])) return false;
  const float dx = a.x - b.x, dy = a.y - b.y;
  const float reach = sqrtf(a.length * a.length + a.width * a.width) + sqrtf(b.length * b.length + b.width * b.width);
  return !(4.0f * (dx * dx + dy * dy) > 1.001f * (reach * reach));
}

/// IoU suppression of what circle suppression left: a box goes if one before it overlaps, whatever
/// becomes of that one. A warp a box: pairs that may overlap are gathered and then tested 32 at a time.
extern "C" __global__ void __launch_bounds__(128)
    find_overlaps(const Parameters* parameters, const Counters* counters, const Row* rows, const double2* turns,
                  const int* apart, int* dropped) {
  __shared__ int queues[4][64];
  const Parameters& p = *parameters;
  const int total = counters->apart, lane = threadIdx.x % 32;
  int* queue = queues[threadIdx.x / 32];
  const int warp = (blockIdx.x * blockDim.x + threadIdx.x) / 32, warps = gridDim.x * blockDim.x / 32;
  for (int i = warp; i < total; i += warps) {
    int queued = 0;
    bool gone = false;
    if (p.search_squared >= 0.0) {
      const int mine = apart[i];
      const Row row = rows[mine];
      const double2 turn = turns[mine];
      for (int start = 0; start < i && !gone; start += 32) {
        const int other = apart[min(start + lane, i)];
        const bool near = start + lane < i && may_overlap(p, row, rows[other]);
        const unsigned votes = __ballot_sync(kWarp, near);
        if (near) queue[queued + __popc(votes & ((1u << lane) - 1))] = other;
        queued += __popc(votes);
        __syncwarp();
        while (!gone && (queued >= 32 || (queued > 0 && start + 32 >= i))) {
          const int tested = min(queued, 32);
          queued -= tested;
          bool hit = false;
          if (lane < tested) {
            const int index = queue[queued + lane];
            hit = overlaps(p, row, turn, rows[index], turns[index]);
          }
          gone = __any_sync(kWarp, hit);
        }
        __syncwarp();
      }
    }
    if (lane == 0) dropped[i] = gone;
  }
}

/// The boxes that are left and the counts, into memory of the host. One block.
extern "C" __global__ void __launch_bounds__(1024)
    write_boxes(const Parameters* parameters, const Counters* counters, const Row* rows, const int* apart,
                const int* dropped, int* chosen, int* header, unsigned* out) {
  __shared__ int sums[32];
  const Parameters& p = *parameters;
  const int total = counters->apart, lane = threadIdx.x % 32;
  int base = 0;
  for (int start = 0; start < total; start += blockDim.x) {
    const int i = start + threadIdx.x;
    const bool stays = i < total && !dropped[i];
    const unsigned votes = __ballot_sync(kWarp, stays);
    if (lane == 0) sums[threadIdx.x / 32] = __popc(votes);
    __syncthreads();
    int place = base + __popc(votes & ((1u << lane) - 1));
    for (unsigned other = 0; other < blockDim.x / 32; ++other) {
      if (other < threadIdx.x / 32) place += sums[other];
      base += sums[other];
    }
    if (stays && place < p.most) chosen[place] = apart[i];
    __syncthreads();
  }
  const int boxes = min(base, p.most);
  const unsigned* words = reinterpret_cast<const unsigned*>(rows);
  for (int w = threadIdx.x; w < boxes * kRowWords; w += blockDim.x) {
    out[w] = words[static_cast<size_t>(chosen[w / kRowWords]) * kRowWords + w % kRowWords];
  }
  if (threadIdx.x == 0) {
    header[0] = counters->candidates;
    header[1] = boxes_of(p, *counters) - counters->non_finite;
    header[2] = counters->non_finite;
    header[3] = boxes;
  }
}
