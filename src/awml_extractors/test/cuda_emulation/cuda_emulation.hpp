// Runs CUDA C++ kernels on the CPU: blocks one after another, the threads of a block as fibers.
//
// Included in front of an unmodified .cu source, which g++ then compiles as C++. What NVRTC offers
// without any header and what is here is the subset of CUDA that the kernels may use. A fiber gives
// way only at barriers and warp operations. Shared memory is filled with a pattern before every
// block; order of blocks and of threads, and which warps run ahead of others, follows a seed. A kernel that waits for ever, or that reads
// another lane outside of the mask, ends the launch with a message.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <sys/mman.h>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#define __global__
#define __device__
#define __host__
#define __constant__
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(n) __attribute__((aligned(n)))
#define __shared__ static __attribute__((section("cuda_shared")))

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
#define CUDA_EMULATION_VECTOR(T, name)                                             \
  struct name##2 { T x, y; };                                                      \
  struct name##3 { T x, y, z; };                                                   \
  struct __align__(4 * sizeof(T) > 16 ? 16 : 4 * sizeof(T)) name##4 { T x, y, z, w; }; \
  inline name##2 make_##name##2(T x, T y) { return {x, y}; }                       \
  inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }               \
  inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
CUDA_EMULATION_VECTOR(float, float)
CUDA_EMULATION_VECTOR(int, int)
CUDA_EMULATION_VECTOR(unsigned, uint)
CUDA_EMULATION_VECTOR(unsigned short, ushort)
CUDA_EMULATION_VECTOR(unsigned char, uchar)
CUDA_EMULATION_VECTOR(double, double)
CUDA_EMULATION_VECTOR(unsigned long long, ulonglong)

static dim3 threadIdx, blockIdx, blockDim, gridDim;
static constexpr int warpSize = 32;

// The linker names the ends of the section; weak, as a source may have no shared memory.
extern "C" unsigned char __start_cuda_shared[] __attribute__((weak, visibility("hidden")));
extern "C" unsigned char __stop_cuda_shared[] __attribute__((weak, visibility("hidden")));

#if defined(__x86_64__)
extern "C" void cuda_emulation_switch(void** save, void* target);
__asm__(R"(
.text
.hidden cuda_emulation_switch
.globl cuda_emulation_switch
.type cuda_emulation_switch, @function
cuda_emulation_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");
#endif

namespace cuda_emulation {

constexpr size_t kStackBytes = 128 * 1024;
constexpr unsigned kMaxThreads = 1024;
constexpr unsigned kSpoilt = 0xCD;

enum class Wait { none, block, warp };

struct Fiber {
#if defined(__x86_64__)
  void* stack_pointer;
#else
  ucontext_t context;
#endif
  bool done;
  Wait wait;
  unsigned mask;
  int operation;
  dim3 index;
};

struct Warp {
  unsigned waiting;
  unsigned long long offered[32], seen[32];
};

struct Block {
  Fiber fibers[kMaxThreads];
  Warp warps[kMaxThreads / 32];
  unsigned threads, alive, at_barrier, running;
  unsigned long long sum, total;
  unsigned all, all_seen;
  char message[256];
  bool failed;
};

inline Block block;
inline void (*body)(void*);
inline void* body_arguments;
inline std::vector<unsigned char> dynamic_memory;
#if defined(__x86_64__)
inline void* scheduler_stack_pointer;
#else
inline ucontext_t scheduler_context;
#endif

inline void* dynamic_shared() {
  const auto address = reinterpret_cast<uintptr_t>(dynamic_memory.data());
  return reinterpret_cast<void*>((address + 127) & ~uintptr_t{127});
}

inline unsigned char* stacks() {
  static unsigned char* memory = [] {
    void* pages = mmap(nullptr, kStackBytes * kMaxThreads, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) abort();
    return static_cast<unsigned char*>(pages);
  }();
  return memory;
}

inline void give_way() {
#if defined(__x86_64__)
  cuda_emulation_switch(&block.fibers[block.running].stack_pointer, scheduler_stack_pointer);
#else
  swapcontext(&block.fibers[block.running].context, &scheduler_context);
#endif
}

[[noreturn]] inline void fail(const char* what) {
  if (!block.failed) {
    std::snprintf(block.message, sizeof block.message, "block (%u, %u, %u), thread %u: %s", blockIdx.x,
                  blockIdx.y, blockIdx.z, block.running, what);
  }
  block.failed = true;
  for (;;) give_way();
}

inline void release_block_if_complete() {
  if (block.alive == 0 || block.at_barrier != block.alive) return;
  block.at_barrier = 0;
  block.total = std::exchange(block.sum, 0);
  block.all_seen = std::exchange(block.all, 1);
  for (unsigned i = 0; i < block.threads; ++i) {
    if (block.fibers[i].wait == Wait::block) block.fibers[i].wait = Wait::none;
  }
}

inline void block_barrier(unsigned value = 0) {
  block.sum += value != 0;
  block.all &= value != 0;
  block.fibers[block.running].wait = Wait::block;
  ++block.at_barrier;
  release_block_if_complete();
  while (block.fibers[block.running].wait != Wait::none) give_way();
}

inline unsigned lane() { return block.running % 32; }
inline Warp& warp() { return block.warps[block.running / 32]; }

/// Meet the lanes of a mask; afterwards `seen` holds what each of them offered.
inline Warp& warp_barrier(unsigned mask, int operation, unsigned long long value = 0) {
  Warp& mine = warp();
  Fiber* lanes = &block.fibers[block.running / 32 * 32];
  const unsigned bit = 1u << lane();
  if (!(mask & bit)) fail("warp operation whose mask lacks the calling lane");
  mine.offered[lane()] = value;
  mine.waiting |= bit;
  Fiber& self = block.fibers[block.running];
  self.mask = mask;
  self.operation = operation;
  self.wait = Wait::warp;
  if ((mine.waiting & mask) == mask) {
    for (unsigned i = 0; i < 32; ++i) {
      if (!(mask >> i & 1)) continue;
      if (lanes[i].mask != mask || lanes[i].operation != operation) {
        fail("lanes of a warp meet in different operations or with different masks");
      }
      mine.seen[i] = mine.offered[i];
      lanes[i].wait = Wait::none;
    }
    mine.waiting &= ~mask;
  }
  while (self.wait != Wait::none) give_way();
  return mine;
}

inline void run_thread() {
  body(body_arguments);
  block.fibers[block.running].done = true;
  --block.alive;
  release_block_if_complete();
  for (;;) give_way();
}

inline void prepare(Fiber& fiber, unsigned char* stack) {
#if defined(__x86_64__)
  // Six registers, the entry, and a word that keeps the stack aligned as after a call.
  void** top = reinterpret_cast<void**>(stack + kStackBytes) - 8;
  std::memset(top, 0, 8 * sizeof(void*));
  top[6] = reinterpret_cast<void*>(&run_thread);
  fiber.stack_pointer = top;
#else
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = stack;
  fiber.context.uc_stack.ss_size = kStackBytes;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, &run_thread, 0);
#endif
}

inline void resume(unsigned thread) {
  Fiber& fiber = block.fibers[thread];
  block.running = thread;
  threadIdx = fiber.index;
#if defined(__x86_64__)
  cuda_emulation_switch(&scheduler_stack_pointer, fiber.stack_pointer);
#else
  swapcontext(&scheduler_context, &fiber.context);
#endif
}

inline bool run_block(const std::vector<unsigned>& order, std::mt19937_64* random) {
  block.threads = block.alive = static_cast<unsigned>(order.size());
  block.at_barrier = 0;
  block.sum = 0;
  block.all = 1;
  if (__start_cuda_shared != nullptr) {
    std::memset(__start_cuda_shared, kSpoilt, size_t(__stop_cuda_shared - __start_cuda_shared));
  }
  std::fill(dynamic_memory.begin(), dynamic_memory.end(), static_cast<unsigned char>(kSpoilt));
  for (Warp& each : block.warps) each.waiting = 0;
  for (unsigned i = 0; i < block.threads; ++i) {
    Fiber& fiber = block.fibers[i];
    fiber.done = false;
    fiber.wait = Wait::none;
    fiber.index.x = i % blockDim.x;
    fiber.index.y = i / blockDim.x % blockDim.y;
    fiber.index.z = i / blockDim.x / blockDim.y;
    prepare(fiber, stacks() + kStackBytes * i);
  }
  while (block.alive != 0) {
    bool moved = false;
    // Some warps stay behind, so that others run into what they still read.
    const unsigned resting = random != nullptr ? static_cast<unsigned>((*random)()) : 0u;
    for (unsigned thread : order) {
      if (block.fibers[thread].done || block.fibers[thread].wait != Wait::none) continue;
      moved = true;
      if (resting >> (thread / 32) & 1u) continue;
      resume(thread);
      if (block.failed) return false;
    }
    if (!moved) {
      std::snprintf(block.message, sizeof block.message,
                    "block (%u, %u, %u): %u threads wait for ever, at a barrier that others skip or "
                    "for lanes that have ended",
                    blockIdx.x, blockIdx.y, blockIdx.z, block.alive);
      block.failed = true;
      return false;
    }
  }
  return true;
}

/// Run a grid; null, or what went wrong.
inline const char* run_grid(const unsigned* grid, const unsigned* threads, size_t shared_bytes,
                            unsigned long long seed) {
  gridDim = {grid[0], grid[1], grid[2]};
  blockDim = {threads[0], threads[1], threads[2]};
  const unsigned long long count = 1ull * grid[0] * grid[1] * grid[2];
  const unsigned long long size = 1ull * threads[0] * threads[1] * threads[2];
  if (count == 0 || size == 0 || size > kMaxThreads) return "a grid or block of an impossible size";
  dynamic_memory.assign(shared_bytes + 128, 0);
  std::vector<unsigned> blocks(count), order(size);
  std::iota(blocks.begin(), blocks.end(), 0u);
  std::iota(order.begin(), order.end(), 0u);
  std::mt19937_64 random(seed);
  if (seed != 0) std::shuffle(blocks.begin(), blocks.end(), random);
  block.failed = false;
  for (unsigned index : blocks) {
    if (seed != 0) std::shuffle(order.begin(), order.end(), random);
    blockIdx = {index % grid[0], index / grid[0] % grid[1], index / grid[0] / grid[1]};
    if (!run_block(order, seed != 0 ? &random : nullptr)) return block.message;
  }
  return nullptr;
}

template <class... A, size_t... I>
void call(void (*kernel)(A...), void** values, std::index_sequence<I...>) {
  kernel(*static_cast<std::remove_cv_t<std::remove_reference_t<A>>*>(values[I])...);
}

template <class... A>
const char* launch(void (*kernel)(A...), const unsigned* grid, const unsigned* threads,
                   size_t shared_bytes, unsigned long long seed, void** values, size_t count) {
  if (count != sizeof...(A)) return "wrong number of arguments";
  static void (*current)(A...);
  static void** current_values;
  current = kernel;
  current_values = values;
  body = [](void*) { call(current, current_values, std::index_sequence_for<A...>{}); };
  return run_grid(grid, threads, shared_bytes, seed);
}

template <class... A>
size_t argument_size(void (*)(A...), size_t index) {
  const size_t sizes[] = {sizeof(A)..., 0};
  return index < sizeof...(A) ? sizes[index] : 0;
}

template <class T>
unsigned long long bits_of(T value) {
  static_assert(sizeof(T) <= 8, "warp operations take values of up to 8 bytes");
  unsigned long long bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}

template <class T>
T value_of(unsigned long long bits) {
  T value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// What `source` offered; the own value where it lies outside of the part of the warp.
template <class T>
T shuffle(unsigned mask, T value, int source, bool inside) {
  Warp& met = warp_barrier(mask, 1, bits_of(value));
  if (!inside) return value;
  if (!(mask >> source & 1)) fail("shuffle reads a lane outside of its mask");
  return value_of<T>(met.seen[source]);
}

template <class T, class F>
T exchange(T* address, F make) {
  const T old = *address;
  *address = make(old);
  return old;
}

}  // namespace cuda_emulation

#define CUDA_EMULATION_KERNEL(name)                                                              \
  extern "C" const char* emulate_##name(const unsigned* grid, const unsigned* threads,           \
                                        size_t shared_bytes, unsigned long long seed,            \
                                        void** values, size_t count) {                           \
    return cuda_emulation::launch(&name, grid, threads, shared_bytes, seed, values, count);      \
  }                                                                                              \
  extern "C" size_t argument_size_##name(size_t index) {                                         \
    return cuda_emulation::argument_size(&name, index);                                          \
  }

#include "cuda_functions.hpp"
