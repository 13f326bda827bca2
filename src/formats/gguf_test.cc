#include "formats/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>

#include "base/error.h"
#include "formats/gguf_test_file.h"

namespace r1 {
namespace {

namespace fs = std::filesystem;
using gguf_test::array;
using gguf_test::entry;
using gguf_test::number;
using gguf_test::Parts;
using gguf_test::tensor;
using gguf_test::text;
using testing::ElementsAre;
using testing::HasSubstr;

GgufFile parse(std::string_view file) {
  return GgufFile::parse(std::as_bytes(std::span(file)), "m.gguf");
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string parse_message(const Parts& parts) {
  const std::string file = gguf_test::file(parts);
  return message_of([&] { parse(file); });
}

std::string floats(std::initializer_list<float> values) {
  std::string bytes;
  for (const float value : values) bytes += number(value);
  return bytes;
}

// One of everything: metadata of all types, a plain, a quantised and a foreign tensor.
Parts small_parts() {
  Parts parts;
  parts.entries = {
      entry("u8", 0, number(std::uint8_t{200})),
      entry("i8", 1, number(std::int8_t{-100})),
      entry("u16", 2, number(std::uint16_t{60000})),
      entry("i16", 3, number(std::int16_t{-30000})),
      entry("u32", 4, number(std::uint32_t{4000000000})),
      entry("i32", 5, number(std::int32_t{-2000000000})),
      entry("f32", 6, number(0.1f)),
      entry("bool", 7, number(true)),
      entry("string", 8, text("\u4f60\u597d")),
      entry("u64", 10, number(std::numeric_limits<std::uint64_t>::max())),
      entry("i64", 11, number(std::numeric_limits<std::int64_t>::min())),
      entry("f64", 12, number(1e300)),
      entry("strings", 9, array(8, 3, text("a") + text("") + text("b c"))),
      entry("ints", 9, array(5, 2, number(std::int32_t{-1}) + number(std::int32_t{7}))),
      entry("bools", 9, array(7, 2, std::string("\1\0", 2))),
      entry("none", 9, array(6, 0, "")),
  };
  parts.tensors = {tensor("w", {2, 3}, 0, 0), tensor("q", {32, 1}, 8, 32),
                   tensor("foreign", {256}, 10, 96)};
  std::string q8 = number(std::uint16_t{0x3C00});  // d = 1
  for (int i = 0; i < 32; ++i) q8 += static_cast<char>(i - 16);
  parts.data = floats({1, 2, 3, 4, 5, 6}) + std::string(8, '\0') + q8 + std::string(30, '\0') +
               std::string(84, '\7');
  return parts;
}

TEST(Gguf, ReadsMetadataOfEveryType) {
  for (const std::uint32_t version : {2u, 3u}) {
    Parts parts = small_parts();
    parts.version = version;
    const std::string bytes = gguf_test::file(parts);
    const GgufFile file = parse(bytes);
    EXPECT_EQ(file.version(), version);
    EXPECT_EQ(file.alignment(), 32u);
    const GgufMetadata& metadata = file.metadata();
    EXPECT_EQ(metadata.require<std::uint8_t>("u8"), 200);
    EXPECT_EQ(metadata.require<std::int8_t>("i8"), -100);
    EXPECT_EQ(metadata.require<std::uint16_t>("u16"), 60000);
    EXPECT_EQ(metadata.require<std::int16_t>("i16"), -30000);
    EXPECT_EQ(metadata.require<std::uint32_t>("u32"), 4000000000);
    EXPECT_EQ(metadata.require<std::int32_t>("i32"), -2000000000);
    EXPECT_EQ(metadata.require<float>("f32"), 0.1f);
    EXPECT_EQ(metadata.require<bool>("bool"), true);
    EXPECT_EQ(metadata.require<std::string>("string"), "\u4f60\u597d");
    EXPECT_EQ(metadata.require<std::string_view>("string"), "\u4f60\u597d");
    EXPECT_EQ(metadata.require<std::uint64_t>("u64"), std::numeric_limits<std::uint64_t>::max());
    EXPECT_EQ(metadata.require<std::int64_t>("i64"), std::numeric_limits<std::int64_t>::min());
    EXPECT_EQ(metadata.require<double>("f64"), 1e300);
    EXPECT_THAT(metadata.require<std::vector<std::string>>("strings"), ElementsAre("a", "", "b c"));
    EXPECT_THAT(metadata.require<std::vector<std::string_view>>("strings"),
                ElementsAre("a", "", "b c"));
    EXPECT_THAT(metadata.require<std::vector<int>>("ints"), ElementsAre(-1, 7));
    EXPECT_THAT(metadata.require<std::vector<bool>>("bools"), ElementsAre(true, false));
    EXPECT_TRUE(metadata.require<std::vector<float>>("none").empty());
    EXPECT_EQ(metadata.keys().size(), parts.entries.size());
    EXPECT_EQ(metadata.keys()[0], "u8");
    EXPECT_EQ(metadata.keys().back(), "none");
    // Any integer type will do where the value fits, and integers do for floats.
    EXPECT_EQ(metadata.require<std::uint64_t>("u8"), 200u);
    EXPECT_EQ(metadata.require<std::int64_t>("i8"), -100);
    EXPECT_EQ(metadata.require<double>("u8"), 200.0);
    EXPECT_EQ(metadata.require<float>("i32"), -2e9f);
    EXPECT_EQ(metadata.require<double>("u64"), 0x1p64);
    EXPECT_THAT(metadata.require<std::vector<float>>("ints"), ElementsAre(-1.0f, 7.0f));
    EXPECT_EQ(metadata.get_or<int>("absent", 5), 5);
    EXPECT_EQ(metadata.get_or<int>("i8", 5), -100);
    EXPECT_EQ(metadata.get_or<std::string>("string", ""), "\u4f60\u597d");
    EXPECT_FALSE(metadata.has("absent"));
    EXPECT_TRUE(metadata.find("ints")->is_array);
  }
}

TEST(Gguf, WrongTypesAreNamed) {
  Parts parts = small_parts();
  parts.entries.push_back(entry("bytes", 8, text("\xFF\xFE")));
  parts.entries.push_back(entry("tokens", 9, array(8, 2, text("ok") + text("\xC3("))));
  parts.entries.push_back(entry("nan", 6, number(std::nanf(""))));
  const std::string bytes = gguf_test::file(parts);
  const GgufFile file = parse(bytes);
  const GgufMetadata& metadata = file.metadata();
  const auto message = [&]<class T>(std::string_view key, T) {
    return message_of([&] { metadata.require<T>(key); });
  };
  EXPECT_EQ(message("absent", 0), "m.gguf: \"absent\" is missing");
  EXPECT_EQ(
      message("string", 0),
      "m.gguf: \"string\" must be an integer from -2147483648 to 2147483647, found the string "
      "\"\u4f60\u597d\"");
  EXPECT_THAT(message("u32", 0), HasSubstr("found 4000000000"));
  EXPECT_THAT(message("u64", std::int64_t{0}), HasSubstr("found 18446744073709551615"));
  EXPECT_THAT(message("i8", std::uint64_t{0}), HasSubstr("an integer of 0 or more, found -100"));
  EXPECT_THAT(message("i8", std::uint8_t{0}), HasSubstr("from 0 to 255, found -100"));
  EXPECT_THAT(message("bool", 0), HasSubstr("an integer from"));
  EXPECT_THAT(message("u8", false), HasSubstr("\"u8\" must be true or false, found 200"));
  EXPECT_THAT(message("f32", 0), HasSubstr("found 0.1"));
  EXPECT_THAT(message("f64", 0.0f), HasSubstr("a number of at most 3.40282e+38, found 1e+300"));
  EXPECT_THAT(message("nan", 0.0), HasSubstr("\"nan\" must be a number of at most"));
  EXPECT_THAT(message("bool", 0.0), HasSubstr("must be a number, found true"));
  EXPECT_THAT(message("u8", std::string()), HasSubstr("must be a string, found 200"));
  EXPECT_THAT(message("bytes", std::string()), HasSubstr("a string in UTF-8, found a string of 2"));
  EXPECT_EQ(message("tokens", std::vector<std::string>()),
            "m.gguf: \"tokens[1]\" must be a string in UTF-8, found a string of 2 bytes");
  EXPECT_THAT(message("ints", std::vector<std::string>()),
              HasSubstr("\"ints[0]\" must be a string, found -1"));
  EXPECT_THAT(message("ints", std::vector<unsigned>()),
              HasSubstr("\"ints[0]\" must be an integer"));
  EXPECT_EQ(message("ints", 0), "m.gguf: \"ints\" must be a single value, found an array of 2 i32");
  EXPECT_EQ(message("u8", std::vector<int>()),
            "m.gguf: \"u8\" must be an array, found a single u8");
  EXPECT_THAT(message_of([&] { metadata.get_or<int>("string", 1); }), HasSubstr("must be"));
}

TEST(Gguf, ReadsTensors) {
  const std::string bytes = gguf_test::file(small_parts());
  const GgufFile file = parse(bytes);
  ASSERT_EQ(file.tensors().size(), 3u);
  const GgufTensor& w = file.at("w");
  EXPECT_EQ(&w, &file.tensors()[0]);
  EXPECT_EQ(w.type, GgmlType::f32);
  EXPECT_THAT(w.shape, ElementsAre(3, 2));  // rows, row length
  EXPECT_EQ(w.elements(), 6u);
  EXPECT_THAT(load_f32(w).span(), ElementsAre(1, 2, 3, 4, 5, 6));
  const GgufTensor& q = file.at("q");
  EXPECT_THAT(q.shape, ElementsAre(1, 32));
  EXPECT_EQ(q.bytes.size(), 34u);
  EXPECT_EQ(load_f32(q)[0], -16.0f);
  EXPECT_EQ(load_f32(q)[31], 15.0f);
  EXPECT_EQ(to_float(load_bf16(q)[31]), 15.0f);
  EXPECT_EQ(to_float(load_bf16(w)[5]), 6.0f);
  std::vector<float> few(5);
  EXPECT_EQ(message_of([&] { load_f32(w, few); }), "w: has 6 elements (shape [3, 2]), expected 5");
  EXPECT_EQ(message_of([&] { file.at("x"); }), "m.gguf: has no tensor \"x\"");
}

TEST(Gguf, UnknownTypesAreListedButNotRead) {
  const std::string bytes = gguf_test::file(small_parts());
  const GgufFile file = parse(bytes);
  const GgufTensor& foreign = file.tensors()[2];
  EXPECT_EQ(foreign.name, "foreign");
  EXPECT_EQ(foreign.type, std::nullopt);
  EXPECT_EQ(foreign.type_number, 10u);
  EXPECT_THAT(foreign.shape, ElementsAre(256));
  EXPECT_EQ(file.find("foreign"), &foreign);
  EXPECT_THAT(message_of([&] { file.at("foreign"); }),
              HasSubstr("m.gguf: tensor \"foreign\": is Q2_K, which r1 does not decode"));
  EXPECT_THAT(message_of([&] { load_f32(foreign); }), HasSubstr("foreign: is Q2_K"));
  EXPECT_THAT(message_of([&] { load_bf16(foreign); }), HasSubstr("foreign: is Q2_K"));
}

TEST(Gguf, LongTensorsAreRoundedToBf16InParts) {
  Parts parts;
  parts.tensors = {tensor("w", {5000}, 0, 0)};
  for (int i = 0; i < 5000; ++i) parts.data += number(static_cast<float>(i) * 0.37f);
  const std::string bytes = gguf_test::file(parts);
  const GgufFile file = parse(bytes);
  const AlignedBuffer<float> wide = load_f32(file.at("w"));
  const AlignedBuffer<bf16> narrow = load_bf16(file.at("w"));
  ASSERT_EQ(narrow.size(), 5000u);
  for (std::size_t i = 0; i < wide.size(); ++i) ASSERT_EQ(narrow[i], round_to_bf16(wide[i]));
}

TEST(Gguf, ScalarsAndEmptyTensors) {
  Parts parts;
  parts.tensors = {tensor("scalar", {}, 0, 0), tensor("empty", {32, 0}, 8, 32),
                   tensor("flat", {0, 4}, 0, 32)};
  parts.data = floats({2.5f}) + std::string(28, '\0');
  const std::string bytes = gguf_test::file(parts);
  const GgufFile file = parse(bytes);
  EXPECT_THAT(load_f32(file.at("scalar")).span(), ElementsAre(2.5f));
  EXPECT_EQ(load_f32(file.at("empty")).size(), 0u);
  EXPECT_EQ(message_of([&] { parse(gguf_test::file({})); }), "no error");
}

TEST(Gguf, RefusesEveryTruncation) {
  const std::string file = gguf_test::file(small_parts());
  EXPECT_NO_THROW(parse(file));
  // Of the last tensor, of an unknown type, only the first byte is known to be needed.
  const std::size_t needed = file.size() - 83;
  for (std::size_t size = 0; size < file.size(); ++size) {
    // A copy of exactly this size, so that a sanitizer sees a read behind it.
    const std::vector<char> part(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
    const auto read = [&] { GgufFile::parse(std::as_bytes(std::span(part)), "m.gguf"); };
    if (size < needed) {
      EXPECT_THROW(read(), Error) << size;
    } else {
      EXPECT_NO_THROW(read()) << size;
    }
  }
}

// Reads whatever there is; only an Error may come out.
void read_everything(std::span<const std::byte> bytes) {
  try {
    const GgufFile file = GgufFile::parse(bytes, "m.gguf");
    for (const std::string& key : file.metadata().keys()) {
      try {
        file.metadata().require<std::vector<std::string>>(key);
      } catch (const Error&) {
      }
    }
    for (const GgufTensor& each : file.tensors()) {
      try {
        load_f32(file.at(each.name));
      } catch (const Error&) {
      }
    }
  } catch (const Error& error) {
    EXPECT_EQ(std::string_view(error.what()).find('\n'), std::string_view::npos);
  }
}

TEST(Gguf, NoFlippedBitDoesHarm) {
  const std::string file = gguf_test::file(small_parts());
  for (std::size_t i = 0; i < file.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::vector<char> damaged(file.begin(), file.end());
      damaged[i] = static_cast<char>(damaged[i] ^ 1 << bit);
      read_everything(std::as_bytes(std::span(damaged)));
    }
    // Lengths and counts grow largest by a high byte.
    std::vector<char> damaged(file.begin(), file.end());
    damaged[i] = '\xFF';
    read_everything(std::as_bytes(std::span(damaged)));
  }
}

TEST(Gguf, RefusesOtherFilesAndVersions) {
  EXPECT_EQ(message_of([] { parse(""); }),
            "m.gguf: not a GGUF file: it does not begin with \"GGUF\"");
  EXPECT_THAT(message_of([] { parse("GGML\3\0\0\0"); }), HasSubstr("not a GGUF file"));
  EXPECT_THAT(message_of([] { parse("GGUF\3"); }), HasSubstr("the version would take 4 bytes"));
  EXPECT_THAT(parse_message({.version = 1}), HasSubstr("GGUF version 1, r1 reads 2 and 3"));
  EXPECT_THAT(parse_message({.version = 4}), HasSubstr("GGUF version 4"));
  EXPECT_THAT(parse_message({.version = 0}), HasSubstr("GGUF version 0"));
  EXPECT_THAT(parse_message({.version = 0x03000000}), HasSubstr("a big-endian GGUF file"));
}

TEST(Gguf, RefusesAbsurdCountsAndLengths) {
  const auto header = [](std::uint64_t tensors, std::uint64_t keys) {
    return "GGUF" + number(3u) + number(tensors) + number(keys) + std::string(1000, '\0');
  };
  const std::uint64_t huge = std::numeric_limits<std::uint64_t>::max();
  EXPECT_THAT(message_of([&] { parse(header(huge, 0)); }),
              HasSubstr("the number of tensors is 18446744073709551615, the limit is"));
  EXPECT_THAT(message_of([&] { parse(header(0, huge)); }),
              HasSubstr("the number of metadata keys is 18446744073709551615, the limit is"));
  EXPECT_THAT(message_of([&] { parse(header(100, 0)); }),
              HasSubstr("the number of tensors is 100, too many for the 1008 bytes left"));
  EXPECT_THAT(message_of([&] { parse(header(0, 100)); }), HasSubstr("too many for the 1000 bytes"));

  const auto with = [](std::string bytes) {
    return parse_message({.entries = {std::move(bytes)}});
  };
  EXPECT_THAT(with(number(huge) + std::string(20, 'k')),
              HasSubstr("metadata entry 0: the key has 18446744073709551615"));
  EXPECT_THAT(with(entry("", 0, "x")), HasSubstr("the key has 0 bytes, it must be 1 to 1024"));
  EXPECT_THAT(with(entry("k", 8, number(huge))),
              HasSubstr("m.gguf: key \"k\": a string would take 18446744073709551615 bytes, but"));
  EXPECT_THAT(with(entry("k", 9, array(8, huge, text("a")))), HasSubstr("key \"k\": a string"));
  EXPECT_THAT(with(entry("k", 9, array(4, huge, "1234"))),
              HasSubstr("key \"k\": 18446744073709551615 values of type u32 do not fit"));
  EXPECT_THAT(with(entry("k", 9, array(12, huge / 8 + 2, "1234"))),
              HasSubstr("of type f64 do not"));
}

TEST(Gguf, RefusesBrokenMetadata) {
  const auto with = [](std::vector<std::string> entries) {
    return parse_message({.entries = std::move(entries)});
  };
  const std::string one = number(std::uint32_t{1});
  EXPECT_EQ(with({entry("k", 4, one), entry("l", 4, one)}), "no error");
  EXPECT_EQ(with({entry("k", 4, one), entry("k", 4, one)}), "m.gguf: key \"k\": occurs twice");
  EXPECT_THAT(with({entry("k", 13, one)}), HasSubstr("key \"k\": value type 13 is unknown"));
  EXPECT_THAT(with({entry("k", 9, array(13, 0, ""))}), HasSubstr("element type 13 is unknown"));
  EXPECT_THAT(with({entry("k", 9, array(9, 1, array(4, 1, one)))}),
              HasSubstr("an array of arrays"));
  EXPECT_THAT(with({entry("k", 7, "\2")}), HasSubstr("a bool is 2, it must be 0 or 1"));
  EXPECT_THAT(with({entry("k", 9, array(7, 2, "\1\3"))}), HasSubstr("a bool is 3"));
  EXPECT_THAT(with({entry("\xFF", 4, one)}),
              HasSubstr("metadata entry 0: the key is not valid UTF-8"));
  EXPECT_THAT(with({entry(std::string(1025, 'k'), 4, one)}), HasSubstr("the key has 1025 bytes"));
  EXPECT_EQ(with({entry("line\nbreak", 13, one)}),
            "m.gguf: key \"line break\": value type 13 is unknown");
}

TEST(Gguf, AlignmentIsAPowerOfTwo) {
  const auto with = [](std::uint32_t type, std::string_view value) {
    return parse_message({.entries = {entry("general.alignment", type, value)}});
  };
  EXPECT_EQ(with(4, number(std::uint32_t{64})), "no error");
  EXPECT_EQ(with(4, number(std::uint32_t{1})), "no error");
  EXPECT_EQ(with(4, number(std::uint32_t{1} << 31)), "no error");
  EXPECT_EQ(with(4, number(std::uint32_t{0})),
            "m.gguf: \"general.alignment\" must be a u32 that is a power of two, found the u32 0");
  EXPECT_THAT(with(4, number(std::uint32_t{48})), HasSubstr("found the u32 48"));
  EXPECT_THAT(with(10, number(std::uint64_t{32})), HasSubstr("found the u64 32"));
  EXPECT_THAT(with(8, text("32")), HasSubstr("\"general.alignment\" must be an integer"));

  // Data at the next multiple, wherever the descriptions end.
  for (const std::uint32_t alignment : {1u, 2u, 128u, 4096u}) {
    Parts parts{.entries = {entry("general.alignment", 4, number(alignment))},
                .tensors = {tensor("w", {1}, 0, 0), tensor("v", {1}, 0, alignment * 4)},
                .data = floats({1}) + std::string(4 * alignment - 4, '\0') + floats({2}),
                .alignment = alignment};
    const std::string bytes = gguf_test::file(parts);
    const GgufFile file = parse(bytes);
    EXPECT_EQ(file.alignment(), alignment);
    EXPECT_EQ(load_f32(file.at("w"))[0], 1.0f);
    EXPECT_EQ(load_f32(file.at("v"))[0], 2.0f);
  }
}

TEST(Gguf, RefusesBrokenTensors) {
  const auto with = [](std::vector<std::string> tensors, std::size_t data = 128) {
    return parse_message({.tensors = std::move(tensors), .data = std::string(data, '\0')});
  };
  EXPECT_EQ(with({tensor("a", {8}, 0, 0), tensor("b", {8}, 0, 32)}), "no error");
  EXPECT_EQ(with({tensor("b", {8}, 0, 32), tensor("a", {8}, 0, 0)}), "no error");
  EXPECT_EQ(with({tensor("a", {8}, 0, 0), tensor("a", {8}, 0, 32)}),
            "m.gguf: tensor \"a\": occurs twice");
  EXPECT_EQ(with({tensor("a", {9}, 0, 0), tensor("b", {8}, 0, 32)}),
            "m.gguf: tensor \"b\": overlaps tensor \"a\"");
  EXPECT_THAT(with({tensor("a", {8}, 0, 64), tensor("b", {8}, 0, 64)}), HasSubstr("overlaps"));
  EXPECT_THAT(with({tensor("a", {8}, 99, 64), tensor("b", {8}, 99, 64)}), HasSubstr("overlaps"));
  EXPECT_THAT(with({tensor("a", {8}, 0, 16)}), HasSubstr("its offset 16 is not a multiple of 32"));
  EXPECT_THAT(
      with({tensor("a", {8}, 0, 128)}),
      HasSubstr("tensor \"a\": its 32 bytes at offset 128 end beyond the 128 bytes of data"));
  EXPECT_THAT(with({tensor("a", {33}, 0, 0)}), HasSubstr("its 132 bytes at offset 0 end beyond"));
  EXPECT_THAT(with({tensor("a", {8}, 0, 0)}, 0), HasSubstr("end beyond the 0 bytes of data"));
  EXPECT_THAT(with({tensor("a", {8}, 0, 18446744073709551584u)}), HasSubstr("end beyond"));
  EXPECT_THAT(with({tensor("a", {8}, 99, 18446744073709551584u)}), HasSubstr("end beyond"));
  EXPECT_THAT(with({tensor("a", {2, 16}, 8, 0)}),
              HasSubstr("shape [16, 2] has rows of 2 values, Q8_0 needs a multiple of 32"));
  EXPECT_THAT(with({tensor("a", {32, 8}, 12, 0)}), HasSubstr("Q4_K needs a multiple of 256"));
  EXPECT_THAT(with({tensor("a", {}, 8, 0)}), HasSubstr("Q8_0 has too many bytes or no rows"));
  EXPECT_THAT(with({tensor("a", {1, 1, 1, 1, 1}, 0, 0)}), HasSubstr("has 5 dimensions"));
  EXPECT_THAT(with({tensor("a", {1ull << 63}, 0, 0)}),
              HasSubstr("a dimension of 9223372036854775808"));
  EXPECT_THAT(with({tensor("a", {1ull << 32, 1ull << 31}, 0, 0)}), HasSubstr("overflows"));
  EXPECT_THAT(with({tensor("a", {1ull << 62}, 0, 0)}), HasSubstr("has too many bytes"));
  EXPECT_THAT(with({tensor("", {8}, 0, 0)}), HasSubstr("tensor 0: the name has 0 bytes"));
  EXPECT_THAT(with({tensor(std::string(64, 'a'), {8}, 0, 0)}), HasSubstr("the name has 64 bytes"));
  EXPECT_THAT(with({tensor("\xC3", {8}, 0, 0)}), HasSubstr("the name is not valid UTF-8"));
}

// ---- Files that llama.cpp's tools wrote ----

class RealVocabularies : public testing::Test {
 protected:
  void SetUp() override {
    const fs::path directory = "../shared/data/tokenizers";
    if (!fs::exists(directory)) GTEST_SKIP() << "no files at " << directory;
    for (const auto& entry : fs::recursive_directory_iterator(directory)) {
      if (entry.path().extension() == ".gguf") files_.push_back(entry.path());
    }
    ASSERT_FALSE(files_.empty());
  }
  std::vector<fs::path> files_;
};

TEST_F(RealVocabularies, AreReadInFull) {
  for (const fs::path& path : files_) {
    const GgufFile file = GgufFile::open(path);
    EXPECT_EQ(file.version(), 3u);
    EXPECT_TRUE(file.tensors().empty());
    const GgufMetadata& metadata = file.metadata();
    const auto architecture = metadata.require<std::string>("general.architecture");
    EXPECT_THAT((std::vector<std::string>{"llama", "gpt2"}), testing::Contains(architecture));
    const auto tokens = metadata.require<std::vector<std::string>>("tokenizer.ggml.tokens");
    const auto types = metadata.require<std::vector<std::int32_t>>("tokenizer.ggml.token_type");
    EXPECT_EQ(tokens.size(), types.size());
    EXPECT_EQ(metadata.get_or<std::size_t>(architecture + ".vocab_size", tokens.size()),
              tokens.size());
    EXPECT_LT(metadata.require<std::uint32_t>("tokenizer.ggml.bos_token_id"), tokens.size());
    if (metadata.require<std::string>("tokenizer.ggml.model") == "gpt2") {
      for (const auto merge :
           metadata.require<std::vector<std::string_view>>("tokenizer.ggml.merges")) {
        ASSERT_NE(merge.find(' ', 1), merge.npos) << merge;
      }
    } else {
      EXPECT_EQ(metadata.require<std::vector<float>>("tokenizer.ggml.scores").size(),
                tokens.size());
    }
    if (path.filename() == "ggml-vocab-deepseek-coder.gguf") {
      EXPECT_EQ(metadata.keys().size(), 25u);
      EXPECT_EQ(tokens.size(), 32256u);
      EXPECT_EQ(tokens[0], "!");
      EXPECT_EQ(tokens[100], "\u00A7");
      EXPECT_EQ(metadata.require<float>("llama.rope.freq_base"), 1e5f);
      EXPECT_EQ(metadata.require<std::string>("tokenizer.ggml.pre"), "deepseek-coder");
      EXPECT_TRUE(metadata.require<bool>("tokenizer.ggml.add_bos_token"));
      EXPECT_FALSE(metadata.require<bool>("tokenizer.ggml.add_eos_token"));
    }
  }
}

TEST_F(RealVocabularies, CutOffAnywhereAreRefused) {
  for (const fs::path& path : files_) {
    const std::string whole = read_text_file(path, 16 << 20);
    const auto bytes = std::as_bytes(std::span(whole));
    EXPECT_NO_THROW(GgufFile::parse(bytes, "m.gguf"));
    // Every place within the first entries, then here and there, and the last one.
    for (std::size_t size = 0; size < whole.size(); size += size < 2000 ? 1 : 50021) {
      EXPECT_THROW(GgufFile::parse(bytes.first(size), "m.gguf"), Error) << path << " " << size;
    }
    EXPECT_THROW(GgufFile::parse(bytes.first(whole.size() - 1), "m.gguf"), Error) << path;
  }
}

// Files on disk.
class GgufParts : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // Part `number` of `count`, which holds one tensor of one value.
  static std::string part(int number, int count, const std::string& tensor_name, float value) {
    gguf_test::Parts parts;
    parts.entries = {gguf_test::entry("split.no", 2, gguf_test::number(std::uint16_t(number))),
                     gguf_test::entry("split.count", 2, gguf_test::number(std::uint16_t(count))),
                     gguf_test::entry("split.tensors.count", 5, gguf_test::number(3))};
    parts.tensors = {gguf_test::tensor(tensor_name, {1}, 0, 0)};
    parts.data = gguf_test::number(value);
    return gguf_test::file(parts);
  }
  std::filesystem::path write(int name_number, const std::string& bytes) const {
    const auto path = folder_ / fmt::format("m-{:05}-of-00003.gguf", name_number);
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  static std::string error_of(const std::filesystem::path& path) {
    try {
      GgufFile::open(path);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  std::filesystem::path folder_ = std::filesystem::path(testing::TempDir()) / "gguf_parts";
};

TEST_F(GgufParts, AreReadAsOneFile) {
  const auto first = write(1, part(0, 3, "a", 1.0f));
  write(2, part(1, 3, "b", 2.0f));
  write(3, part(2, 3, "c", 3.0f));
  const GgufFile file = GgufFile::open(first);
  EXPECT_EQ(file.tensors().size(), 3u);
  EXPECT_EQ(load_f32(file.at("a"))[0], 1.0f);
  EXPECT_EQ(load_f32(file.at("c"))[0], 3.0f);
}

TEST_F(GgufParts, ThatDoNotFitAreRefusedByName) {
  const auto first = write(1, part(0, 3, "a", 1.0f));
  const auto second = write(2, part(1, 3, "b", 2.0f));
  EXPECT_THAT(error_of(first), testing::HasSubstr("m-00003-of-00003.gguf"));  // missing
  write(3, part(1, 3, "c", 3.0f));
  EXPECT_THAT(error_of(first), testing::HasSubstr("part 3 of 3"));
  write(3, part(2, 4, "c", 3.0f));
  EXPECT_THAT(error_of(first), testing::HasSubstr("part 3 of 3"));
  write(3, part(2, 3, "b", 3.0f));
  EXPECT_THAT(error_of(first), testing::HasSubstr("in an earlier part"));
  EXPECT_THAT(error_of(second), testing::HasSubstr("name the first part"));
  const auto renamed = folder_ / "m.gguf";
  std::filesystem::copy_file(first, renamed);
  EXPECT_THAT(error_of(renamed), testing::HasSubstr("-00001-of-00003.gguf"));
  gguf_test::Parts alone;
  alone.entries = {gguf_test::entry("split.no", 2, gguf_test::number(std::uint16_t{0})),
                   gguf_test::entry("split.count", 10, gguf_test::number(std::uint64_t{1} << 40))};
  EXPECT_THAT(error_of(write(1, gguf_test::file(alone))), testing::HasSubstr("split.count"));
}

}  // namespace
}  // namespace r1
