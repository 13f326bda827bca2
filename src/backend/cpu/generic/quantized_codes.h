#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "backend/quantized_panels.h"

// How the numbers of a quantised group are read from a chunk, on the registers of one instruction
// set: `V` has columns of 32-bit words (four codes of neighbouring k) in V::Codes, and
//   kWidth, load_codes(p), masked<byte>(c), shifted_left<n>(c), shifted_right<n>(c), joined(a, b),
//   and floats of kWidth columns: V::Float, from_f16(p), from_u8(p), from_i8(p).
namespace r1::cpu::generic {

// A value known at compile time, passed as an argument.
template <int n>
struct Index {
  static constexpr int value = n;
};

// body(Index<0>), ..., body(Index<count - 1>).
template <int count, typename Body>
inline __attribute__((always_inline)) void unrolled(const Body& body) {
  [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
    (body(Index<i>{}), ...);
  }
  (std::make_integer_sequence<int, count>{});
}

// Words of codes[row] of a group.
template <typename V, typename Chunk>
inline typename V::Codes word_row(const Chunk& chunk, std::int64_t group, int row, int column) {
  return V::load_codes(chunk.codes[group] + row * kWordRow + column * 4);
}

template <typename V, int quad, typename Chunk>
inline typename V::Codes nibbles(const Chunk& chunk, std::int64_t group, int column) {
  const typename V::Codes both = word_row<V>(chunk, group, quad % 4, column);
  if constexpr (quad < 4) {
    return V::template masked<0x0F>(both);
  } else {
    return V::template masked<0x0F>(V::template shifted_right<4>(both));
  }
}

// The bits of `mask` << from, moved to `mask` << 4, of each byte.
template <typename V, int from, int mask>
inline typename V::Codes on_top_of_nibble(typename V::Codes words) {
  if constexpr (from < 4) {
    return V::template masked<mask << 4>(V::template shifted_left<4 - from>(words));
  } else {
    return V::template masked<mask << 4>(V::template shifted_right<from - 4>(words));
  }
}

// What the chunks of a type offer: kScales a group, codes<V, quad>, scale<V>, and minimum<V> where
// kHasMinimum. kMostCode bounds the codes, kOffset is subtracted from them.
template <GgmlType type>
struct CodesOf;

template <typename ChunkType>
struct PlainScales {
  using Chunk = ChunkType;
  static constexpr int kScales = 1;
  static constexpr bool kHasMinimum = false;
  template <typename V>
  static typename V::Float scale(const Chunk& chunk, std::int64_t group, int, int column) {
    return V::from_f16(chunk.d[group] + column);
  }
};

template <>
struct CodesOf<GgmlType::q8_0> : PlainScales<ChunkQ8_0> {
  static constexpr int kMostCode = 255, kOffset = code_offset(GgmlType::q8_0);
  template <typename V, int quad>
  static typename V::Codes codes(const Chunk& chunk, std::int64_t group, int column) {
    return word_row<V>(chunk, group, quad, column);
  }
};

template <>
struct CodesOf<GgmlType::q4_0> : PlainScales<ChunkQ4_0> {
  static constexpr int kMostCode = 15, kOffset = code_offset(GgmlType::q4_0);
  template <typename V, int quad>
  static typename V::Codes codes(const Chunk& chunk, std::int64_t group, int column) {
    return nibbles<V, quad>(chunk, group, column);
  }
};

template <typename ChunkType>
struct TwoLevelScales {
  using Chunk = ChunkType;
  static constexpr int kScales = 1;
  static constexpr bool kHasMinimum = true;
  template <typename V>
  static typename V::Float scale(const Chunk& chunk, std::int64_t group, int, int column) {
    return V::from_f16(chunk.d + column) * V::from_u8(chunk.scales[group] + column);
  }
  template <typename V>
  static typename V::Float minimum(const Chunk& chunk, std::int64_t group, int column) {
    return V::from_f16(chunk.dmin + column) * V::from_u8(chunk.minima[group] + column);
  }
};

template <>
struct CodesOf<GgmlType::q4_k> : TwoLevelScales<ChunkQ4K> {
  static constexpr int kMostCode = 15, kOffset = code_offset(GgmlType::q4_k);
  template <typename V, int quad>
  static typename V::Codes codes(const Chunk& chunk, std::int64_t group, int column) {
    return nibbles<V, quad>(chunk, group, column);
  }
};

template <>
struct CodesOf<GgmlType::q5_k> : TwoLevelScales<ChunkQ5K> {
  static constexpr int kMostCode = 31, kOffset = code_offset(GgmlType::q5_k);
  template <typename V, int quad>
  static typename V::Codes codes(const Chunk& chunk, std::int64_t group, int column) {
    return V::joined(nibbles<V, quad>(chunk, group, column),
                     on_top_of_nibble<V, quad, 1>(word_row<V>(chunk, group, 4, column)));
  }
};

template <>
struct CodesOf<GgmlType::q6_k> {
  using Chunk = ChunkQ6K;
  static constexpr int kScales = 2, kMostCode = 63, kOffset = code_offset(GgmlType::q6_k);
  static constexpr bool kHasMinimum = false;
  template <typename V, int quad>
  static typename V::Codes codes(const Chunk& chunk, std::int64_t group, int column) {
    return V::joined(
        nibbles<V, quad>(chunk, group, column),
        on_top_of_nibble<V, 2 * (quad % 4), 3>(word_row<V>(chunk, group, 4 + quad / 4, column)));
  }
  template <typename V>
  static typename V::Float scale(const Chunk& chunk, std::int64_t group, int half, int column) {
    return V::from_f16(chunk.d + column) * V::from_i8(chunk.scales[group][half] + column);
  }
};

// body(CodesOf<type>) for a type known at run time only.
template <typename Body>
inline void with_codes(GgmlType type, const Body& body) {
  switch (type) {
    case GgmlType::q8_0:
      return body(CodesOf<GgmlType::q8_0>{});
    case GgmlType::q4_0:
      return body(CodesOf<GgmlType::q4_0>{});
    case GgmlType::q4_k:
      return body(CodesOf<GgmlType::q4_k>{});
    case GgmlType::q5_k:
      return body(CodesOf<GgmlType::q5_k>{});
    case GgmlType::q6_k:
      return body(CodesOf<GgmlType::q6_k>{});
    default:
      __builtin_trap();
  }
}

}  // namespace r1::cpu::generic
