// What the kernels of decode.cu and suppress.cu share: parameters, counters, boxes, and numbers of maps.
#pragma once

#include "arithmetic.cuh"
#include "ranking.cuh"

using arithmetic::is_finite;

constexpr int kMaxBins = 32, kMaxClasses = 64;
enum Decoder { kAutoware = 0, kMmdet3d = 1 };

/// Geometry of the variant and the options in force; device/parameters.py writes it.
struct Parameters {
  double search_squared;  // [m^2], of IoU suppression; negative: none
  double overlap;         // IoU above which a box is suppressed
  float floor;            // no logit below it reaches a threshold
  float least_score;      // mmdet3d: to be exceeded
  float near_squared;     // [m^2], of circle suppression: what is below it is near
  float bins_per_meter;   // of circle suppression: what is near lies in neighbouring bins
  float search_reach;     // [m^2], not below search_squared, also where float32 rounds
  float step_x, step_y;   // autoware: size of a cell [m]
  float factor, voxel_x, voxel_y;  // mmdet3d: their product is the size of a cell
  float min_x, min_y;     // [m]
  int decoder;
  int cells, width;       // of a map
  int bins;
  int swaps_sizes;        // dim is width, length, height
  int negates_rot;        // rot is -cos, -sin
  int has_twist;
  int best;               // candidates that become boxes
  int most;               // boxes that are left
  int capacity;           // candidates there is room for
  float limits[kMaxBins];
  float scores[kMaxBins][kMaxClasses];
  float yaw_norms[kMaxClasses];
  int pedestrian[kMaxClasses];
};
static_assert(sizeof(Parameters) == PARAMETER_BYTES, "device/parameters.py has another layout");

/// Of one frame.
struct Counters {
  int closed;      // the frame has no pillar, so the head's output means nothing
  int candidates;  // beyond the capacity they are counted and nothing else is done
  int non_finite;  // boxes that became NaN or infinite
  int apart;       // boxes that circle suppression leaves
};

/// A box as the host gets it; ROW of device/parameters.py.
struct Row {
  float x, y, z, length, width, height, yaw, velocity_x, velocity_y, score;
  int label, unused;
};
constexpr int kRowWords = sizeof(Row) / sizeof(int);
constexpr int kFields = 6;

/// Words of a field of a row: centre, size, yaw, velocity, score, label.
__device__ inline int field_words(int field) { return field < 2 ? 3 : field == 3 ? 2 : 1; }

/// Of a box what suppression looks at first; read at once.
struct __align__(16) Spot {
  float x, y;   // [m]; NaN of a box that is not finite
  float reach;  // [m], its diagonal
  int kind;     // twice its label, plus one for pedestrians
};

/// Boxes before a box that are near it.
struct __align__(8) Near {
  int count;  // all, or more than are listed; -1 for a box that is not finite
  int first;  // of those that were seen; the best of the frame if all were
};

constexpr int kBinsAcross = 128, kBins = kBinsAcross * kBinsAcross, kNobody = -1;

/// Bins are squares of the plane, numbered modulo their number across: those of a neighbourhood are distinct.
__device__ __forceinline__ int bin_across(const Parameters& p, float coordinate) {
  // Far away all is one bin, so that neither the conversion nor rounding can tear neighbours apart.
  const float bins = fminf(fmaxf(coordinate * p.bins_per_meter, -1e6f), 1e6f);
  return static_cast<int>(floorf(bins));
}

__device__ __forceinline__ int bin_at(int column, int row) {
  return (row & (kBinsAcross - 1)) * kBinsAcross + (column & (kBinsAcross - 1));
}

/// Candidates to work on: none if they are too many.
__device__ __forceinline__ int boxes_of(const Parameters& p, const Counters& counters) {
  if (counters.candidates > p.capacity) return 0;
  return min(counters.candidates, p.best);
}

#ifdef HEAD_HALF
typedef unsigned short Element;
typedef ushort4 Elements;
#else
typedef float Element;
typedef float4 Elements;
#endif

__device__ __forceinline__ float value_of(float element) { return element; }

/// The float32 of the bits of a float16, exactly.
__device__ __forceinline__ float value_of(unsigned short element) {
#ifdef __CUDA_ARCH__
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(element));
  return value;
#else
  const unsigned sign = (element & 0x8000u) << 16, exponent = element >> 10 & 31u, fraction = element & 1023u;
  if (exponent == 0) {
    const float value = static_cast<float>(fraction) * 0x1p-24f;
    return sign ? -value : value;
  }
  return __uint_as_float(sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | fraction << 13);
#endif
}
