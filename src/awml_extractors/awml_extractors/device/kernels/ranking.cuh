// Candidates in the order of their scores, whatever the order of the threads that found them.
#pragma once

/// Unique, so that the order is: the greatest score first, then the first place.
typedef unsigned long long Key;

constexpr unsigned kWarp = 0xffffffffu;
constexpr int kKeysOfWarp = 4;

/// `score` is not negative.
__device__ __forceinline__ Key key_of(float score, unsigned place) {
  return static_cast<Key>(~__float_as_uint(score)) << 32 | place;
}
__device__ __forceinline__ float score_of(Key key) {
  return __uint_as_float(~static_cast<unsigned>(key >> 32));
}
__device__ __forceinline__ unsigned place_of(Key key) { return static_cast<unsigned>(key); }

/// The rank of every key is how many keys are less: a sort in which no thread waits for another.
///
/// A whole warp calls it; lane i < kKeysOfWarp gets key `first` + i and its rank, the others nothing.
__device__ __forceinline__ bool rank_key(const Key* keys, int total, int first, Key& key, int& rank) {
  const int lane = threadIdx.x % 32;
  Key mine[kKeysOfWarp];
  int less[kKeysOfWarp];
#pragma unroll
  for (int i = 0; i < kKeysOfWarp; ++i) {
    mine[i] = keys[min(first + i, total - 1)];
    less[i] = 0;
  }
#pragma unroll 4
  for (int j = lane; j < total; j += 32) {
    const Key other = keys[j];
#pragma unroll
    for (int i = 0; i < kKeysOfWarp; ++i) less[i] += other < mine[i];
  }
#pragma unroll
  for (int i = 0; i < kKeysOfWarp; ++i) {
    for (int d = 16; d > 0; d /= 2) less[i] += __shfl_xor_sync(kWarp, less[i], d);
    if (lane == i) {
      key = mine[i];
      rank = less[i];
    }
  }
  return lane < kKeysOfWarp && first + lane < total;
}
