#include "quant/ggml_type.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace r1 {
namespace {

constexpr std::array kAll = {GgmlType::f32,  GgmlType::f16,  GgmlType::bf16, GgmlType::q8_0,
                             GgmlType::q4_0, GgmlType::q4_k, GgmlType::q5_k, GgmlType::q6_k};

TEST(GgmlTypes, NamesAndNumbersAreInverses) {
  for (const GgmlType type : kAll) {
    EXPECT_EQ(parse_ggml_type(name_of(type)), type);
    EXPECT_EQ(ggml_type_of(static_cast<std::uint32_t>(type)), type);
    EXPECT_EQ(ggml_type_name(static_cast<std::uint32_t>(type)), name_of(type));
  }
  EXPECT_EQ(parse_ggml_type("q4_k"), GgmlType::q4_k);
  EXPECT_EQ(parse_ggml_type("Bf16"), GgmlType::bf16);
  EXPECT_EQ(parse_ggml_type("q4"), std::nullopt);
  EXPECT_EQ(parse_ggml_type("Q2_K"), std::nullopt);
}

TEST(GgmlTypes, ForeignNumbersHaveNamesOnly) {
  EXPECT_EQ(ggml_type_of(10), std::nullopt);
  EXPECT_EQ(ggml_type_name(10), "Q2_K");
  EXPECT_EQ(ggml_type_name(39), "MXFP4");
  EXPECT_EQ(ggml_type_name(4), "type 4");
  EXPECT_EQ(ggml_type_name(4294967295), "type 4294967295");
}

TEST(GgmlTypes, BytesFollowFromTheShape) {
  const auto bytes = [](GgmlType type, std::vector<std::int64_t> shape) {
    return bytes_of(type, shape);
  };
  EXPECT_EQ(bytes(GgmlType::f32, {}), 4u);
  EXPECT_EQ(bytes(GgmlType::bf16, {3, 5}), 30u);
  EXPECT_EQ(bytes(GgmlType::q8_0, {3, 64}), 3u * 2 * 34);
  EXPECT_EQ(bytes(GgmlType::q4_0, {32}), 18u);
  EXPECT_EQ(bytes(GgmlType::q4_k, {2, 3, 512}), 12u * 144);
  EXPECT_EQ(bytes(GgmlType::q5_k, {256}), 176u);
  EXPECT_EQ(bytes(GgmlType::q6_k, {0, 256}), 0u);
  EXPECT_EQ(bytes(GgmlType::q6_k, {256}), 210u);
  // Rows are whole blocks, not only the tensor.
  EXPECT_EQ(bytes(GgmlType::q8_0, {32, 31}), std::nullopt);
  EXPECT_EQ(bytes(GgmlType::q4_k, {256, 32}), std::nullopt);
  EXPECT_EQ(bytes(GgmlType::q8_0, {}), std::nullopt);
  EXPECT_EQ(bytes(GgmlType::f32, {-1}), std::nullopt);
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(bytes(GgmlType::f32, {kMost}), std::nullopt);
  EXPECT_EQ(bytes(GgmlType::f16, {kMost / 2}), static_cast<std::uint64_t>(kMost - 1));
  EXPECT_EQ(bytes(GgmlType::q4_k, {std::int64_t{1} << 32, std::int64_t{1} << 32}), std::nullopt);
}

}  // namespace
}  // namespace r1
