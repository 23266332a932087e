// The functions that CUDA C++ offers to a kernel, for cuda_emulation.hpp.
#pragma once

inline void __syncthreads() { cuda_emulation::block_barrier(); }
inline int __syncthreads_count(int value) {
  cuda_emulation::block_barrier(value != 0);
  return static_cast<int>(cuda_emulation::block.total);
}
inline int __syncthreads_or(int value) { return __syncthreads_count(value) != 0; }
inline int __syncthreads_and(int value) {
  cuda_emulation::block_barrier(value != 0);
  return static_cast<int>(cuda_emulation::block.all_seen);
}
inline void __syncwarp(unsigned mask = 0xffffffffu) { cuda_emulation::warp_barrier(mask, 0); }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __nanosleep(unsigned) { cuda_emulation::give_way(); }
[[noreturn]] inline void __trap() { cuda_emulation::fail("__trap"); }

/// One lane alone: a legal answer wherever lanes may have diverged, and the hardest on the caller.
inline unsigned __activemask() { return 1u << cuda_emulation::lane(); }

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  const int own = static_cast<int>(cuda_emulation::lane());
  return cuda_emulation::shuffle(mask, value, own / width * width + (source & (width - 1)), true);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const int own = static_cast<int>(cuda_emulation::lane());
  const int source = own - static_cast<int>(delta);
  return cuda_emulation::shuffle(mask, value, source, source >= own / width * width);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const int own = static_cast<int>(cuda_emulation::lane());
  const int source = own + static_cast<int>(delta);
  return cuda_emulation::shuffle(mask, value, source, source < own / width * width + width);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32) {
  const int own = static_cast<int>(cuda_emulation::lane());
  const int source = own ^ bits;
  return cuda_emulation::shuffle(mask, value, source, source < own / width * width + width);
}
inline unsigned __ballot_sync(unsigned mask, int value) {
  const auto& met = cuda_emulation::warp_barrier(mask, 2, value != 0);
  unsigned votes = 0;
  for (unsigned i = 0; i < 32; ++i) votes |= (mask >> i & 1) && met.seen[i] ? 1u << i : 0u;
  return votes;
}
inline int __any_sync(unsigned mask, int value) { return __ballot_sync(mask, value) != 0; }
inline int __all_sync(unsigned mask, int value) { return __ballot_sync(mask, value) == mask; }
template <class T>
unsigned __match_any_sync(unsigned mask, T value) {
  const auto& met = cuda_emulation::warp_barrier(mask, 3, cuda_emulation::bits_of(value));
  unsigned equal = 0;
  for (unsigned i = 0; i < 32; ++i) {
    equal |= (mask >> i & 1) && met.seen[i] == cuda_emulation::bits_of(value) ? 1u << i : 0u;
  }
  return equal;
}

#define CUDA_EMULATION_ATOMIC(name, T, expression)                            \
  inline T name(T* address, T value) {                                        \
    return cuda_emulation::exchange(address, [value](T old) -> T { return expression; }); \
  }
#define CUDA_EMULATION_ATOMICS(T)                                     \
  CUDA_EMULATION_ATOMIC(atomicAdd, T, old + value)                    \
  CUDA_EMULATION_ATOMIC(atomicMin, T, old < value ? old : value)      \
  CUDA_EMULATION_ATOMIC(atomicMax, T, old > value ? old : value)      \
  CUDA_EMULATION_ATOMIC(atomicExch, T, (static_cast<void>(old), value)) \
  CUDA_EMULATION_ATOMIC(atomicOr, T, old | value)                     \
  CUDA_EMULATION_ATOMIC(atomicAnd, T, old & value)                    \
  CUDA_EMULATION_ATOMIC(atomicXor, T, old ^ value)                    \
  inline T atomicCAS(T* address, T compare, T value) {                \
    return cuda_emulation::exchange(address, [=](T old) -> T { return old == compare ? value : old; }); \
  }
CUDA_EMULATION_ATOMICS(int)
CUDA_EMULATION_ATOMICS(unsigned)
CUDA_EMULATION_ATOMICS(unsigned long long)
inline int atomicSub(int* address, int value) { return atomicAdd(address, -value); }
inline unsigned atomicSub(unsigned* address, unsigned value) { return atomicAdd(address, 0u - value); }

inline int __popc(unsigned value) { return __builtin_popcount(value); }
inline int __popcll(unsigned long long value) { return __builtin_popcountll(value); }
inline int __ffs(int value) { return __builtin_ffs(value); }
inline int __ffsll(long long value) { return __builtin_ffsll(value); }
inline int __clz(int value) { return value == 0 ? 32 : __builtin_clz(static_cast<unsigned>(value)); }
inline int __clzll(long long value) {
  return value == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(value));
}
inline unsigned __brev(unsigned value) {
  unsigned reversed = 0;
  for (int i = 0; i < 32; ++i) reversed |= (value >> i & 1u) << (31 - i);
  return reversed;
}
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const unsigned long long bytes = static_cast<unsigned long long>(y) << 32 | x;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i) {
    result |= static_cast<unsigned>(bytes >> (8 * (selector >> (4 * i) & 7u)) & 0xffu) << (8 * i);
  }
  return result;
}

template <class T> T __ldg(const T* address) { return *address; }
template <class T> T __ldcs(const T* address) { return *address; }
template <class T> T __ldcg(const T* address) { return *address; }
template <class T> void __stcs(T* address, T value) { *address = value; }
template <class T> void __stcg(T* address, T value) { *address = value; }

inline int __float_as_int(float value) { return cuda_emulation::value_of<int>(cuda_emulation::bits_of(value)); }
inline unsigned __float_as_uint(float value) {
  return cuda_emulation::value_of<unsigned>(cuda_emulation::bits_of(value));
}
inline float __int_as_float(int value) {
  return cuda_emulation::value_of<float>(cuda_emulation::bits_of(value));
}
inline float __uint_as_float(unsigned value) {
  return cuda_emulation::value_of<float>(cuda_emulation::bits_of(value));
}
inline long long __double_as_longlong(double value) {
  return cuda_emulation::value_of<long long>(cuda_emulation::bits_of(value));
}
inline double __longlong_as_double(long long value) {
  return cuda_emulation::value_of<double>(cuda_emulation::bits_of(value));
}
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float a) { return std::sqrt(a); }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline double __dsqrt_rn(double a) { return std::sqrt(a); }
inline double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }

namespace cuda_emulation {
/// Bits of the float16 that is nearest, ties to even, as cvt.rn.f16.f32 gives them.
inline unsigned short half_bits(float value) {
  const unsigned bits = __float_as_uint(value);
  const unsigned sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<unsigned short>(sign | 0x7fffu);
  if (magnitude >= 0x477ff000u) return static_cast<unsigned short>(sign | 0x7c00u);
  if (magnitude < 0x38800000u) {
    // Below the least normal number: adding a half makes the FPU round at the last bit.
    const float sum = __uint_as_float(magnitude) + 0.5f;
    return static_cast<unsigned short>(sign | (__float_as_uint(sum) - 0x3f000000u));
  }
  const unsigned rounded = magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u);
  return static_cast<unsigned short>(sign | rounded >> 13);
}
}  // namespace cuda_emulation

using std::isfinite;
using std::isinf;
using std::isnan;
template <class A, class B>
constexpr std::common_type_t<A, B> min(A a, B b) {
  return std::common_type_t<A, B>(b) < std::common_type_t<A, B>(a) ? b : a;
}
template <class A, class B>
constexpr std::common_type_t<A, B> max(A a, B b) {
  return std::common_type_t<A, B>(a) < std::common_type_t<A, B>(b) ? b : a;
}
