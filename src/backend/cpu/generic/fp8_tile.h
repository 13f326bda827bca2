#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/cpu/generic/gemm_tile.h"
#include "backend/fp8_kernels.h"

// How FP8 codes become bf16 on one instruction set, and the register tile of their products.
//
// A weight is scale * (1 + f / 8) * 2^(e - 7), and its rounding does not depend on e. So a table by
// sign and fraction holds the rounded values for e = 0, and e is added to their exponents. Codes
// with e = 0 have no leading one: they have a second table.
//
// `V` works on kWidth columns:
//   Float, their numbers (gemm_tile.h); Pairs, their pairs of bf16, with even(pairs), odd(pairs),
//   load(p), store(pairs, p);
//   Tables, of 16 bf16 each: tables(normal, subnormal) from as many floats;
//   unpack<subnormals>(codes, tables, first, second): both pairs of a square.
namespace r1::cpu::generic {

// By sign and fraction.
alignas(64) inline constexpr float kFp8Significands[16] = {
    0x1.0p-7f,  0x1.2p-7f,  0x1.4p-7f,  0x1.6p-7f,  0x1.8p-7f,  0x1.Ap-7f,  0x1.Cp-7f,  0x1.Ep-7f,
    -0x1.0p-7f, -0x1.2p-7f, -0x1.4p-7f, -0x1.6p-7f, -0x1.8p-7f, -0x1.Ap-7f, -0x1.Cp-7f, -0x1.Ep-7f};
alignas(64) inline constexpr float kFp8Subnormals[16] = {
    0.0f,  0x1p-9f,  0x1p-8f,  0x1.8p-8f,  0x1p-7f,  0x1.4p-7f,  0x1.8p-7f,  0x1.Cp-7f,
    -0.0f, -0x1p-9f, -0x1p-8f, -0x1.8p-8f, -0x1p-7f, -0x1.4p-7f, -0x1.8p-7f, -0x1.Cp-7f};

template <typename V>
inline typename V::Tables fp8_tables(float scale) {
  using Float = typename V::Float;
  constexpr int P = kPanelWidth / V::kWidth;
  const Float factor = Float::broadcast(&scale);
  Float normal[P], subnormal[P];
  for (int q = 0; q < P; ++q) {
    normal[q] = factor * Float::load(kFp8Significands + q * V::kWidth);
    subnormal[q] = factor * Float::load(kFp8Subnormals + q * V::kWidth);
  }
  return V::tables(normal, subnormal);
}

// The squares of a block of 32 k, one after the other, with the code around them.
template <typename V>
class Fp8Block {
 public:
  static constexpr int P = kPanelWidth / V::kWidth;
  using Square = typename V::Pairs[2][P];

  // At p, a multiple of 32; `tables` are of the scale there.
  Fp8Block(const Fp8Panel& panel, std::int64_t k, std::int64_t p, const typename V::Tables& tables)
      : panel_(panel), k_(k), p_(p), tables_(tables) {}

  // body(square, Square) of squares 0 ... 7.
  template <typename Body>
  inline __attribute__((always_inline)) void for_squares(const Body& body) const {
    switch (panel_.kind_at(p_)) {
      case Fp8Kind::normal:
        return unpack_squares<false>(body);
      case Fp8Kind::subnormals:
        return unpack_squares<true>(body);
      case Fp8Kind::any:
        return look_up_squares(body);
    }
  }

 private:
  static constexpr std::int64_t kSquares = kBf16KBlock / kFp8Square;
  static constexpr std::int64_t kAhead = 3072;  // bytes of a panel; hides the latency of memory

  template <bool subnormals, typename Body>
  inline __attribute__((always_inline)) void unpack_squares(const Body& body) const {
    const std::byte* codes = panel_.square_at(p_);
#pragma GCC unroll 8
    for (std::int64_t square = 0; square < kSquares; ++square, codes += kFp8SquareBytes) {
      __builtin_prefetch(codes + kAhead);
      Square pairs;
#pragma GCC unroll 2
      for (int q = 0; q < P; ++q) {
        V::template unpack<subnormals>(codes + q * (kFp8SquareBytes / P), tables_, pairs[0][q],
                                       pairs[1][q]);
      }
      body(square, pairs);
    }
  }

  template <typename Body>
  void look_up_squares(const Body& body) const {
    bf16 table[256], values[kBf16KBlock * kPanelWidth];
    fp8_table(panel_.chunk_at(p_).scale, table);
    for (std::int64_t p = 0; p < kBf16KBlock; ++p) {
      for (std::int64_t column = 0; column < kPanelWidth; ++column) {
        bf16& value = values[p / 2 * 2 * kPanelWidth + column * 2 + p % 2];
        value.bits = p_ + p < k_ ? table[fp8_code_of(panel_.code(p_ + p, column)).bits].bits : 0;
      }
    }
    for (std::int64_t square = 0; square < kSquares; ++square) {
      Square pairs;
      for (int pair = 0; pair < 2; ++pair) {
        for (int q = 0; q < P; ++q) {
          pairs[pair][q] =
              V::load(values + ((square * 2 + pair) * kPanelWidth + q * V::kWidth) * 2);
        }
      }
      body(square, pairs);
    }
  }

  const Fp8Panel& panel_;
  const std::int64_t k_, p_;
  const typename V::Tables& tables_;
};

// body(p, block) of the blocks of [first, first + count).
template <typename V, typename Body>
inline void for_fp8_blocks(const Fp8Panel& panel, std::int64_t k, std::int64_t first,
                           std::int64_t count, const Body& body) {
  typename V::Tables tables;
  for (std::int64_t p = first; p < first + count; p += kBf16KBlock) {
    if (p == first || p % kFp8Block == 0) tables = fp8_tables<V>(panel.chunk_at(p).scale);
    body(p, Fp8Block<V>(panel, k, p, tables));
  }
}

// C (+)= A W^T over k in [first, first + count) for R rows and the columns of a panel. Rows of A
// are widened, `stride` apart, and begin at k = first.
template <typename V, int R>
inline void multiply_tile_fp8(const Fp8Panel& panel, std::int64_t k, std::int64_t first,
                              std::int64_t count, const float* a, std::int64_t stride, float* c,
                              std::int64_t ldc, bool from_c) {
  using Float = typename V::Float;
  constexpr int P = Fp8Block<V>::P;
  for_fp8_blocks<V>(panel, k, first, count, [&](std::int64_t p, const Fp8Block<V>& block) {
    Float even[R][P], odd[R][P];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
      for (int q = 0; q < P; ++q) even[r][q] = odd[r][q] = Float::zero();
    }
    block.for_squares([&](
        std::int64_t square,
        const typename Fp8Block<V>::Square& pairs) __attribute__((always_inline)) {
#pragma GCC unroll 2
      for (int pair = 0; pair < 2; ++pair) {
        const float* x = a + p - first + square * kFp8Square + pair * 2;
#pragma GCC unroll 2
        for (int q = 0; q < P; ++q) {
          const Float w_even = V::even(pairs[pair][q]), w_odd = V::odd(pairs[pair][q]);
#pragma GCC unroll 8
          for (int r = 0; r < R; ++r) {
            even[r][q] = fma(Float::broadcast(x + r * stride), w_even, even[r][q]);
            odd[r][q] = fma(Float::broadcast(x + r * stride + 1), w_odd, odd[r][q]);
          }
        }
      }
    });
    const bool start = p == first && !from_c;
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
      for (int q = 0; q < P; ++q) {
        float* at = c + r * ldc + q * V::kWidth;
        const Float acc = start ? Float::zero() : Float::load(at);
        (acc + (even[r][q] + odd[r][q])).store(at);
      }
    }
  });
}

}  // namespace r1::cpu::generic
