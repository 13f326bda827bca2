#pragma once

#include "backend/cpu/generic/quantized_codes.h"
#include "backend/quantized_kernels.h"

// The register tile of products with quantised weights: R rows by P registers of C. Beyond what
// quantized_codes.h asks, `V` has integer sums of kWidth columns, V::Sums:
//   start(p): the number at p in every column;
//   dot<most>(sums, codes, x): each column plus the sum of its four codes (at most `most`) times
//   x[0 ... 3]; to_float(sums), exact below 2^24.
namespace r1::cpu::generic {

// Groups as they lie in the chunks of P registers' columns.
template <typename V, typename Type, int P>
struct PackedGroups {
  using Chunk = typename Type::Chunk;
  const Chunk* chunks[P];
  int column[P];  // in the panel

  template <int quad>
  typename V::Codes codes(std::int64_t group, int q) const {
    const Chunk& chunk = chunks[q][group / Chunk::kGroups];
    return Type::template codes<V, quad>(chunk, group % Chunk::kGroups, column[q]);
  }
  typename V::Float scale(std::int64_t group, int half, int q) const {
    const Chunk& chunk = chunks[q][group / Chunk::kGroups];
    return Type::template scale<V>(chunk, group % Chunk::kGroups, half, column[q]);
  }
  typename V::Float minimum(std::int64_t group, int q) const {
    const Chunk& chunk = chunks[q][group / Chunk::kGroups];
    return Type::template minimum<V>(chunk, group % Chunk::kGroups, column[q]);
  }
};

// What the tiles of a block fetch for the next: together they touch each line of it once.
template <typename Type, int P>
struct NextBlock {
  static constexpr std::int64_t kLine = 64;
  static constexpr std::int64_t kGroupBytes =
      std::int64_t{sizeof(typename Type::Chunk)} / Type::Chunk::kGroups;
  const std::byte* first[P];  // group 0 in each register's panel
  std::int64_t tile, tiles;

  void prefetch(std::int64_t group) const {
#pragma GCC unroll 2
    for (int q = 0; q < P; ++q) {
      const std::byte* bytes = first[q] + group * kGroupBytes;
      for (std::int64_t at = tile * kLine; at < kGroupBytes; at += tiles * kLine) {
        __builtin_prefetch(bytes + at);
      }
    }
  }
};

// The same with one code a byte and scales as floats, decoded beforehand for many rows.
template <typename V, typename Type, int P>
struct DecodedGroups {
  struct Group {
    alignas(64) std::byte codes[kQuads][P][V::kWidth * 4];
    float scales[Type::kScales][P][V::kWidth];
    float minima[Type::kHasMinimum ? P : 1][V::kWidth];
  };
  const Group* groups;

  template <int quad>
  typename V::Codes codes(std::int64_t group, int q) const {
    return V::load_codes(groups[group].codes[quad][q]);
  }
  typename V::Float scale(std::int64_t group, int half, int q) const {
    return V::Float::load(groups[group].scales[half][q]);
  }
  typename V::Float minimum(std::int64_t group, int q) const {
    return V::Float::load(groups[group].minima[q]);
  }
};

template <typename V, typename Type, int P>
inline void decode_group(const PackedGroups<V, Type, P>& from, std::int64_t group,
                         typename DecodedGroups<V, Type, P>::Group& to) {
#pragma GCC unroll 2
  for (int q = 0; q < P; ++q) {
    unrolled<kQuads>([&](auto quad) {
      constexpr int kQuad = decltype(quad)::value;
      V::store_codes(from.template codes<kQuad>(group, q), to.codes[kQuad][q]);
    });
    for (int half = 0; half < Type::kScales; ++half) {
      from.scale(group, half, q).store(to.scales[half][q]);
    }
    if constexpr (Type::kHasMinimum) from.minimum(group, q).store(to.minima[q]);
  }
}

// C (+)= x W^T over `count` groups; `ldg` groups of x lie between its rows.
template <typename V, typename Type, int R, int P, typename Source>
inline void multiply_quantized_tile(std::int64_t count, const std::int8_t* x, std::int64_t ldx,
                                    const ActivationGroup* x_groups, std::int64_t ldg,
                                    const Source& w, const NextBlock<Type, P>& next, float* c,
                                    std::int64_t ldc, bool from_c) {
  using Float = typename V::Float;
  constexpr int kHalves = Type::kScales, kQuadsOfHalf = kQuads / kHalves;
  Float acc[R][P];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
    for (int q = 0; q < P; ++q) {
      acc[r][q] = from_c ? Float::load(c + r * ldc + q * V::kWidth) : Float::zero();
    }
  }
  for (std::int64_t g = 0; g < count; ++g) {
    const std::int8_t* codes = x + g * kQuantizedGroup;
    const ActivationGroup* group = x_groups + g;
    next.prefetch(g);
    unrolled<kHalves>([&](auto half_index) {
      constexpr int kHalf = decltype(half_index)::value;
      typename V::Sums sums[R][P];
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
        for (int q = 0; q < P; ++q) sums[r][q] = V::start(&group[r * ldg].start[kHalf]);
      }
      unrolled<kQuadsOfHalf>([&](auto index) {
        constexpr int kQuad = kHalf * kQuadsOfHalf + decltype(index)::value;
        typename V::Codes w_codes[P];
#pragma GCC unroll 2
        for (int q = 0; q < P; ++q) w_codes[q] = w.template codes<kQuad>(g, q);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
          const typename V::Quad x_quad = V::quad(codes + r * ldx + kQuad * 4);
#pragma GCC unroll 2
          for (int q = 0; q < P; ++q) {
            sums[r][q] = V::template dot<Type::kMostCode>(sums[r][q], w_codes[q], x_quad);
          }
        }
      });
      Float scale[P];
#pragma GCC unroll 2
      for (int q = 0; q < P; ++q) scale[q] = w.scale(g, kHalf, q);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const Float x_scale = Float::broadcast(&group[r * ldg].scale);
#pragma GCC unroll 2
        for (int q = 0; q < P; ++q) {
          acc[r][q] = fma(V::to_float(sums[r][q]) * x_scale, scale[q], acc[r][q]);
        }
      }
    });
    if constexpr (Type::kHasMinimum) {
      Float minimum[P];
#pragma GCC unroll 2
      for (int q = 0; q < P; ++q) minimum[q] = w.minimum(g, q);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const Float x_sum = Float::broadcast(&group[r * ldg].scaled_sum);
#pragma GCC unroll 2
        for (int q = 0; q < P; ++q) acc[r][q] = minus_product(acc[r][q], minimum[q], x_sum);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
    for (int q = 0; q < P; ++q) acc[r][q].store(c + r * ldc + q * V::kWidth);
  }
}

}  // namespace r1::cpu::generic
