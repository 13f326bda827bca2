// The definition of the products with quantised weights: every other instruction set gives these
// bits.
#include "backend/cpu/generic/quantized_codes.h"
#include "backend/cpu/instruction_sets.h"
#include "quant/ggml_blocks.h"

namespace r1::cpu::scalar {
namespace {

// One column at a time: a word of four codes, a number.
struct Column {
  using Codes = std::uint32_t;
  using Float = float;
  static constexpr int kWidth = 1;

  static Codes load_codes(const std::byte* p) {
    Codes word;
    __builtin_memcpy(&word, p, sizeof word);
    return word;
  }
  template <int byte>
  static Codes masked(Codes codes) {
    return codes & 0x01010101u * byte;
  }
  template <int n>
  static Codes shifted_left(Codes codes) {
    return codes << n;
  }
  template <int n>
  static Codes shifted_right(Codes codes) {
    return codes >> n;
  }
  static Codes joined(Codes a, Codes b) { return a | b; }
  static Float from_f16(const f16* p) { return r1::to_float(*p); }
  static Float from_u8(const std::uint8_t* p) { return static_cast<float>(*p); }
  static Float from_i8(const std::int8_t* p) { return static_cast<float>(*p); }
};

// A group of one column of W.
struct Group {
  int codes[kQuantizedGroup];
  float scales[2];
  float minimum;
};

template <typename Type>
Group group_of(const std::byte* panels, std::int64_t k, std::int64_t n, std::int64_t group) {
  using Chunk = typename Type::Chunk;
  const std::int64_t chunk_k = Chunk::kGroups * kQuantizedGroup;
  const std::int64_t chunks = (k + chunk_k - 1) / chunk_k;
  const Chunk& chunk =
      reinterpret_cast<const Chunk*>(panels)[n / kPanelWidth * chunks + group / Chunk::kGroups];
  const int column = static_cast<int>(n % kPanelWidth);
  const std::int64_t g = group % Chunk::kGroups;
  Group result{};
  generic::unrolled<kQuads>([&](auto quad) {
    constexpr int kQuad = decltype(quad)::value;
    const std::uint32_t word = Type::template codes<Column, kQuad>(chunk, g, column);
    for (int i = 0; i < 4; ++i) result.codes[4 * kQuad + i] = word >> (8 * i) & 255;
  });
  for (int half = 0; half < Type::kScales; ++half) {
    result.scales[half] = Type::template scale<Column>(chunk, g, half, column);
  }
  if constexpr (Type::kHasMinimum)
    result.minimum = Type::template minimum<Column>(chunk, g, column);
  return result;
}

void multiply(GgmlType type, const QuantizedShape& s, const std::int8_t* codes,
              const ActivationGroup* groups, const std::byte* panels, float* c) {
  generic::with_codes(type, [&](auto codes_of) {
    using Type = decltype(codes_of);
    constexpr int kPart = kQuantizedGroup / Type::kScales;  // values that share a scale
    const std::int64_t count = s.k / kQuantizedGroup;
    for (std::int64_t j = 0; j < s.n; ++j) {
      for (std::int64_t i = 0; i < s.m && !s.accumulate; ++i) c[i * s.ldc + j] = 0.0f;
      for (std::int64_t g = 0; g < count; ++g) {
        const Group w = group_of<Type>(panels, s.k, j, g);
        for (std::int64_t i = 0; i < s.m; ++i) {
          const std::int8_t* x = codes + i * s.ldx + g * kQuantizedGroup;
          const ActivationGroup& x_group = groups[i * count + g];
          float& acc = c[i * s.ldc + j];
          for (int part = 0; part < Type::kScales; ++part) {
            int sum = x_group.start[part];
            for (int l = part * kPart; l < (part + 1) * kPart; ++l) sum += w.codes[l] * x[l];
            acc = __builtin_fmaf(static_cast<float>(sum) * x_group.scale, w.scales[part], acc);
          }
          if (Type::kHasMinimum) acc = __builtin_fmaf(-w.minimum, x_group.scaled_sum, acc);
        }
      }
    }
  });
}

void decode(GgmlType type, std::int64_t k, const std::byte* panels, std::int64_t panel_count,
            std::int64_t first, std::int64_t count, r1::bf16* out) {
  generic::with_codes(type, [&](auto codes_of) {
    using Type = decltype(codes_of);
    for (std::int64_t j = 0; j < panel_count * kPanelWidth; ++j) {
      for (std::int64_t at = first; at < first + count; at += kQuantizedGroup) {
        const Group w = group_of<Type>(panels, k, j, at / kQuantizedGroup);
        for (int l = 0; l < kQuantizedGroup; ++l) {
          const float scale = w.scales[l * Type::kScales / kQuantizedGroup];
          const float value = scale * static_cast<float>(w.codes[l] - Type::kOffset) - w.minimum;
          const std::int64_t row = j / kPanelWidth * count + at - first + l / 2 * 2;
          out[row * kPanelWidth + j % kPanelWidth * 2 + l % 2] = round_to_bf16(value);
        }
      }
    }
  });
}

std::uint32_t magnitude(float value) {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits & 0x7FFFFFFFu;
}

void quantize_rows(GgmlType type, const float* x, std::int64_t stride, std::int64_t rows,
                   std::int64_t k, std::int8_t* codes, std::int64_t ldx, ActivationGroup* groups) {
  constexpr std::uint32_t kInfinity = 0x7F800000u;
  constexpr float kSmallest = 0x1p-100f;  // the reciprocal of something smaller would overflow
  constexpr int kHalf = kQuantizedGroup / 2;
  for (std::int64_t at = 0; at < rows * k; at += kQuantizedGroup) {
    const float* from = x + at / k * stride + at % k;
    std::int8_t* to = codes + at / k * ldx + at % k;
    float largest = 0.0f;
    for (int l = 0; l < kQuantizedGroup; ++l) {
      if (magnitude(from[l]) > magnitude(largest)) largest = from[l];
    }
    const bool finite = magnitude(largest) < kInfinity;
    largest = __builtin_fabsf(largest);
    const bool zero = !finite || largest < kSmallest;
    const float inverse = zero ? 0.0f : 127.0f / largest;
    int sums[2] = {0, 0};
    for (int l = 0; l < kQuantizedGroup; ++l) {
      const int code = zero ? 0 : static_cast<int>(__builtin_rintf(from[l] * inverse));
      to[l] = static_cast<std::int8_t>(code);
      sums[l / kHalf] += code;
    }
    ActivationGroup& group = groups[at / kQuantizedGroup];
    group.scale = finite ? (zero ? 0.0f : largest / 127.0f) : __builtin_nanf("");
    group.scaled_sum = group.scale * static_cast<float>(sums[0] + sums[1]);
    const int offset = code_offset(type);
    const bool split = type == GgmlType::q6_k;
    group.start[0] = -offset * (split ? sums[0] : sums[0] + sums[1]);
    group.start[1] = split ? -offset * sums[1] : 0;
  }
}

void decode_q8_0_rows(const std::byte* from, std::int64_t row_bytes, std::int64_t rows,
                      std::int64_t first_block, std::int64_t blocks, r1::bf16* out,
                      std::int64_t out_stride) {
  for (std::int64_t i = 0; i < rows * blocks * kQuantizedGroup; ++i) {
    const std::int64_t row = i / (blocks * kQuantizedGroup), at = i % (blocks * kQuantizedGroup);
    BlockQ8_0 block;
    __builtin_memcpy(
        &block,
        from + row * row_bytes + (first_block + at / kQuantizedGroup) * std::int64_t{sizeof block},
        sizeof block);
    const std::int8_t code = block.q.data()[at % kQuantizedGroup];
    out[row * out_stride + at] = round_to_bf16(r1::to_float(block.d) * static_cast<float>(code));
  }
}

}  // namespace

const QuantizedKernels& quantized_kernels() {
  static constexpr QuantizedKernels kTable{.quantize_rows = quantize_rows,
                                           .multiply = multiply,
                                           .decode = decode,
                                           .decode_q8_0_rows = decode_q8_0_rows};
  return kTable;
}

}  // namespace r1::cpu::scalar
