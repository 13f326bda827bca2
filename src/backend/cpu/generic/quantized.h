#pragma once

#include "backend/cpu/generic/gemm_multiply.h"
#include "backend/cpu/generic/quantized_tile.h"

// Products with quantised weights on one instruction set: `V` as quantized_tile.h describes, with
// tiles of kRows rows by kColumns registers, and `L`, its F32x16.
namespace r1::cpu::generic {

template <typename V, typename Type>
class QuantizedProduct {
 public:
  QuantizedProduct(const QuantizedShape& shape, const std::int8_t* codes,
                   const ActivationGroup* groups, const std::byte* panels, float* c)
      : s_(shape),
        groups_of_k_(shape.k / kQuantizedGroup),
        codes_(codes),
        groups_(groups),
        panels_(panels),
        c_(c) {}

  void run() {
    // Few rows take the weights as they are packed, a panel straight through or in blocks that stay
    // in L1 for the second tile; more rows repay decoding a block once for all of them.
    const bool decoded = s_.m > 2 * V::kRows;
    const std::int64_t block = s_.m <= V::kRows ? groups_of_k_ : kBlockGroups;
    for (std::int64_t j = 0; j < s_.n; j += kTileColumns) {
      if (groups_of_k_ == 0) multiply_columns(j, 0, 0, false);
      for (std::int64_t g = 0; g < groups_of_k_; g += block) {
        const std::int64_t left = groups_of_k_ - g;
        multiply_columns(j, g, left < block ? left : block, decoded);
      }
    }
  }

 private:
  using Chunk = typename Type::Chunk;
  static constexpr int P = V::kColumns;
  static constexpr std::int64_t kTileColumns = P * V::kWidth;
  static constexpr std::int64_t kBlockGroups = 16;
  static_assert(kBlockGroups % Chunk::kGroups == 0);
  using Packed = PackedGroups<V, Type, P>;
  using Decoded = DecodedGroups<V, Type, P>;
  using Next = NextBlock<Type, P>;
  static constexpr std::int64_t kAhead = 2048;  // bytes of a panel; hides the latency of memory

  std::int64_t chunks() const { return (groups_of_k_ + Chunk::kGroups - 1) / Chunk::kGroups; }
  const Chunk* chunk_at(std::int64_t column, std::int64_t group) const {
    return reinterpret_cast<const Chunk*>(panels_) + column / kPanelWidth * chunks() +
           group / Chunk::kGroups;
  }

  void multiply_columns(std::int64_t column, std::int64_t group, std::int64_t count, bool decode) {
    Packed packed;
    Next next;
    for (int q = 0; q < P; ++q) {
      const std::int64_t first = column + q * V::kWidth;
      packed.chunks[q] = chunk_at(first, group);
      packed.column[q] = static_cast<int>(first % kPanelWidth);
      next.first[q] = reinterpret_cast<const std::byte*>(count == groups_of_k_ ? packed.chunks[q]
                                                         : group + count < groups_of_k_
                                                             ? chunk_at(first, group + count)
                                                             : chunk_at(first + kTileColumns, 0));
      if (count == groups_of_k_) next.first[q] += kAhead;
    }
    if (!decode) return multiply_rows(column, group, count, packed, next);
    for (std::int64_t g = 0; g < count; ++g) decode_group<V, Type, P>(packed, g, decoded_[g]);
    multiply_rows(column, group, count, Decoded{decoded_}, next);
  }

  template <typename Source>
  void multiply_rows(std::int64_t column, std::int64_t group, std::int64_t count,
                     const Source& source, Next next) const {
    const bool from_c = s_.accumulate || group > 0;
    // As even as can be: 4 + 4 rows rather than 6 + 2.
    next.tiles = (s_.m + V::kRows - 1) / V::kRows;
    const std::int64_t step = next.tiles == 0 ? 0 : (s_.m + next.tiles - 1) / next.tiles;
    next.tile = 0;
    for (std::int64_t i = 0; i < s_.m; i += step, ++next.tile) {
      const std::int64_t rows = step < s_.m - i ? step : s_.m - i;
      const std::int8_t* x = codes_ + i * s_.ldx + group * kQuantizedGroup;
      const ActivationGroup* x_groups = groups_ + i * groups_of_k_ + group;
      on_whole_columns<kTileColumns>(
          rows, s_.n - column, c_ + i * s_.ldc + column, s_.ldc, [&](float* c, std::int64_t ldc) {
            with_rows<V::kRows>(rows, [&](auto r) {
              multiply_quantized_tile<V, Type, decltype(r)::value, P>(
                  count, x, s_.ldx, x_groups, groups_of_k_, source, next, c, ldc, from_c);
            });
          });
    }
  }

  const QuantizedShape s_;
  const std::int64_t groups_of_k_;
  const std::int8_t* const codes_;
  const ActivationGroup* const groups_;
  const std::byte* const panels_;
  float* const c_;
  typename Decoded::Group decoded_[kBlockGroups];
};

template <typename V>
void multiply_quantized(GgmlType type, const QuantizedShape& shape, const std::int8_t* codes,
                        const ActivationGroup* groups, const std::byte* panels, float* c) {
  with_codes(type, [&](auto codes_of) {
    QuantizedProduct<V, decltype(codes_of)>(shape, codes, groups, panels, c).run();
  });
}

template <typename V>
void decode_quantized(GgmlType type, std::int64_t k, const std::byte* panels,
                      std::int64_t panel_count, std::int64_t first, std::int64_t count,
                      r1::bf16* out) {
  with_codes(type, [&](auto codes_of) {
    using Type = decltype(codes_of);
    using Chunk = typename Type::Chunk;
    using Float = typename V::Float;
    const float offset_value = static_cast<float>(Type::kOffset);
    const Float offset = Float::broadcast(&offset_value);
    const std::int64_t chunk_k = Chunk::kGroups * kQuantizedGroup;
    const std::int64_t chunks = (k + chunk_k - 1) / chunk_k;
    for (std::int64_t panel = 0; panel < panel_count; ++panel) {
      const Chunk* from = reinterpret_cast<const Chunk*>(panels) + panel * chunks;
      for (std::int64_t at = first; at < first + count; at += kQuantizedGroup) {
        const std::int64_t group = at / kQuantizedGroup;
        const Chunk& chunk = from[group / Chunk::kGroups];
        const std::int64_t g = group % Chunk::kGroups;
        for (int column = 0; column < kPanelWidth; column += V::kWidth) {
          r1::bf16* pairs = out + (panel * count + at - first) * kPanelWidth + column * 2;
          unrolled<kQuads>([&](auto quad) {
            constexpr int kQuad = decltype(quad)::value;
            const typename V::Codes codes = Type::template codes<V, kQuad>(chunk, g, column);
            const Float scale =
                Type::template scale<V>(chunk, g, kQuad * Type::kScales / kQuads, column);
            Float values[4];
            unrolled<4>([&](auto byte) {
              constexpr int kByte = decltype(byte)::value;
              const Float code = V::template code_value<kByte>(codes);
              if constexpr (Type::kHasMinimum) {
                values[kByte] = scale * code - Type::template minimum<V>(chunk, g, column);
              } else {
                values[kByte] = scale * (code - offset);
              }
            });
            Float::interleave(values[0], values[1]).store_bits(pairs + kQuad * 4 * kPanelWidth);
            Float::interleave(values[2], values[3])
                .store_bits(pairs + (kQuad * 4 + 2) * kPanelWidth);
          });
        }
      }
    }
  });
}

// The activations of a group of 32, in the two halves that Q6_K's scales go with.
template <typename L>
void quantize_group(GgmlType type, const float* x, std::int8_t* codes, ActivationGroup& group) {
  constexpr float kLargestFinite = 3.40282347e38f, kSmallest = 0x1p-100f;
  constexpr float kRounder =
      0x1.8p23f;  // added and subtracted: to the nearest integer, ties to even
  L half[2] = {L::load(x), L::load(x + kPanelWidth)};
  const float largest = reduce_max(max(max(half[0], -half[0]), max(half[1], -half[1])));
  const bool finite = !any(is_nan(half[0])) && !any(is_nan(half[1])) && largest <= kLargestFinite;
  const bool zero = !finite || largest < kSmallest;
  const L inverse = L::broadcast(zero ? 0.0f : 127.0f / largest), rounder = L::broadcast(kRounder);
  float sums[2] = {0.0f, 0.0f};
  for (int h = 0; h < 2; ++h) {
    L code = L::zero();
    if (!zero) code = half[h] * inverse + rounder - rounder;
    code.store_int8(codes + h * kPanelWidth);
    sums[h] = reduce_add(code);
  }
  group.scale = finite ? (zero ? 0.0f : largest / 127.0f) : __builtin_nanf("");
  group.scaled_sum = group.scale * (sums[0] + sums[1]);
  const int offset = code_offset(type);
  const int first = static_cast<int>(sums[0]), second = static_cast<int>(sums[1]);
  const bool split = type == GgmlType::q6_k;
  group.start[0] = -offset * (split ? first : first + second);
  group.start[1] = split ? -offset * second : 0;
}

template <typename L>
void quantize_rows(GgmlType type, const float* x, std::int64_t stride, std::int64_t rows,
                   std::int64_t k, std::int8_t* codes, std::int64_t ldx, ActivationGroup* groups) {
  const std::int64_t count = k / kQuantizedGroup;
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t g = 0; g < count; ++g) {
      quantize_group<L>(type, x + row * stride + g * kQuantizedGroup,
                        codes + row * ldx + g * kQuantizedGroup, groups[row * count + g]);
    }
  }
}

template <typename L>
void decode_q8_0_rows(const std::byte* from, std::int64_t row_bytes, std::int64_t rows,
                      std::int64_t first_block, std::int64_t blocks, r1::bf16* out,
                      std::int64_t out_stride) {
  constexpr std::int64_t kBlockBytes = 34;
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::byte* block = from + row * row_bytes + first_block * kBlockBytes;
    r1::bf16* to = out + row * out_stride;
    for (std::int64_t b = 0; b < blocks; ++b, block += kBlockBytes, to += kQuantizedGroup) {
      f16 d;
      __builtin_memcpy(&d, block, sizeof d);
      const L scale = L::broadcast(to_float(d));
      const auto* codes = reinterpret_cast<const std::int8_t*>(block + sizeof d);
      (scale * L::load(codes)).store(to);
      (scale * L::load(codes + kPanelWidth)).store(to + kPanelWidth);
    }
  }
}

template <typename V, typename L>
constexpr QuantizedKernels quantized_kernels_on() {
  return QuantizedKernels{.quantize_rows = quantize_rows<L>,
                          .multiply = multiply_quantized<V>,
                          .decode = decode_quantized<V>,
                          .decode_q8_0_rows = decode_q8_0_rows<L>};
}

}  // namespace r1::cpu::generic
