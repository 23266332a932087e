// What the kernels of a frame share: the header that the host uploads, and the grid.
//
// All that varies from frame to frame is in the header, so that one captured graph serves frames of
// every size. frame_header.py writes it; sizes and the model are constants of the compilation.
#pragma once

#define FULL_WARP 0xffffffffu

typedef unsigned char Byte;
typedef unsigned short Half;
typedef unsigned int Word;
typedef unsigned long long Long;

constexpr int OUTSIDE = -1;

/// Results of a frame, zero in every header that is uploaded.
struct Counters {
  Word finite;
  Word in_range;
  Word cells;  ///< Occupied ones.
  Word pillars;
  Word truncated;       ///< Points beyond MAX_POINTS of their pillar.
  Word dropped_points;  ///< Points of cells beyond MAX_VOXELS.
  Word list_end;        ///< Entries of the list of points that cells have taken.
  Word reserved;
};

/// One cloud as it lies on the device. A column's type is a byte of `types`: x lowest, then y, z, intensity.
struct Sweep {
  const Byte* bytes;
  Word step;  ///< Bytes from one point to the next.
  Word x, y, z, intensity;  ///< Offsets of the columns.
  Word types;
  Word moved;  ///< Whether the matrix applies.
  float time_lag;
  float matrix[12];
};

/// Points that follow each other in the order of the frame, from one sweep.
struct Segment {
  Word start;  ///< Place of the first of them in the frame.
  Word sweep;
  Word first;   ///< Its place in the sweep.
  Word stride;  ///< From one to the next in the sweep.
};

struct Frame {
  Word points;
  Word segments;
  Word reserved[2];
  Counters counters;
  Sweep sweep[MAX_SWEEPS];
  Segment segment[MAX_SEGMENTS];
};

/// What the points of a frame have made of one cell; all zero between frames.
struct __align__(16) Cell {
  Word earliest;  ///< Complement of the place of its first point in the frame; 0 if it has none.
  Word points;
  Word list;  ///< Where its points begin in the list.
  Word reserved;
};
