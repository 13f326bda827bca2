#include "formats/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numeric>

#include "base/error.h"

namespace r1 {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

// The bytes of a file with this header and `data_size` bytes of data: 0, 1, 2, ...
std::string file_of(std::string_view header, std::size_t data_size) {
  const std::uint64_t length = header.size();
  std::string file(reinterpret_cast<const char*>(&length), sizeof length);
  file += header;
  for (std::size_t i = 0; i < data_size; ++i) file += static_cast<char>(i);
  return file;
}

SafetensorsFile parse(std::string_view file) {
  return SafetensorsFile::parse(std::as_bytes(std::span(file)), "m.safetensors");
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string parse_message(std::string_view header, std::size_t data_size) {
  return message_of([&] { parse(file_of(header, data_size)); });
}

class SafetensorsFiles : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "r1_safetensors_test_XXXXXX").native();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { fs::remove_all(directory_); }

  fs::path directory_;
};

TEST(Safetensors, ReadsTensorsInOrderOfTheirBytes) {
  const std::string file = file_of(
      R"({"b":{"dtype":"U8","shape":[2,3],"data_offsets":[0,6]},
          "a":{"dtype":"BF16","shape":[],"data_offsets":[6,8]},
          "empty":{"dtype":"F32","shape":[0,4],"data_offsets":[6,6]},
          "__metadata__":{"format":"pt"}})",
      8);
  const SafetensorsFile tensors = parse(file);
  EXPECT_THAT(tensors.names(), ElementsAre("b", "empty", "a"));
  EXPECT_EQ(tensors.metadata().at("format"), "pt");
  EXPECT_THAT(tensors.at("b").shape, ElementsAre(2, 3));
  EXPECT_EQ(tensors.at("b").elements(), 6u);
  EXPECT_EQ(tensors.at("a").elements(), 1u);
  EXPECT_EQ(tensors.at("empty").elements(), 0u);
  EXPECT_EQ(load_f32(tensors.at("empty")).size(), 0u);
  EXPECT_THAT(load_i64(tensors.at("b")), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_FALSE(tensors.has("c"));
  EXPECT_EQ(message_of([&] { tensors.at("c"); }), "m.safetensors: has no tensor \"c\"");
}

TEST(Safetensors, RefusesBrokenLengths) {
  EXPECT_THAT(message_of([] { parse("1234567"); }), HasSubstr("only 7 bytes"));
  EXPECT_THAT(message_of([] { parse(std::string(8, '\xFF')); }), HasSubstr("18446744073709551615"));
  std::string file = file_of("{}", 0);
  EXPECT_EQ(message_of([&] { parse(file); }), "no error");
  file[0] = 3;
  EXPECT_THAT(message_of([&] { parse(file); }), HasSubstr("truncated: the header has 3 bytes"));
}

TEST(Safetensors, RefusesEveryTruncation) {
  const std::string file = file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8);
  EXPECT_NO_THROW(parse(file));
  for (std::size_t size = 0; size < file.size(); ++size) {
    EXPECT_THROW(parse(file.substr(0, size)), Error) << size;
  }
  EXPECT_THROW(parse(file + "x"), Error);
}

TEST(Safetensors, ErrorsNameFileTensorAndField) {
  const auto entry = [](std::string_view fields) {
    return fmt::format(R"({{"w":{{{}}}}})", fields);
  };
  EXPECT_EQ(parse_message(entry(R"("dtype":"F33","shape":[1],"data_offsets":[0,4])"), 4),
            "m.safetensors: tensor \"w\": unknown dtype \"F33\"");
  EXPECT_EQ(parse_message(entry(R"("dtype":"F32","data_offsets":[0,4])"), 4),
            "m.safetensors: tensor \"w\": \"shape\" is missing");
  EXPECT_THAT(parse_message(entry(R"("dtype":5,"shape":[1],"data_offsets":[0,4])"), 4),
              HasSubstr("tensor \"w\": \"dtype\" must be a string"));
  EXPECT_THAT(parse_message(entry(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), 4),
              HasSubstr("shape [-1] is negative"));
  EXPECT_THAT(parse_message(entry(R"("dtype":"F32","shape":[1.5],"data_offsets":[0,4])"), 4),
              HasSubstr("\"shape[0]\" must be an integer"));
  EXPECT_THAT(
      parse_message(entry(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4])"),
                    4),
      HasSubstr("overflows"));
  EXPECT_THAT(parse_message(entry(R"("dtype":"F32","shape":[1],"data_offsets":[0,8])"), 4),
              HasSubstr("data_offsets end at byte 8, but the file has 4 bytes"));
  EXPECT_THAT(parse_message(entry(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), 4),
              HasSubstr("data_offsets span 4 bytes, but shape [2] of F32 needs 8"));
  EXPECT_THAT(parse_message(entry(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), 4),
              HasSubstr("data_offsets must be [begin, end]"));
  EXPECT_THAT(parse_message(entry(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,8])"), 8),
              HasSubstr("data_offsets must be [begin, end]"));
  EXPECT_THAT(parse_message(R"({"w":3})", 0), HasSubstr("must be an object, found 3"));
  EXPECT_THAT(parse_message("[]", 0), HasSubstr("must be a JSON object"));
  EXPECT_THAT(parse_message("{", 0), HasSubstr("m.safetensors: header: not valid JSON"));
  EXPECT_THAT(parse_message(R"({"__metadata__":{"a":1}})", 0),
              HasSubstr("__metadata__: \"a\" must be a string"));
}

TEST(Safetensors, RefusesOverlapsGapsAndRepeatedNames) {
  const auto two = [](std::string_view name, std::string_view offsets) {
    return fmt::format(R"({{"a":{{"dtype":"U8","shape":[4],"data_offsets":[0,4]}},)"
                       R"("{}":{{"dtype":"U8","shape":[4],"data_offsets":[{}]}}}})",
                       name, offsets);
  };
  EXPECT_EQ(parse_message(two("b", "4,8"), 8), "no error");
  EXPECT_THAT(parse_message(two("b", "3,7"), 7), HasSubstr("inside a tensor that ends at 4"));
  EXPECT_THAT(parse_message(two("b", "0,4"), 4), HasSubstr("inside a tensor that ends at 4"));
  EXPECT_THAT(parse_message(two("b", "5,9"), 9), HasSubstr("leaves a gap after 4"));
  EXPECT_THAT(parse_message(two("b", "4,8"), 9), HasSubstr("1 bytes of data belong to no tensor"));
  EXPECT_THAT(parse_message(two("a", "4,8"), 8), HasSubstr("the key \"a\" occurs twice"));
}

TEST(Safetensors, ConvertsUnalignedValues) {
  // One byte first, so that nothing after it is aligned.
  std::string file = file_of(
      R"({"pad":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
          "f64":{"dtype":"F64","shape":[1],"data_offsets":[1,9]},
          "f32":{"dtype":"F32","shape":[1],"data_offsets":[9,13]},
          "bf16":{"dtype":"BF16","shape":[1],"data_offsets":[13,15]},
          "f16":{"dtype":"F16","shape":[1],"data_offsets":[15,17]},
          "i64":{"dtype":"I64","shape":[1],"data_offsets":[17,25]},
          "i16":{"dtype":"I16","shape":[1],"data_offsets":[25,27]},
          "i8":{"dtype":"I8","shape":[1],"data_offsets":[27,28]},
          "f8":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[28,29]}})",
      0);
  const auto add = [&](auto value) {
    file.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  add(std::uint8_t{0});
  add(0.1);
  add(1.00390625f);  // 1 + 2^-8: a tie for bf16
  add(bf16{0xC000});
  add(std::uint16_t{0x3800});
  add(std::int64_t{-5});
  add(std::int16_t{-300});
  add(std::int8_t{-1});
  add(std::uint8_t{0x38});
  const SafetensorsFile tensors = parse(file);
  EXPECT_EQ(load_f32(tensors.at("f64"))[0], 0.1f);
  EXPECT_EQ(load_f32(tensors.at("f32"))[0], 1.00390625f);
  EXPECT_EQ(load_bf16(tensors.at("f32"))[0].bits, 0x3F80);
  EXPECT_EQ(load_f32(tensors.at("bf16"))[0], -2.0f);
  EXPECT_EQ(load_bf16(tensors.at("bf16"))[0].bits, 0xC000);
  EXPECT_EQ(load_f32(tensors.at("f16"))[0], 0.5f);
  EXPECT_THAT(load_i64(tensors.at("i64")), ElementsAre(-5));
  EXPECT_THAT(load_i64(tensors.at("i16")), ElementsAre(-300));
  EXPECT_THAT(load_i64(tensors.at("i8")), ElementsAre(-1));
  EXPECT_THAT(message_of([&] { load_f32(tensors.at("f8")); }),
              HasSubstr("f8: is F8_E4M3, expected F32, BF16, F16 or F64"));
  EXPECT_THAT(message_of([&] { load_i64(tensors.at("f32")); }), HasSubstr("expected I64"));
  std::vector<float> two(2);
  EXPECT_THAT(message_of([&] { load_f32(tensors.at("f32"), two); }),
              HasSubstr("has 1 elements (shape [1]), expected 2"));
}

TEST_F(SafetensorsFiles, WritesWhatItReads) {
  const fs::path path = directory_ / "m.safetensors";
  std::vector<float> values(10'000);
  std::iota(values.begin(), values.end(), -5000.0f);
  const std::vector<std::int64_t> ids = {1, -2, 3};
  {
    SafetensorsWriter writer(path,
                             {{"z", DType::f32, {100, 100}},
                              {"none", DType::f32, {0}},
                              {"rounded", DType::bf16, {10'000}},
                              {"ids \"\u4f60\"", DType::i64, {3}}},
                             {{"format", "pt"}});
    writer.append("z", std::span(values).first(1));
    writer.append("z", std::span(values).subspan(1));
    writer.append("rounded", values);
    writer.append("ids \"\u4f60\"", std::as_bytes(std::span(ids)));
    EXPECT_FALSE(fs::exists(path));
    writer.commit();
  }
  const SafetensorsFile file = SafetensorsFile::open(path);
  EXPECT_THAT(file.names(), ElementsAre("z", "none", "rounded", "ids \"\u4f60\""));
  EXPECT_THAT(load_f32(file.at("z")).span(), testing::ElementsAreArray(values));
  EXPECT_EQ(load_bf16(file.at("rounded"))[0], round_to_bf16(-5000.0f));
  EXPECT_THAT(load_i64(file.at("ids \"\u4f60\"")), testing::ElementsAreArray(ids));
  EXPECT_EQ(file.metadata().at("format"), "pt");
  // The data begin at a multiple of 8 bytes.
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(file.at("z").bytes.data()) % 8, 0u);
}

TEST_F(SafetensorsFiles, TheSameTensorsGiveTheSameBytes) {
  const std::vector<float> values = {1, 2, 3};
  const std::vector<std::uint8_t> bytes = {4, 5, 6};
  const TensorInfo a{"a", DType::u8, {3}, std::as_bytes(std::span(bytes))};
  const TensorInfo b{"b", DType::f32, {3}, std::as_bytes(std::span(values))};
  const TensorInfo c{"c", DType::u8, {1, 3}, std::as_bytes(std::span(bytes))};
  save_safetensors(directory_ / "1", {a, b, c}, {{"k", "v"}});
  save_safetensors(directory_ / "2", {c, b, a}, {{"k", "v"}});
  const std::string first = read_text_file(directory_ / "1", 4096);
  EXPECT_EQ(first, read_text_file(directory_ / "2", 4096));
  EXPECT_THAT(SafetensorsFile::open(directory_ / "1").names(), ElementsAre("b", "a", "c"));
  std::uint64_t length = 0;
  std::memcpy(&length, first.data(), sizeof length);
  EXPECT_EQ(length % 8, 0u);
  EXPECT_THAT(first.substr(8, length),
              testing::StartsWith(R"({"__metadata__":{"k":"v"},"b":{"dtype":"F32","shape":[3],)"
                                  R"("data_offsets":[0,12]},"a":{"dtype":"U8")"));
}

TEST_F(SafetensorsFiles, AnUnfinishedFileDoesNotAppear) {
  const fs::path path = directory_ / "m.safetensors";
  {
    SafetensorsWriter writer(path, {{"a", DType::f32, {2}}});
    const float one = 1;
    writer.append("a", std::span(&one, 1));
  }
  EXPECT_TRUE(fs::is_empty(directory_));
}

TEST_F(SafetensorsFiles, MisuseOfTheWriterIsCaught) {
  const std::vector<float> values(3);
  const auto writer_of = [&] {
    return SafetensorsWriter(directory_ / "m", {{"a", DType::f32, {2}}, {"b", DType::f32, {3}}});
  };
  EXPECT_DEATH(writer_of().append("b", values), "the next tensor is not");
  EXPECT_DEATH(writer_of().append("a", values), "8 are left");
  EXPECT_DEATH(writer_of().commit(), "\"a\" lacks 8 bytes");
  EXPECT_DEATH(SafetensorsWriter(directory_ / "m", {{"a", DType::u8, {}}, {"a", DType::u8, {}}}),
               "is taken");
  EXPECT_DEATH(SafetensorsWriter(directory_ / "m", {{"a", DType::u8, {-1}}}), "shape");
}

TEST(SafetensorsGolden, EveryGoldenFileIsReadAndRewrittenUnchanged) {
  const char* configured = std::getenv("R1_GOLDEN_DIR");
  const fs::path golden = configured != nullptr ? configured : "../shared/golden";
  if (!fs::exists(golden)) GTEST_SKIP() << "no golden files at " << golden;
  int files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(golden)) {
    if (entry.path().extension() != ".safetensors") continue;
    ++files;
    const SafetensorsFile original = SafetensorsFile::open(entry.path());
    EXPECT_FALSE(original.tensors().empty());
    const fs::path copy_path = fs::temp_directory_path() / fmt::format("r1_golden_{}", ::getpid());
    save_safetensors(copy_path, {original.tensors().begin(), original.tensors().end()},
                     original.metadata());
    const SafetensorsFile copy = SafetensorsFile::open(copy_path);
    fs::remove(copy_path);
    ASSERT_EQ(copy.tensors().size(), original.tensors().size());
    for (const TensorInfo& tensor : original.tensors()) {
      const TensorInfo& same = copy.at(tensor.name);
      EXPECT_EQ(same.shape, tensor.shape);
      EXPECT_EQ(same.dtype, tensor.dtype);
      EXPECT_TRUE(std::ranges::equal(same.bytes, tensor.bytes)) << tensor.name;
      if (tensor.dtype == DType::f32) {
        for (const float value : load_f32(tensor)) ASSERT_TRUE(std::isfinite(value));
      }
    }
  }
  EXPECT_GT(files, 0);
}

}  // namespace
}  // namespace r1
