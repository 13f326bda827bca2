#include "quant/ggml_type.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/error.h"
#include "quant/ggml_blocks.h"

namespace r1 {
namespace {

struct Entry {
  GgmlType type;
  std::string_view name;
  GgmlBlockSize size;
};

constexpr std::array kEntries = {
    Entry{GgmlType::f32, "F32", {1, 4}},
    Entry{GgmlType::f16, "F16", {1, 2}},
    Entry{GgmlType::bf16, "BF16", {1, 2}},
    Entry{GgmlType::q8_0, "Q8_0", {kSmallBlock, sizeof(BlockQ8_0)}},
    Entry{GgmlType::q4_0, "Q4_0", {kSmallBlock, sizeof(BlockQ4_0)}},
    Entry{GgmlType::q4_k, "Q4_K", {kSuperBlock, sizeof(BlockQ4K)}},
    Entry{GgmlType::q5_k, "Q5_K", {kSuperBlock, sizeof(BlockQ5K)}},
    Entry{GgmlType::q6_k, "Q6_K", {kSuperBlock, sizeof(BlockQ6K)}},
};

const Entry& entry_of(GgmlType type) {
  for (const Entry& entry : kEntries) {
    if (entry.type == type) return entry;
  }
  check_failed(__FILE__, __LINE__, "known type", fmt::format("{}", static_cast<unsigned>(type)));
}

struct Foreign {
  std::uint32_t number;
  std::string_view name;
};

// Types of ggml that r1 does not decode, so that an error can name them.
constexpr std::array kForeign = {
    Foreign{3, "Q4_1"},    Foreign{6, "Q5_0"},     Foreign{7, "Q5_1"},    Foreign{9, "Q8_1"},
    Foreign{10, "Q2_K"},   Foreign{11, "Q3_K"},    Foreign{15, "Q8_K"},   Foreign{16, "IQ2_XXS"},
    Foreign{17, "IQ2_XS"}, Foreign{18, "IQ3_XXS"}, Foreign{19, "IQ1_S"},  Foreign{20, "IQ4_NL"},
    Foreign{21, "IQ3_S"},  Foreign{22, "IQ2_S"},   Foreign{23, "IQ4_XS"}, Foreign{24, "I8"},
    Foreign{25, "I16"},    Foreign{26, "I32"},     Foreign{27, "I64"},    Foreign{28, "F64"},
    Foreign{29, "IQ1_M"},  Foreign{34, "TQ1_0"},   Foreign{35, "TQ2_0"},  Foreign{39, "MXFP4"},
    Foreign{40, "NVFP4"},
};

constexpr char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

}  // namespace

GgmlBlockSize block_size(GgmlType type) { return entry_of(type).size; }

std::string_view name_of(GgmlType type) { return entry_of(type).name; }

std::optional<GgmlType> parse_ggml_type(std::string_view name) {
  for (const Entry& entry : kEntries) {
    if (std::ranges::equal(entry.name, name, {}, {}, upper)) return entry.type;
  }
  return std::nullopt;
}

std::optional<GgmlType> ggml_type_of(std::uint32_t number) {
  for (const Entry& entry : kEntries) {
    if (static_cast<std::uint32_t>(entry.type) == number) return entry.type;
  }
  return std::nullopt;
}

std::string ggml_type_name(std::uint32_t number) {
  if (const std::optional<GgmlType> type = ggml_type_of(number)) return std::string(name_of(*type));
  for (const Foreign& foreign : kForeign) {
    if (foreign.number == number) return std::string(foreign.name);
  }
  return fmt::format("type {}", number);
}

std::optional<std::uint64_t> bytes_of(GgmlType type, std::span<const std::int64_t> shape) {
  const GgmlBlockSize block = block_size(type);
  std::int64_t elements = 1;
  bool overflows = false;
  for (const std::int64_t dimension : shape) {
    if (dimension < 0) return std::nullopt;
    overflows |= __builtin_mul_overflow(elements, dimension, &elements);
  }
  const std::int64_t row = shape.empty() ? 1 : shape.back();
  if (overflows || static_cast<std::uint64_t>(row) % block.values != 0) return std::nullopt;
  const std::uint64_t blocks = static_cast<std::uint64_t>(elements) / block.values;
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
  if (blocks > kMost / block.bytes) return std::nullopt;
  return blocks * block.bytes;
}

}  // namespace r1
