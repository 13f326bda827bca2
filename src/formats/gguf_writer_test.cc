#include "formats/gguf_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <functional>
#include <limits>

#include "base/error.h"
#include "base/rng.h"
#include "formats/gguf.h"
#include "formats/gguf_test_file.h"
#include "quant/ggml_blocks.h"

namespace r1 {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

class GgufWriterFiles : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "r1_gguf_test_XXXXXX").native();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    path_ = directory_ / "m.gguf";
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string written() const { return read_text_file(path_, 64 << 20); }

  fs::path directory_;
  fs::path path_;
};

std::vector<float> random_values(std::size_t count) {
  Rng rng(count);
  std::vector<float> values(count);
  for (float& value : values) value = 0.05f * rng.normal();
  return values;
}

TEST_F(GgufWriterFiles, TheBytesAreThoseOfTheFormat) {
  namespace t = gguf_test;
  GgufMetadataBuilder metadata;
  metadata.set("general.architecture", "llama");
  metadata.set("llama.block_count", std::uint32_t{2});
  metadata.set("tokens", std::vector<std::string>{"a", "\u4f60"});
  metadata.set("scores", std::vector<float>{0.5f, -1.0f});
  const std::vector<float> w = {1, 2, 3, 4, 5, 6};
  {
    GgufWriter writer(path_, metadata, {{"w", GgmlType::f32, {3, 2}}, {"v", GgmlType::f16, {1}}});
    writer.append("w", w);
    writer.append("v", std::vector<float>{-2});
    EXPECT_FALSE(fs::exists(path_));
    writer.commit();
  }
  t::Parts parts;
  parts.entries = {
      t::entry("general.architecture", 8, t::text("llama")),
      t::entry("llama.block_count", 4, t::number(std::uint32_t{2})),
      t::entry("tokens", 9, t::array(8, 2, t::text("a") + t::text("\u4f60"))),
      t::entry("scores", 9, t::array(6, 2, t::number(0.5f) + t::number(-1.0f))),
  };
  parts.tensors = {t::tensor("w", {2, 3}, 0, 0), t::tensor("v", {1}, 1, 32)};
  for (const float value : w) parts.data += t::number(value);
  parts.data += std::string(8, '\0') + std::string("\0\xC0", 2) + std::string(30, '\0');
  EXPECT_EQ(written(), t::file(parts));
}

TEST_F(GgufWriterFiles, WritesWhatItReads) {
  const std::vector<float> values = random_values(4 * 5120);
  GgufMetadataBuilder metadata;
  metadata.set("u8", std::uint8_t{1});
  metadata.set("i8", std::int8_t{-1});
  metadata.set("u16", std::uint16_t{2});
  metadata.set("i16", std::int16_t{-2});
  metadata.set("i32", std::int32_t{-3});
  metadata.set("u64", std::numeric_limits<std::uint64_t>::max());
  metadata.set("i64", std::int64_t{-4});
  metadata.set("f64", 0.1);
  metadata.set("yes", true);
  metadata.set("empty", std::vector<std::string>{});
  metadata.set("flags", std::vector<bool>{true, false, true});
  EXPECT_EQ(metadata.count(), 11u);
  const std::vector<GgmlType> types = {GgmlType::f32,  GgmlType::f16,  GgmlType::bf16,
                                       GgmlType::q8_0, GgmlType::q4_0, GgmlType::q4_k,
                                       GgmlType::q5_k, GgmlType::q6_k};
  std::vector<GgufTensorSpec> specs = {{"none", GgmlType::q8_0, {0, 32}}};
  for (const GgmlType type : types) {
    specs.push_back({std::string(name_of(type)), type, {2, 2, 5120}});
  }
  specs.push_back({"scalar", GgmlType::f32, {}});
  specs.push_back({"nothing", GgmlType::f32, {0}});
  GgufWriter writer(path_, metadata, specs);
  for (const GgmlType type : types) {
    // In parts that are not the writer's own.
    writer.append(name_of(type), std::span(values).first(256));
    writer.append(name_of(type), std::span(values).subspan(256));
  }
  writer.append("scalar", std::vector<float>{7});
  writer.commit();

  const GgufFile file = GgufFile::open(path_);
  ASSERT_EQ(file.tensors().size(), specs.size());
  for (std::size_t i = 0; i < specs.size(); ++i) {
    EXPECT_EQ(file.tensors()[i].name, specs[i].name);
    EXPECT_EQ(file.tensors()[i].shape, specs[i].shape);
    EXPECT_EQ(file.tensors()[i].type, specs[i].type);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(file.tensors()[i].bytes.data()) % 32, 0u);
  }
  for (const GgmlType type : types) {
    const GgufTensor& tensor = file.at(name_of(type));
    std::vector<std::byte> encoded(tensor.bytes.size());
    quantize(type, values, encoded, "w");
    EXPECT_TRUE(std::ranges::equal(encoded, tensor.bytes)) << name_of(type);
    std::vector<float> decoded(values.size());
    dequantize(type, encoded, decoded);
    EXPECT_THAT(load_f32(tensor).span(), testing::ElementsAreArray(decoded));
  }
  EXPECT_THAT(load_f32(file.at("scalar")).span(), ElementsAre(7.0f));
  EXPECT_EQ(load_f32(file.at("none")).size(), 0u);
  EXPECT_EQ(written().size() % 32, 0u);

  const GgufMetadata& read = file.metadata();
  EXPECT_EQ(read.keys().size(), 11u);
  EXPECT_EQ(read.require<int>("u8"), 1);
  EXPECT_EQ(read.require<int>("i8"), -1);
  EXPECT_EQ(read.require<int>("u16"), 2);
  EXPECT_EQ(read.require<int>("i16"), -2);
  EXPECT_EQ(read.require<int>("i32"), -3);
  EXPECT_EQ(read.require<std::uint64_t>("u64"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(read.require<int>("i64"), -4);
  EXPECT_EQ(read.require<double>("f64"), 0.1);
  EXPECT_TRUE(read.require<bool>("yes"));
  EXPECT_TRUE(read.require<std::vector<std::string>>("empty").empty());
  EXPECT_THAT(read.require<std::vector<bool>>("flags"), ElementsAre(true, false, true));
  EXPECT_EQ(read.find("i16")->type, GgufType::i16);
}

TEST_F(GgufWriterFiles, OtherAlignmentsAreDeclared) {
  for (const std::uint32_t alignment : {1u, 64u, 4096u}) {
    GgufMetadataBuilder metadata;
    metadata.set("k", 1.0f);
    GgufWriter writer(path_, metadata, {{"a", GgmlType::f32, {3}}, {"b", GgmlType::f32, {3}}},
                      alignment);
    writer.append("a", std::vector<float>{1, 2, 3});
    writer.append("b", std::vector<float>{4, 5, 6});
    writer.commit();
    const GgufFile file = GgufFile::open(path_);
    EXPECT_EQ(file.alignment(), alignment);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(file.at("b").bytes.data()) % alignment, 0u);
    EXPECT_THAT(load_f32(file.at("b")).span(), ElementsAre(4, 5, 6));
    EXPECT_EQ(file.metadata().require<float>("k"), 1.0f);
  }
}

TEST_F(GgufWriterFiles, RealFilesAreRewrittenUnchanged) {
  const fs::path tokenizers = "../shared/data/tokenizers";
  if (!fs::exists(tokenizers)) GTEST_SKIP() << "no files at " << tokenizers;
  for (const auto& entry : fs::recursive_directory_iterator(tokenizers)) {
    if (entry.path().extension() != ".gguf") continue;
    const GgufFile original = GgufFile::open(entry.path());
    GgufMetadataBuilder metadata;
    for (const std::string& key : original.metadata().keys()) {
      metadata.set(key, *original.metadata().find(key));
    }
    GgufWriter(path_, metadata, {}).commit();
    const std::string bytes = read_text_file(entry.path(), 64 << 20);
    // They end without the padding.
    EXPECT_EQ(written().substr(0, bytes.size()), bytes);
    EXPECT_LT(written().size() - bytes.size(), 32u);
  }
}

TEST_F(GgufWriterFiles, AnUnfinishedFileDoesNotAppear) {
  {
    GgufWriter writer(path_, {}, {{"a", GgmlType::f32, {2}}});
    writer.append("a", std::vector<float>{1});
  }
  EXPECT_TRUE(fs::is_empty(directory_));
}

TEST_F(GgufWriterFiles, RefusesWhatTheFormatCannotHold) {
  const auto message = [&](GgufTensorSpec spec) {
    return message_of([&] { GgufWriter(path_, {}, {spec}); });
  };
  EXPECT_EQ(message({"w", GgmlType::q4_k, {256, 100}}),
            path_.native() +
                ": tensor \"w\": has rows of 100 values, Q4_K needs a multiple of 256; "
                "choose Q8_0 or BF16 for it");
  EXPECT_THAT(message({"w", GgmlType::q8_0, {64, 33}}), HasSubstr("Q8_0 needs a multiple of 32"));
  EXPECT_THAT(message({"w", GgmlType::q8_0, {}}), HasSubstr("rows of 1 values"));
  EXPECT_THAT(message({"w", GgmlType::f32, {1, 1, 1, 1, 1}}), HasSubstr("more than 4 dimensions"));
  EXPECT_EQ(message({std::string(63, 'w'), GgmlType::f32, {1}}), "no error");
  EXPECT_THAT(message({std::string(64, 'w'), GgmlType::f32, {1}}), HasSubstr("names of 1 to 63"));
  EXPECT_THAT(message({"", GgmlType::f32, {1}}), HasSubstr("names of 1 to 63"));
  EXPECT_THAT(message({"\xFF", GgmlType::f32, {1}}), HasSubstr("names of 1 to 63"));
  GgufMetadataBuilder metadata;
  EXPECT_EQ(message_of([&] { metadata.set("name", "\xFF"); }),
            "name: is to be written to GGUF, but is not valid UTF-8");

  GgufWriter writer(path_, {}, {{"w", GgmlType::q8_0, {32}}});
  std::vector<float> values(32, 1.0f);
  values[5] = std::nanf("");
  EXPECT_THAT(message_of([&] { writer.append("w", values); }),
              HasSubstr("m.gguf: tensor \"w\": value 5 is nan, which Q8_0 cannot store"));
}

TEST_F(GgufWriterFiles, MisuseIsCaught) {
  const std::vector<float> values(64);
  const auto writer_of = [&](GgmlType type) {
    return GgufWriter(path_, {}, {{"a", type, {32}}, {"b", type, {32}}});
  };
  EXPECT_DEATH(writer_of(GgmlType::f32).append("b", values), "the next tensor is not");
  EXPECT_DEATH(writer_of(GgmlType::f32).append("a", values), "128 are left");
  EXPECT_DEATH(writer_of(GgmlType::q8_0).append("a", std::span(values).first(31)),
               "31 values are no whole blocks of Q8_0");
  EXPECT_DEATH(writer_of(GgmlType::f32).commit(), "\"a\" lacks 128 bytes");
  EXPECT_DEATH(GgufWriter(path_, {}, {{"a", GgmlType::f32, {}}, {"a", GgmlType::f32, {}}}),
               "is taken");
  EXPECT_DEATH(GgufWriter(path_, {}, {{"a", GgmlType::f32, {-1}}}), "shape");
  EXPECT_DEATH(GgufWriter(path_, {}, {}, 24), "alignment 24");
  GgufMetadataBuilder metadata;
  metadata.set("general.alignment", std::uint32_t{32});
  EXPECT_DEATH(metadata.set("general.alignment", std::uint32_t{32}), "is taken");
  EXPECT_DEATH(metadata.set("", 1.0f), "key");
  EXPECT_DEATH(GgufWriter(path_, metadata, {}), "the writer's to set");
}

}  // namespace
}  // namespace r1
