// Overlap of rotated boxes in the bird's-eye view, operation by operation as in bev_iou.py.
#pragma once

namespace overlap {

struct Box {
  double x, y, length, width, cos, sin;
};

/// Vertices of a clipped rectangle. A side adds one, but where a box is as small as the rounding of its
/// corners half as many as there are: 4, 6, 9, 13, 19.
struct Polygon {
  double at[2][20];
  int count;
};

/// Clip by `sign * coordinate <= limit`.
__device__ __forceinline__ void clip(const Polygon& polygon, int axis, double sign, double limit, Polygon& out) {
  int kept = 0;
  for (int i = 0; i < polygon.count; ++i) {
    const int k = i + 1 < polygon.count ? i + 1 : 0;
    const double here = limit - sign * polygon.at[axis][i], there = limit - sign * polygon.at[axis][k];
    if (here >= 0.0) {
      out.at[0][kept] = polygon.at[0][i];
      out.at[1][kept] = polygon.at[1][i];
      ++kept;
    }
    if ((here > 0.0 && there < 0.0) || (here < 0.0 && there > 0.0)) {
      const double share = here / (here - there);
      out.at[0][kept] = polygon.at[0][i] + share * (polygon.at[0][k] - polygon.at[0][i]);
      out.at[1][kept] = polygon.at[1][i] + share * (polygon.at[1][k] - polygon.at[1][i]);
      ++kept;
    }
  }
  out.count = kept;
}

/// Whether a side of one box lies between the two by far more than rounding could move it, so that
/// clipping leaves nothing (separating axes; Gottschalk et al., 1996).
__device__ inline bool are_apart(const Box& a, const Box& b) {
  const double dx = b.x - a.x, dy = b.y - a.y;
  const double cos = fabs(a.cos * b.cos + a.sin * b.sin), sin = fabs(a.cos * b.sin - a.sin * b.cos);
  const double margin = 1e-6 * (a.length + a.width + b.length + b.width);
  const double along = 0.5 * a.length + margin, across = 0.5 * a.width + margin;
  const double other_along = 0.5 * b.length + margin, other_across = 0.5 * b.width + margin;
  return fabs(a.cos * dx + a.sin * dy) > along + (cos * other_along + sin * other_across) ||
         fabs(a.cos * dy - a.sin * dx) > across + (sin * other_along + cos * other_across) ||
         fabs(b.cos * dx + b.sin * dy) > other_along + (cos * along + sin * across) ||
         fabs(b.cos * dy - b.sin * dx) > other_across + (sin * along + cos * across);
}

/// Area [m^2] that two boxes share.
__device__ inline double area_of(const Box& a, const Box& b) {
  const double dx = b.x - a.x, dy = b.y - a.y;
  const double reach = sqrt(a.length * a.length + a.width * a.width) + sqrt(b.length * b.length + b.width * b.width);
  if (4.0 * (dx * dx + dy * dy) >= reach * reach) return 0.0;
  const double x = a.cos * dx + a.sin * dy, y = a.cos * dy - a.sin * dx;
  const double cos = a.cos * b.cos + a.sin * b.sin, sin = a.cos * b.sin - a.sin * b.cos;
  Polygon one, other;
  for (int i = 0; i < 4; ++i) {
    const double along = 0.5 * b.length * (i == 0 || i == 3 ? 1.0 : -1.0);
    const double across = 0.5 * b.width * (i < 2 ? 1.0 : -1.0);
    one.at[0][i] = x + cos * along - sin * across;
    one.at[1][i] = y + sin * along + cos * across;
  }
  one.count = 4;
  clip(one, 0, 1.0, 0.5 * a.length, other);
  clip(other, 0, -1.0, 0.5 * a.length, one);
  clip(one, 1, 1.0, 0.5 * a.width, other);
  clip(other, 1, -1.0, 0.5 * a.width, one);
  double area = 0.0;
  for (int i = 0; i < one.count; ++i) {
    const int k = i + 1 < one.count ? i + 1 : 0;
    area += one.at[0][i] * one.at[1][k] - one.at[0][k] * one.at[1][i];
  }
  const double half = 0.5 * area;
  const double positive = half > 0.0 ? half : 0.0;
  const double area_a = a.length * a.width, area_b = b.length * b.width;
  const double least = area_a < area_b ? area_a : area_b;
  return positive < least ? positive : least;
}

}  // namespace overlap
