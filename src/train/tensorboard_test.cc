#include "train/tensorboard.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <fstream>
#include <map>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace r1::train {
namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

// A second reading of the format, written from the protobuf encoding and sharing no code with the
// writer: every field of a message by number, varints and fixed values as u64, the rest as bytes.
struct Field {
  int number;
  std::uint64_t number_value;
  std::string bytes;
};
std::vector<Field> fields_of(const std::string& message) {
  std::vector<Field> fields;
  std::size_t at = 0;
  const auto varint = [&] {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(message.at(at++));
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
  };
  const auto fixed = [&](int bytes) {
    std::uint64_t value = 0;
    for (int i = 0; i < bytes; ++i) {
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(message.at(at++))) << (8 * i);
    }
    return value;
  };
  while (at < message.size()) {
    const std::uint64_t tag = varint();
    Field field{static_cast<int>(tag >> 3), 0, {}};
    switch (tag & 7) {
      case 0:
        field.number_value = varint();
        break;
      case 1:
        field.number_value = fixed(8);
        break;
      case 5:
        field.number_value = fixed(4);
        break;
      case 2: {
        const std::uint64_t length = varint();
        field.bytes = message.substr(at, length);
        at += length;
        break;
      }
      default:
        throw std::runtime_error("wire type");
    }
    fields.push_back(field);
  }
  return fields;
}
std::uint64_t length_at(const std::string& file, std::size_t at) {
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    length |= static_cast<std::uint64_t>(static_cast<unsigned char>(file.at(at + i))) << (8 * i);
  }
  return length;
}
std::vector<std::string> events_in(const std::string& file) {
  std::vector<std::string> events;
  for (std::size_t at = 0; at < file.size();) {
    const std::uint64_t length = length_at(file, at);
    events.push_back(file.substr(at + 12, length));
    at += 16 + length;
  }
  return events;
}

class TensorBoardFile : public ::testing::Test {
 protected:
  TensorBoardFile() : path_(::testing::TempDir() + "r1_events_test.tfevents") {
    std::filesystem::remove(path_);
  }
  std::string content() { return read_text_file(path_, 1 << 20); }
  void write_steps(std::int64_t first, std::int64_t last) {
    EventWriter writer(path_, 1.0);
    for (std::int64_t step = first; step <= last; ++step) {
      const std::vector<std::pair<std::string, float>> scalars = {
          {"loss", 1.0f / static_cast<float>(step)}};
      writer.append(scalar_event(2.0, step, scalars));
    }
  }
  std::filesystem::path path_;
};

TEST(TensorBoard, Crc32cMatchesItsCheckValue) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(""), 0u);
}

TEST(TensorBoard, RecordsMatchKnownBytes) {
  EXPECT_EQ(hex(tf_record(version_event(1.0))),
            "1800000000000000a37f4b22"
            "09000000000000f03f1a0d627261696e2e4576656e743a32"
            "86bf577a");
  const std::vector<std::pair<std::string, float>> scalars = {{"loss", 0.5f}};
  EXPECT_EQ(hex(tf_record(scalar_event(2.0, 3, scalars))),
            "1a00000000000000129bd82d"
            "09000000000000004010032a0d0a0b0a046c6f7373150000003f"
            "bac36b94");
}

TEST(TensorBoard, TextEventHasTheTextPluginsShape) {
  const auto event = fields_of(text_event(1.5, 7, "completions", "a | b"));
  ASSERT_EQ(event.size(), 3u);
  EXPECT_EQ(event[1].number, 2);
  EXPECT_EQ(event[1].number_value, 7u);
  const auto value = fields_of(fields_of(event[2].bytes)[0].bytes);
  ASSERT_EQ(value.size(), 3u);
  EXPECT_EQ(value[0].bytes, "completions");
  EXPECT_EQ(value[1].number, 8);
  const auto tensor = fields_of(value[1].bytes);
  EXPECT_EQ(tensor[0].number_value, 7u);  // DT_STRING
  EXPECT_EQ(tensor[2].number, 8);
  EXPECT_EQ(tensor[2].bytes, "a | b");
  EXPECT_EQ(value[2].number, 9);
  EXPECT_EQ(fields_of(fields_of(value[2].bytes)[0].bytes)[0].bytes, "text");
}

TEST_F(TensorBoardFile, ScalarsReadBack) {
  write_steps(1, 3);
  const auto events = events_in(content());
  ASSERT_EQ(events.size(), 4u);
  const auto last = fields_of(events[3]);
  EXPECT_EQ(last[1].number_value, 3u);
  const auto value = fields_of(fields_of(last[2].bytes)[0].bytes);
  EXPECT_EQ(value[0].bytes, "loss");
  EXPECT_EQ(std::bit_cast<float>(static_cast<std::uint32_t>(value[1].number_value)), 1.0f / 3);
}

TEST_F(TensorBoardFile, IsCutAtAStepAndGoesOn) {
  write_steps(1, 3);
  const std::string uninterrupted = content();
  std::filesystem::remove(path_);
  write_steps(1, 2);
  const std::string two = content();
  std::filesystem::remove(path_);

  write_steps(1, 5);
  keep_events_up_to(path_, 2);
  EXPECT_EQ(content(), two);
  write_steps(3, 3);
  EXPECT_EQ(content(), uninterrupted);
}

TEST_F(TensorBoardFile, TornAndDamagedRecordsAreDropped) {
  write_steps(1, 2);
  const std::string two = content();
  write_steps(3, 3);
  const std::string three = content();
  for (std::size_t size = two.size(); size < three.size(); size += 3) {
    write_file_atomically(path_, std::string_view(three).substr(0, size));
    keep_events_up_to(path_, 100);
    EXPECT_EQ(content(), two) << size;
  }
  for (std::size_t at = two.size(); at < three.size(); at += 5) {
    std::string damaged = three;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    write_file_atomically(path_, std::string_view(damaged));
    keep_events_up_to(path_, 100);
    EXPECT_EQ(content(), two) << at;
  }
}

TEST_F(TensorBoardFile, MissingFileStaysMissing) {
  keep_events_up_to(path_, 3);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

}  // namespace
}  // namespace r1::train
