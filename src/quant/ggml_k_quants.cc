#include <algorithm>
#include <cmath>

#include "quant/ggml_blocks.h"

// The K formats store scales in two levels: a group's scale is a small integer times the block's
// half-precision one. The search follows that: fit every group on its own, quantise the scales that
// came out, then let every group choose its codes again near them, and fit the block's scales to
// those choices. The measure is the sum of squared errors.
namespace r1 {
namespace {

// Smaller values count as zero. They would be stored as zero anyway, and so no square of an error
// is a denormal, which some threads flush.
constexpr float kNegligible = 0x1p-60f;

// Adding and subtracting it rounds to an integer, ties to even, for magnitudes below 2^22.
constexpr float kRounder = 0x1.8p23f;

constexpr std::size_t kLanes = 8;  // sums run in lanes, for speed, added in a fixed order
using Lanes = std::array<float, kLanes>;

double total(const Lanes& lanes) {
  double sum = 0;
  for (const float lane : lanes) sum += lane;
  return sum;
}

float nearest_code(float position, float low, float high) {
  position = position > low ? position : low;
  position = position < high ? position : high;
  return position + kRounder - kRounder;
}

int rounded_code(double position, int low, int high) {
  return static_cast<int>(std::lrint(std::clamp<double>(position, low, high)));
}

float inverse_or_zero(float scale) { return scale == 0 ? 0.0f : 1 / scale; }

// The scale of a block, from the largest of its groups and the code that this one gets. Rounded
// away from zero, so that the code is never too small: halves are coarse where weights are small.
f16 block_scale(double largest, int code) {
  const double scale = largest / code;
  f16 half = round_to_f16(static_cast<float>(scale));
  if (std::abs(to_float(half)) < std::abs(scale)) ++half.bits;
  return half;
}

template <std::size_t size>
std::array<float, size> without_negligible(std::span<const float, size> values) {
  std::array<float, size> kept;
  std::ranges::transform(values, kept.begin(),
                         [](float value) { return std::abs(value) < kNegligible ? 0.0f : value; });
  return kept;
}

template <class Values>  // a group's array
Values group_of(std::span<const float, kSuperBlock> values, std::size_t group) {
  Values result;
  std::ranges::copy(values.subspan(group * result.size(), result.size()), result.begin());
  return result;
}

// Sums over a group of targets t and codes n, from which least squares fits t to n.
struct Moments {
  double n, nn, nt;
};

// Codes n = nearest(t * slope + shift) within [low, high].
template <std::size_t size>
Moments moments_of(const std::array<float, size>& t, float slope, float shift, float low,
                   float high) {
  Lanes n_lanes{}, nn_lanes{}, nt_lanes{};
  for (std::size_t i = 0; i < size; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const float n = nearest_code(t[i + lane] * slope + shift, low, high);
      n_lanes[lane] += n;
      nn_lanes[lane] += n * n;
      nt_lanes[lane] += n * t[i + lane];
    }
  }
  return {total(n_lanes), total(nn_lanes), total(nt_lanes)};
}

// Slopes to try around the one that maps the extremes of a group to the extreme codes, and how
// often codes and fit are adapted to each other from there.
constexpr int kSlopes = 5;  // on either side
constexpr float kSlopeStep = 0.2f;
constexpr int kRefinements = 2;

// ---- Q4_K and Q5_K: value = scale * n - minimum, n from 0 to `top`, scale and minimum >= 0 ----

using Group = std::array<float, KScales::kGroupValues>;

struct Affine {
  double scale = 0;
  double minimum = 0;
};

Affine fit_affine(const Group& values, float top) {
  const auto [smallest, largest] = std::ranges::minmax(values);
  const float low = std::min(smallest, 0.0f);  // a minimum cannot lift the values
  const float range = largest - low;
  if (range <= 0) return {0, -low};

  // In units of the range: t in [0, 1], fitted by u n + v with v <= highest_v.
  Group t;
  std::ranges::transform(values, t.begin(), [&](float value) { return (value - low) / range; });
  Lanes t_lanes{};
  for (std::size_t i = 0; i < t.size(); ++i) t_lanes[i % kLanes] += t[i];
  const double sum_t = total(t_lanes);
  const double highest_v = -low / range;
  constexpr double kCount = KScales::kGroupValues;

  double best_gain = 0, best_u = 0, best_v = 0;
  for (int step = -kSlopes; step <= kSlopes; ++step) {
    float slope = top + kSlopeStep * static_cast<float>(step), shift = 0;
    for (int refinement = 0; refinement <= kRefinements; ++refinement) {
      const Moments sums = moments_of(t, slope, shift, 0, top);
      const double determinant = kCount * sums.nn - sums.n * sums.n;
      double u = sums.nt / sums.nn, v = 0;
      if (determinant > 0) {  // else all codes are the same
        u = (kCount * sums.nt - sums.n * sum_t) / determinant;
        v = (sum_t - u * sums.n) / kCount;
      }
      if (v > highest_v) {
        v = highest_v;
        u = (sums.nt - v * sums.n) / sums.nn;
      }
      if (!(u > 0)) break;
      // How much smaller the squared error is than that of zeros.
      const double gain =
          2 * (u * sums.nt + v * sum_t) - u * u * sums.nn - 2 * u * v * sums.n - v * v * kCount;
      if (gain > best_gain) {
        best_gain = gain;
        best_u = u;
        best_v = v;
      }
      slope = static_cast<float>(1 / u);
      shift = static_cast<float>(-v / u);
    }
  }
  return {best_u * range, -(low + best_v * range)};
}

struct AffineCodes {
  f16 d, dmin;
  std::array<std::uint8_t, KScales::kGroups> scales, minima;
  std::array<std::uint8_t, kSuperBlock> n;
};

constexpr int kTopScale = 63;

double squared_error(const Group& values, float scale, float minimum, float top) {
  const float inverse = inverse_or_zero(scale);
  Lanes lanes{};
  for (std::size_t i = 0; i < values.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const float value = values[i + lane];
      const float n = nearest_code((value + minimum) * inverse, 0, top);
      const float error = scale * n - minimum - value;
      lanes[lane] += error * error;
    }
  }
  return total(lanes);
}

// The best codes for given scales of the block; returns their squared error.
double choose_codes(std::span<const float, kSuperBlock> values,
                    std::span<const Affine, KScales::kGroups> fits, float top, AffineCodes& codes) {
  const float d = to_float(codes.d), dmin = to_float(codes.dmin);
  double sum = 0;
  for (std::size_t group = 0; group < KScales::kGroups; ++group) {
    const Group x = group_of<Group>(values, group);
    const int scale = d == 0 ? 0 : rounded_code(fits[group].scale / d, 0, kTopScale);
    const int minimum = dmin == 0 ? 0 : rounded_code(fits[group].minimum / dmin, 0, kTopScale);
    double best = -1;
    for (int s = std::max(scale - 1, 0); s <= std::min(scale + 1, kTopScale); ++s) {
      for (int m = std::max(minimum - 1, 0); m <= std::min(minimum + 1, kTopScale); ++m) {
        const double error =
            squared_error(x, d * static_cast<float>(s), dmin * static_cast<float>(m), top);
        if (best >= 0 && error >= best) continue;
        best = error;
        codes.scales[group] = static_cast<std::uint8_t>(s);
        codes.minima[group] = static_cast<std::uint8_t>(m);
      }
    }
    sum += best;
    const float group_scale = d * static_cast<float>(codes.scales[group]);
    const float group_minimum = dmin * static_cast<float>(codes.minima[group]);
    const float inverse = inverse_or_zero(group_scale);
    for (std::size_t i = 0; i < x.size(); ++i) {
      codes.n[group * x.size() + i] =
          static_cast<std::uint8_t>(nearest_code((x[i] + group_minimum) * inverse, 0, top));
    }
  }
  return sum;
}

// Sets the block's scales to the least-squares fit of its codes. False if that is no legal pair.
bool refit(std::span<const float, kSuperBlock> values, AffineCodes& codes) {
  double aa = 0, ab = 0, bb = 0, ax = 0, bx = 0;  // value = d a + dmin b
  for (std::size_t i = 0; i < kSuperBlock; ++i) {
    const std::size_t group = i / KScales::kGroupValues;
    const double a = codes.scales[group] * codes.n[i],
                 b = -static_cast<double>(codes.minima[group]);
    const double x = values[i];
    aa += a * a;
    ab += a * b;
    bb += b * b;
    ax += a * x;
    bx += b * x;
  }
  const double determinant = aa * bb - ab * ab;
  double d = aa > 0 ? ax / aa : 0, dmin = 0;
  if (determinant > 0) {
    d = (ax * bb - bx * ab) / determinant;
    dmin = (bx * aa - ax * ab) / determinant;
  }
  constexpr double kLargestHalf = 65504;
  if (!(d > 0 && d <= kLargestHalf && dmin >= 0 && dmin <= kLargestHalf)) return false;
  codes.d = round_to_f16(static_cast<float>(d));
  codes.dmin = round_to_f16(static_cast<float>(dmin));
  return true;
}

AffineCodes fit_affine_block(std::span<const float, kSuperBlock> original, float top) {
  const std::array<float, kSuperBlock> values = without_negligible(original);
  std::array<Affine, KScales::kGroups> fits;
  double largest_scale = 0, largest_minimum = 0;
  for (std::size_t group = 0; group < KScales::kGroups; ++group) {
    fits[group] = fit_affine(group_of<Group>(values, group), top);
    largest_scale = std::max(largest_scale, fits[group].scale);
    largest_minimum = std::max(largest_minimum, fits[group].minimum);
  }
  AffineCodes best{};
  best.d = block_scale(largest_scale, kTopScale);
  best.dmin = block_scale(largest_minimum, kTopScale);
  double error = choose_codes(values, fits, top, best);
  for (int refinement = 0; refinement < kRefinements; ++refinement) {
    AffineCodes next = best;
    if (!refit(values, next)) break;
    const double next_error = choose_codes(values, fits, top, next);
    if (next_error >= error) break;
    best = next;
    error = next_error;
  }
  return best;
}

// ---- Q6_K: value = scale * q, q from -32 to 31 ----

using SmallGroup = std::array<float, BlockQ6K::kGroupValues>;

constexpr float kLowestQ = -32, kHighestQ = 31;
constexpr int kLowestScale = -128, kHighestScale = 127;

// The scale of a group; negative where its extreme value is positive, so that this one takes the
// code -32, which is further from zero than any other.
double fit_symmetric(const SmallGroup& values) {
  float extreme = 0;
  for (const float value : values) {
    if (std::abs(value) > std::abs(extreme)) extreme = value;
  }
  if (extreme == 0) return 0;
  SmallGroup t;  // in units of the extreme
  std::ranges::transform(values, t.begin(), [extreme](float value) { return value / extreme; });
  double best_gain = 0, best = 0;
  for (int step = -kSlopes; step <= kSlopes; ++step) {
    float slope = kLowestQ + kSlopeStep * static_cast<float>(step);
    for (int refinement = 0; refinement <= kRefinements; ++refinement) {
      const Moments sums = moments_of(t, slope, 0, kLowestQ, kHighestQ);
      if (sums.nt >= 0) break;  // the fit would turn the sign
      const double gain = sums.nt * sums.nt / sums.nn;
      if (gain > best_gain) {
        best_gain = gain;
        best = sums.nt / sums.nn;
      }
      slope = static_cast<float>(sums.nn / sums.nt);
    }
  }
  return best * extreme;
}

struct SymmetricCodes {
  f16 d;
  std::array<std::int8_t, BlockQ6K::kGroups> scales;
  std::array<std::int8_t, kSuperBlock> q;
};

double squared_error(const SmallGroup& values, float scale) {
  const float inverse = inverse_or_zero(scale);
  Lanes lanes{};
  for (std::size_t i = 0; i < values.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const float value = values[i + lane];
      const float error = scale * nearest_code(value * inverse, kLowestQ, kHighestQ) - value;
      lanes[lane] += error * error;
    }
  }
  return total(lanes);
}

double choose_codes(std::span<const float, kSuperBlock> values,
                    std::span<const double, BlockQ6K::kGroups> fits, SymmetricCodes& codes) {
  const float d = to_float(codes.d);
  double sum = 0;
  for (std::size_t group = 0; group < BlockQ6K::kGroups; ++group) {
    const SmallGroup x = group_of<SmallGroup>(values, group);
    const int scale = d == 0 ? 0 : rounded_code(fits[group] / d, kLowestScale, kHighestScale);
    double best = -1;
    for (int s = std::max(scale - 1, kLowestScale); s <= std::min(scale + 1, kHighestScale); ++s) {
      const double error = squared_error(x, d * static_cast<float>(s));
      if (best >= 0 && error >= best) continue;
      best = error;
      codes.scales[group] = static_cast<std::int8_t>(s);
    }
    sum += best;
    const float inverse = inverse_or_zero(d * static_cast<float>(codes.scales[group]));
    for (std::size_t i = 0; i < x.size(); ++i) {
      codes.q[group * x.size() + i] =
          static_cast<std::int8_t>(nearest_code(x[i] * inverse, kLowestQ, kHighestQ));
    }
  }
  return sum;
}

bool refit(std::span<const float, kSuperBlock> values, SymmetricCodes& codes) {
  double aa = 0, ax = 0;  // value = d a
  for (std::size_t i = 0; i < kSuperBlock; ++i) {
    const double a = codes.scales[i / BlockQ6K::kGroupValues] * codes.q[i];
    aa += a * a;
    ax += a * double{values[i]};
  }
  if (aa == 0) return false;
  codes.d = round_to_f16(static_cast<float>(ax / aa));
  return true;
}

SymmetricCodes fit_symmetric_block(std::span<const float, kSuperBlock> original) {
  const std::array<float, kSuperBlock> values = without_negligible(original);
  std::array<double, BlockQ6K::kGroups> fits;
  double extreme = 0;
  for (std::size_t group = 0; group < BlockQ6K::kGroups; ++group) {
    fits[group] = fit_symmetric(group_of<SmallGroup>(values, group));
    if (std::abs(fits[group]) > std::abs(extreme)) extreme = fits[group];
  }
  SymmetricCodes best{};
  best.d = block_scale(extreme, kLowestScale);
  double error = choose_codes(values, fits, best);
  for (int refinement = 0; refinement < kRefinements; ++refinement) {
    SymmetricCodes next = best;
    if (!refit(values, next)) break;
    const double next_error = choose_codes(values, fits, next);
    if (next_error >= error) break;
    best = next;
    error = next_error;
  }
  return best;
}

// Byte 32 p + l holds the low 4 bits of element l of group 2 p, then those of group 2 p + 1.
std::array<std::uint8_t, kSuperBlock / 2> pack_nibbles(
    const std::array<std::uint8_t, kSuperBlock>& n) {
  std::array<std::uint8_t, kSuperBlock / 2> nibbles;
  for (std::size_t i = 0; i < nibbles.size(); ++i) {
    const std::size_t low =
        i / KScales::kGroupValues * 2 * KScales::kGroupValues + i % KScales::kGroupValues;
    nibbles[i] =
        static_cast<std::uint8_t>((n[low] & 15) | (n[low + KScales::kGroupValues] & 15) << 4);
  }
  return nibbles;
}

}  // namespace

BlockQ4K quantize_q4_k(std::span<const float, kSuperBlock> values) {
  const AffineCodes codes = fit_affine_block(values, 15);
  return {codes.d, codes.dmin, pack_scales(codes.scales, codes.minima), pack_nibbles(codes.n)};
}

BlockQ5K quantize_q5_k(std::span<const float, kSuperBlock> values) {
  const AffineCodes codes = fit_affine_block(values, 31);
  BlockQ5K block{
      codes.d, codes.dmin, pack_scales(codes.scales, codes.minima), {}, pack_nibbles(codes.n)};
  for (std::size_t i = 0; i < kSuperBlock; ++i) {
    const std::size_t group = i / KScales::kGroupValues, l = i % KScales::kGroupValues;
    block.high_bits[l] = static_cast<std::uint8_t>(block.high_bits[l] | codes.n[i] >> 4 << group);
  }
  return block;
}

BlockQ6K quantize_q6_k(std::span<const float, kSuperBlock> values) {
  const SymmetricCodes codes = fit_symmetric_block(values);
  BlockQ6K block{{}, {}, codes.scales, codes.d};
  for (std::size_t i = 0; i < kSuperBlock; ++i) {
    const std::size_t half = i / 128, quarter = i % 128 / 32, l = i % 32;
    const int code = codes.q[i] + 32;
    std::uint8_t& low = block.low[64 * half + 32 * (quarter % 2) + l];
    std::uint8_t& high = block.high[32 * half + l];
    low = static_cast<std::uint8_t>(low | (code & 15) << (quarter / 2 * 4));
    high = static_cast<std::uint8_t>(high | code >> 4 << (2 * quarter));
  }
  return block;
}

}  // namespace r1
