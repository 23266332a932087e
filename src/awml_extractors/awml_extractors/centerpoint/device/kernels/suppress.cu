// Circle and IoU suppression of boxes that are sorted by score, as in nms.py, and what is left of them
// for the host.
//
// What suppresses what is settled by rules that have one solution, whatever the order of threads.
#include "overlap.cuh"
#include "postprocess.cuh"

constexpr int kListed = 32;  // boxes near a box that are listed; of more all are looked at again
constexpr int kAtOnce = 4, kListedAtOnce = 8;  // loads that are under way together
constexpr int kLanesOfBox = 16, kNeighbours = 9;
constexpr int kWarpsOfBlock = 4;
constexpr int kQueued = 32 * (kAtOnce + 1);

__device__ __forceinline__ bool are_near(const Parameters& p, const Spot& a, const Spot& b) {
  const float dx = a.x - b.x, dy = a.y - b.y;
  return dx * dx + dy * dy < p.near_squared;
}

__device__ __forceinline__ bool is_set(const unsigned* mask, int i) { return mask[i / 32] >> (i % 32) & 1u; }

/// For every box those before it that are near it. Half a warp a box, of which nine lanes walk along the
/// list of a bin each.
///
/// near_lists [kListed, capacity]: in no order; which ones if there are more is left open.
extern "C" __global__ void __launch_bounds__(256)
    list_near_boxes(const Parameters* parameters, const Counters* counters, const Spot* spots, const int* heads,
                    const int* nexts, Near* nears, int* near_lists) {
  const Parameters& p = *parameters;
  const int total = boxes_of(p, *counters), lane = threadIdx.x % 32;
  const int member = lane % kLanesOfBox, boxes = 32 / kLanesOfBox;
  const int warp = (blockIdx.x * blockDim.x + threadIdx.x) / 32, warps = gridDim.x * blockDim.x / 32;
  for (int start = warp * boxes; start < total; start += warps * boxes) {
    const int i = start + lane / kLanesOfBox;
    const Spot mine = spots[min(i, total - 1)];
    const bool finite = i < total && mine.x == mine.x;
    int j = kNobody;
    if (finite && member < kNeighbours) {
      j = heads[bin_at(bin_across(p, mine.x) + member % 3 - 1, bin_across(p, mine.y) + member / 3 - 1)];
    }
    int count = 0, first = total;
    while (__any_sync(kWarp, j != kNobody)) {
      bool near = false;
      int follower = kNobody;
      if (j != kNobody) {
        follower = nexts[j];
        near = j < i && are_near(p, mine, spots[j]);
      }
      const unsigned votes = __ballot_sync(kWarp, near) >> (lane - member) & ((1u << kLanesOfBox) - 1);
      const int slot = count + __popc(votes & ((1u << member) - 1));
      if (near) {
        if (slot < kListed) near_lists[static_cast<size_t>(slot) * p.capacity + i] = j;
        first = min(first, j);
      }
      count += __popc(votes);
      j = count > kListed ? kNobody : follower;
    }
    for (int d = kLanesOfBox / 2; d > 0; d /= 2) first = min(first, __shfl_xor_sync(kWarp, first, d));
    if (member == 0 && i < total) nears[i] = Near{finite ? count : -1, first};
  }
}

enum Fate { kOpen, kKept, kGone };

/// Whether one of the boxes before a box that a mask holds is near it.
__device__ inline bool is_near_any(const Parameters& p, int i, const Spot* spots, const unsigned* mask) {
  const Spot mine = spots[i];
  for (int w = 0; w <= i / 32; ++w) {
    const unsigned before = w < i / 32 ? mask[w] : mask[w] & ((1u << (i % 32)) - 1);
    for (unsigned rest = before; rest != 0; rest &= rest - 1) {
      if (are_near(p, mine, spots[32 * w + __ffs(rest) - 1])) return true;
    }
  }
  return false;
}

/// What becomes of an open box, as far as the fates of the boxes before it tell.
__device__ __forceinline__ Fate fate_of(const Parameters& p, int i, const Near* nears, const int* near_lists,
                                        const Spot* spots, const unsigned* kept, const unsigned* open) {
  const Near near = nears[i];
  if (is_set(kept, near.first)) return kGone;
  bool waits = false;
  const int listed = min(near.count, kListed);
  for (int first = 0; first < listed; first += kListedAtOnce) {
    int others[kListedAtOnce];
#pragma unroll
    for (int k = 0; k < kListedAtOnce; ++k) {
      others[k] = near_lists[static_cast<size_t>(min(first + k, listed - 1)) * p.capacity + i];
    }
#pragma unroll
    for (int k = 0; k < kListedAtOnce; ++k) {
      if (is_set(kept, others[k])) return kGone;
      waits |= is_set(open, others[k]);
    }
  }
  if (near.count > kListed) {
    if (is_near_any(p, i, spots, kept)) return kGone;
    waits = waits || is_near_any(p, i, spots, open);
  }
  return waits ? kOpen : kKept;
}

/// Circle suppression: a box goes if a kept one before it is near. Those without a near one are kept at
/// once; then in every round the boxes are settled of which all that are near and before are. The
/// first open box is always among them.
///
/// One block of as many threads as there are words of 32 boxes, or more; shared memory: four such masks.
/// apart [capacity], spots_apart [capacity]: the kept boxes, in order.
extern "C" __global__ void __launch_bounds__(1024)
    suppress_near_boxes(const Parameters* parameters, Counters* counters, const Spot* spots, const Near* nears,
                        const int* near_lists, int* apart, Spot* spots_apart) {
  extern __shared__ unsigned masks[];
  __shared__ int sums[32];
  const Parameters& p = *parameters;
  const int total = boxes_of(p, *counters), words = (total + 31) / 32, lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32, warps = blockDim.x / 32;
  unsigned *kept = masks, *open = masks + words, *next_kept = masks + 2 * words, *next_open = masks + 3 * words;
  for (int start = warp; start < words; start += warps * kAtOnce) {
    int counts[kAtOnce];
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) counts[k] = nears[min(32 * (start + warps * k) + lane, total - 1)].count;
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      const int w = start + warps * k;
      const bool present = 32 * w + lane < total;
      const unsigned alone = __ballot_sync(kWarp, present && counts[k] == 0);
      const unsigned others = __ballot_sync(kWarp, present && counts[k] > 0);
      if (lane == 0 && w < words) {
        kept[w] = alone;
        open[w] = others;
      }
    }
  }
  __syncthreads();
  int unsettled = total > 0;
  while (unsettled) {
    unsettled = 0;
    for (int w = warp; w < words; w += warps) {
      const unsigned was_open = open[w];
      unsigned now_kept = 0, still_open = 0;
      if (was_open != 0) {
        Fate fate = kGone;
        if (was_open >> lane & 1u) fate = fate_of(p, 32 * w + lane, nears, near_lists, spots, kept, open);
        now_kept = __ballot_sync(kWarp, fate == kKept);
        still_open = __ballot_sync(kWarp, fate == kOpen);
      }
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
  // Where the kept boxes of every word begin.
  const int own = static_cast<int>(threadIdx.x) < words ? __popc(kept[threadIdx.x]) : 0;
  int sum = own;
  for (int d = 1; d < 32; d *= 2) {
    const int before = __shfl_up_sync(kWarp, sum, d);
    if (lane >= d) sum += before;
  }
  if (lane == 31) sums[warp] = sum;
  __syncthreads();
  for (int other = 0; other < warp; ++other) sum += sums[other];
  unsigned* begins = next_kept;
  if (static_cast<int>(threadIdx.x) < words) begins[threadIdx.x] = sum - own;
  if (threadIdx.x == blockDim.x - 1) counters->apart = sum;
  __syncthreads();
#pragma unroll 4
  for (int w = warp; w < words; w += warps) {
    const unsigned mask = kept[w];
    if (!(mask >> lane & 1u)) continue;
    const int place = static_cast<int>(begins[w]) + __popc(mask & ((1u << lane) - 1));
    apart[place] = 32 * w + lane;
    spots_apart[place] = spots[32 * w + lane];
  }
}

__device__ __forceinline__ overlap::Box box_of(const Row& row, double2 turn) {
  return {row.x, row.y, row.length, row.width, turn.x, turn.y};
}

/// Whether the first box is suppressed by the second, which is before it.
__device__ inline bool overlaps(const Parameters& p, const Row& row, double2 turn, const Row& other,
                                double2 other_turn) {
  const overlap::Box a = box_of(row, turn), b = box_of(other, other_turn);
  const double dx = a.x - b.x, dy = a.y - b.y;
  if (!(dx * dx + dy * dy <= p.search_squared) || overlap::are_apart(a, b)) return false;
  const double shared = overlap::area_of(a, b);
  const double united = a.length * a.width + b.length * b.width - shared;
  return united >= 0.01 && shared / united > p.overlap;
}

/// Whether two boxes can overlap at all: never false for a pair of which the exact test is true.
__device__ __forceinline__ bool may_overlap(const Parameters& p, const Spot& a, const Spot& b) {
  if (a.kind != b.kind && ((a.kind | b.kind) & 1)) return false;
  const float dx = a.x - b.x, dy = a.y - b.y, squared = dx * dx + dy * dy;
  const float reach = a.reach + b.reach;
  return !(4.0f * squared > 1.001f * (reach * reach) || squared > p.search_reach);
}

/// IoU suppression of what circle suppression left: a box goes if one before it overlaps, whatever
/// becomes of that one. A warp a box: pairs that may overlap are gathered and then tested 32 at a time.
extern "C" __global__ void __launch_bounds__(32 * kWarpsOfBlock)
    find_overlaps(const Parameters* parameters, const Counters* counters, const Row* rows, const double2* turns,
                  const int* apart, const Spot* spots_apart, int* dropped) {
  __shared__ int queues[kWarpsOfBlock][kQueued];
  const Parameters& p = *parameters;
  const int total = counters->apart, lane = threadIdx.x % 32;
  const bool searches = p.search_squared >= 0.0;
  int* queue = queues[threadIdx.x / 32];
  const int warp = (blockIdx.x * blockDim.x + threadIdx.x) / 32, warps = gridDim.x * blockDim.x / 32;
  for (int i = warp; i < total; i += warps) {
    const Spot mine = spots_apart[i];
    int queued = 0;
    bool gone = false;
    for (int start = 0; searches && start < i && !gone; start += 32 * kAtOnce) {
      Spot others[kAtOnce];
#pragma unroll
      for (int k = 0; k < kAtOnce; ++k) others[k] = spots_apart[min(start + 32 * k + lane, i)];
#pragma unroll
      for (int k = 0; k < kAtOnce; ++k) {
        const int j = start + 32 * k + lane;
        const bool near = j < i && may_overlap(p, mine, others[k]);
        const unsigned votes = __ballot_sync(kWarp, near);
        if (near) queue[queued + __popc(votes & ((1u << lane) - 1))] = j;
        queued += __popc(votes);
      }
      __syncwarp();
      const bool last = start + 32 * kAtOnce >= i;
      while (!gone && (queued >= 32 || (queued > 0 && last))) {
        const int tested = min(queued, 32), own = apart[i];
        queued -= tested;
        bool hit = false;
        if (lane < tested) {
          const int other = apart[queue[queued + lane]];
          hit = overlaps(p, rows[own], turns[own], rows[other], turns[other]);
        }
        gone = __any_sync(kWarp, hit);
      }
      __syncwarp();
    }
    if (lane == 0) dropped[i] = gone;
  }
}

/// The boxes that are left, field by field with room for `capacity` boxes each, and the counts, into memory
/// of the host. One block of 1024.
extern "C" __global__ void __launch_bounds__(1024)
    write_boxes(const Parameters* parameters, const Counters* counters, const int* rows, const int* apart,
                const int* dropped, int* header, int* out, int capacity) {
  __shared__ int sums[32], chosen[1024];
  const Parameters& p = *parameters;
  const int total = counters->apart, lane = threadIdx.x % 32;
  int base = 0;
  for (int start = 0; start < total && base < p.most; start += blockDim.x) {
    const int i = start + threadIdx.x;
    const int index = apart[min(i, total - 1)];
    const bool stays = i < total && !dropped[i];
    const unsigned votes = __ballot_sync(kWarp, stays);
    if (lane == 0) sums[threadIdx.x / 32] = __popc(votes);
    __syncthreads();
    int place = __popc(votes & ((1u << lane) - 1)), left = 0;
    for (unsigned other = 0; other < blockDim.x / 32; ++other) {
      if (other < threadIdx.x / 32) place += sums[other];
      left += sums[other];
    }
    if (stays) chosen[place] = index;
    __syncthreads();
    const int taken = min(left, p.most - base);
    // Side by side, as every write to the host is a packet of the bus.
    int field = 0;
#pragma unroll
    for (int k = 0; k < kFields; ++k) {
      const int width = field_words(k);
      for (int word = threadIdx.x; word < taken * width; word += blockDim.x) {
        out[field * capacity + base * width + word] =
            rows[chosen[word / width] * kRowWords + field + word % width];
      }
      field += width;
    }
    base += taken;
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    header[0] = counters->candidates;
    header[1] = boxes_of(p, *counters) - counters->non_finite;
    header[2] = counters->non_finite;
    header[3] = base;
  }
}
