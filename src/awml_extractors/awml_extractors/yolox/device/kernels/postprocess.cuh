// What the kernels of decode.cu and suppress.cu share: options, counters and boxes.
#pragma once

#include "arithmetic.cuh"
#include "ranking.cuh"

using arithmetic::is_finite;

enum Decoder { kMmdet = 0, kAutoware = 1 };

/// The options in force; device/parameters.py writes it.
struct Parameters {
  double overlap;  // IoU above which a box is suppressed
  float score;     // to be exceeded
  int decoder;
  int most;        // boxes that are left
  int unused;
};
static_assert(sizeof(Parameters) == PARAMETER_BYTES, "device/parameters.py has another layout");

/// Of one frame; zeros when it starts.
struct Counters {
  int candidates;    // beyond the capacity they are counted and nothing else is done
  int broken_cells;  // cells of which a value is NaN or infinite
  int broken_boxes;  // candidates whose box is
};

/// A box as the host gets it; ROW of device/parameters.py.
struct __align__(16) Row {
  float left, top, right, bottom, score;
  int label;
  int finite;
  int unused;
};
constexpr int kRowPieces = sizeof(Row) / 16;

/// Words of 32 boxes that there is room for.
constexpr int kWords = (CAPACITY + 31) / 32;

/// Candidates to work on: none if they are too many.
__device__ __forceinline__ int boxes_of(const Counters& counters) {
  return counters.candidates > CAPACITY ? 0 : counters.candidates;
}
