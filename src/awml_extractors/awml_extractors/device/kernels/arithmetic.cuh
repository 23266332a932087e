// exp, arctan2, cosine and sine as the sequences of IEEE 754 operations of arithmetic.py, line by line.
//
// Compile without contraction to fused multiply-add (--fmad=false, -ffp-contract=off): both sides then
// give the same bits.
#pragma once

namespace arithmetic {

constexpr double kLn2High = 0x1.62e42fee00000p-1, kLn2Low = 0x1.a39ef35793c76p-33;
constexpr double kLog2E = 0x1.71547652b82fep+0;
constexpr double kPiHigh = 0x1.921fb54442d18p+1, kPiLow = 0x1.1a62633145c07p-53;
constexpr double kHalfPiHigh = 0x1.921fb54442d18p+0, kHalfPiLow = 0x1.1a62633145c07p-54;
constexpr double kQuarterPiHigh = 0x1.921fb54442d18p-1, kQuarterPiLow = 0x1.1a62633145c07p-55;
constexpr double kQuarterTurnHigh = 0x1.921fb54400000p+0, kQuarterTurnLow = 0x1.0b4611a626331p-34;
constexpr double kTwoOverPi = 0x1.45f306dc9c883p-1;
constexpr double kExpOverflow = 709.79, kExpUnderflow = -745.2;
constexpr double kAngleLimit = 1e5;
constexpr double kTanEighthTurn = 0x1.a827999fcef32p-2;

constexpr double kE2 = 1.0 / 2.0, kE3 = 1.0 / 6.0, kE4 = 1.0 / 24.0, kE5 = 1.0 / 120.0;
constexpr double kE6 = 1.0 / 720.0, kE7 = 1.0 / 5040.0, kE8 = 1.0 / 40320.0, kE9 = 1.0 / 362880.0;
constexpr double kE10 = 1.0 / 3628800.0, kE11 = 1.0 / 39916800.0, kE12 = 1.0 / 479001600.0;
constexpr double kE13 = 1.0 / 6227020800.0, kE14 = 1.0 / 87178291200.0;
constexpr double kE15 = 1.0 / 1307674368000.0, kE16 = 1.0 / 20922789888000.0;
constexpr double kE17 = 1.0 / 355687428096000.0;

constexpr double kA3 = 0x1.5555555555555p-2, kA5 = 0x1.9999999999953p-3, kA7 = 0x1.249249248d7edp-3;
constexpr double kA9 = 0x1.c71c71c304b25p-4, kA11 = 0x1.745d165df329bp-4, kA13 = 0x1.3b1392d9d0130p-4;
constexpr double kA15 = 0x1.110e8808d52b6p-4, kA17 = 0x1.e19a139427a48p-5, kA19 = 0x1.ac7a9274c8714p-5;
constexpr double kA21 = 0x1.74ddcf11bfbf7p-5, kA23 = 0x1.1b33ac5ef371dp-5, kA25 = 0x1.0ad34df8613e1p-6;

__device__ __forceinline__ double infinity() { return __longlong_as_double(0x7ff0000000000000ll); }
__device__ __forceinline__ double not_a_number() { return __longlong_as_double(0x7ff8000000000000ll); }
__device__ __forceinline__ bool is_finite(float x) {
  return (__float_as_uint(x) & 0x7f800000u) != 0x7f800000u;
}
__device__ __forceinline__ bool is_negative(double x) { return __double_as_longlong(x) < 0; }
__device__ __forceinline__ double magnitude(double x) {
  return __longlong_as_double(__double_as_longlong(x) & 0x7fffffffffffffffll);
}

/// The nearest whole number, halves away from zero.
__device__ __forceinline__ long long nearest(double value) {
  return value >= 0.0 ? static_cast<long long>(value + 0.5) : static_cast<long long>(value - 0.5);
}

__device__ __forceinline__ double power_of_two(long long exponent) {
  return __longlong_as_double((exponent + 1023) << 52);
}

__device__ __forceinline__ double exp_of(double x) {
  if (!(x <= kExpOverflow)) return x != x ? x : infinity();
  if (x < kExpUnderflow) return 0.0;
  const long long k = nearest(x * kLog2E);
  const double r = (x - static_cast<double>(k) * kLn2High) - static_cast<double>(k) * kLn2Low;
  double p = kE13;
  p = p * r + kE12;
  p = p * r + kE11;
  p = p * r + kE10;
  p = p * r + kE9;
  p = p * r + kE8;
  p = p * r + kE7;
  p = p * r + kE6;
  p = p * r + kE5;
  p = p * r + kE4;
  p = p * r + kE3;
  p = p * r + kE2;
  p = 1.0 + (r + (r * r) * p);
  const long long half = k >> 1;
  return (p * power_of_two(half)) * power_of_two(k - half);
}

__device__ __forceinline__ float sigmoid_of(float logit) {
  return static_cast<float>(1.0 / (1.0 + exp_of(-static_cast<double>(logit))));
}

__device__ __forceinline__ double arctan2_of(double y, double x) {
  const double flat = magnitude(x), steep = magnitude(y);
  const double low = steep < flat ? steep : flat, high = steep < flat ? flat : steep;
  bool diagonal = low >= kTanEighthTurn * high;
  double u = (diagonal ? low - high : low) / (diagonal ? low + high : high);
  // Neither 0 / 0 nor inf - inf.
  u = low == high ? 0.0 : u;
  diagonal = diagonal && high > 0.0;
  const double z = u * u;
  double p = kA25;
  p = p * z - kA23;
  p = p * z + kA21;
  p = p * z - kA19;
  p = p * z + kA17;
  p = p * z - kA15;
  p = p * z + kA13;
  p = p * z - kA11;
  p = p * z + kA9;
  p = p * z - kA7;
  p = p * z + kA5;
  p = p * z - kA3;
  u = u + ((u * z) * p + (diagonal ? kQuarterPiLow : 0.0));
  double angle = (diagonal ? kQuarterPiHigh : 0.0) + u;
  const bool behind = is_negative(x);
  if (flat < steep) {
    angle = (kHalfPiHigh + (behind ? angle : -angle)) + kHalfPiLow;
  } else {
    angle = behind ? (kPiHigh - angle) + kPiLow : angle;
  }
  return is_negative(y) ? -magnitude(angle) : magnitude(angle);
}

__device__ __forceinline__ double2 cos_sin_of(double angle) {
  if (!(magnitude(angle) <= kAngleLimit)) return make_double2(not_a_number(), not_a_number());
  const long long k = nearest(angle * kTwoOverPi);
  const double r =
      (angle - static_cast<double>(k) * kQuarterTurnHigh) - static_cast<double>(k) * kQuarterTurnLow;
  const double z = r * r;
  double p = kE17;
  p = p * z - kE15;
  p = p * z + kE13;
  p = p * z - kE11;
  p = p * z + kE9;
  p = p * z - kE7;
  p = p * z + kE5;
  p = p * z - kE3;
  const double sin = r + (r * z) * p;
  p = kE16;
  p = p * z - kE14;
  p = p * z + kE12;
  p = p * z - kE10;
  p = p * z + kE8;
  p = p * z - kE6;
  p = p * z + kE4;
  const double cos = 1.0 - (0.5 * z - (z * z) * p);
  switch (k & 3) {
    case 0:
      return make_double2(cos, sin);
    case 1:
      return make_double2(-sin, cos);
    case 2:
      return make_double2(-cos, -sin);
    default:
      return make_double2(sin, -cos);
  }
}

}  // namespace arithmetic
