// Numbers of any type, byte order and alignment as float32.
#pragma once

#include "frame.cuh"

/// Codes of a column's type, as in frame_header.py; SWAPPED is added for the other byte order.
enum Type { INT8, UINT8, INT16, UINT16, INT32, UINT32, INT64, UINT64, FLOAT32, FLOAT64 };
constexpr Word SWAPPED = 16;

__device__ inline Long read_bytes(const Byte* at, int size, bool swapped) {
  Long value = 0;
  for (int i = 0; i < size; ++i) value |= (Long)at[i] << (8 * (swapped ? size - 1 - i : i));
  return value;
}

__device__ inline float read_number(const Byte* at, Word type) {
  if (type == FLOAT32 && ((Long)at & 3) == 0) return *(const float*)at;
  if (type == UINT8) return (float)*at;
  const bool swapped = type & SWAPPED;
  switch (type & ~SWAPPED) {
    case INT8: return (float)(signed char)*at;
    case UINT8: return (float)*at;
    case INT16: return (float)(short)read_bytes(at, 2, swapped);
    case UINT16: return (float)(unsigned short)read_bytes(at, 2, swapped);
    case INT32: return (float)(int)read_bytes(at, 4, swapped);
    case UINT32: return (float)(Word)read_bytes(at, 4, swapped);
    case INT64: return (float)(long long)read_bytes(at, 8, swapped);
    case UINT64: return (float)read_bytes(at, 8, swapped);
    case FLOAT64: return (float)__longlong_as_double((long long)read_bytes(at, 8, swapped));
    default: return __uint_as_float((Word)read_bytes(at, 4, swapped));
  }
}
