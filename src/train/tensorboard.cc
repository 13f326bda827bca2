#include "train/tensorboard.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <array>
#include <bit>
#include <limits>
#include <optional>

#include "base/error.h"
#include "base/file.h"

namespace r1::train {
namespace {

using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;
using google::protobuf::io::StringOutputStream;

// Field numbers of the messages.
constexpr int kEventWallTime = 1, kEventStep = 2, kEventFileVersion = 3, kEventSummary = 5;
constexpr int kSummaryValue = 1;
constexpr int kValueTag = 1, kValueSimple = 2, kValueTensor = 8, kValueMetadata = 9;
constexpr int kMetadataPluginData = 1, kPluginName = 1;
constexpr int kTensorDtype = 1, kTensorShape = 2, kTensorStringVal = 8;
constexpr int kShapeDim = 2, kDimSize = 1;
constexpr std::uint64_t kDtypeString = 7;

// protobuf's wire types.
constexpr int kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5;

// Collects one message; fields are written in the order of the calls.
class Message {
 public:
  Message& varint(int field, std::uint64_t value) {
    return write(field, kVarint, [&](CodedOutputStream& out) { out.WriteVarint64(value); });
  }
  Message& fixed64(int field, double value) {
    return write(field, kFixed64, [&](CodedOutputStream& out) {
      out.WriteLittleEndian64(std::bit_cast<std::uint64_t>(value));
    });
  }
  Message& fixed32(int field, float value) {
    return write(field, kFixed32, [&](CodedOutputStream& out) {
      out.WriteLittleEndian32(std::bit_cast<std::uint32_t>(value));
    });
  }
  Message& bytes(int field, std::string_view value) {
    R1_CHECK(value.size() <= std::numeric_limits<std::int32_t>::max(), "{} bytes", value.size());
    return write(field, kBytes, [&](CodedOutputStream& out) {
      out.WriteVarint32(static_cast<std::uint32_t>(value.size()));
      out.WriteRaw(value.data(), static_cast<int>(value.size()));
    });
  }
  Message& message(int field, const Message& value) { return bytes(field, value.text_); }

  std::string text() const { return text_; }

 private:
  template <typename Body>
  Message& write(int field, int wire_type, Body body) {
    StringOutputStream stream(&text_);
    CodedOutputStream out(&stream);
    out.WriteTag(static_cast<std::uint32_t>(field << 3 | wire_type));
    body(out);
    return *this;
  }

  std::string text_;
};

Message event(double wall_time, std::int64_t step) {
  return Message()
      .fixed64(kEventWallTime, wall_time)
      .varint(kEventStep, static_cast<std::uint64_t>(step));
}

constexpr std::array<std::uint32_t, 256> kCrcTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c & 1) != 0 ? (c >> 1) ^ 0x82F63B78u : c >> 1;
    table[i] = c;
  }
  return table;
}();

// A CRC over data that contains CRCs is weak, so TFRecord stores them rotated and shifted.
std::uint32_t masked(std::uint32_t crc) { return std::rotr(crc, 15) + 0xA282EAD8u; }

template <typename Integer>
void append_little_endian(std::string& out, Integer value) {
  for (std::size_t i = 0; i < sizeof(Integer); ++i) {
    out += static_cast<char>(static_cast<unsigned char>(value >> (8 * i) & 0xFF));
  }
}

template <typename Integer>
Integer read_little_endian(std::string_view bytes) {
  Integer value = 0;
  for (std::size_t i = 0; i < sizeof(Integer); ++i) {
    value |= static_cast<Integer>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return value;
}

constexpr std::size_t kHeaderBytes = 12;  // length and its CRC
constexpr std::size_t kFooterBytes = 4;

// The content of the record that `bytes` begins with, or nothing where it is torn or damaged.
std::optional<std::string_view> first_record(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes + kFooterBytes) return std::nullopt;
  const auto length = read_little_endian<std::uint64_t>(bytes);
  if (read_little_endian<std::uint32_t>(bytes.substr(8)) != masked(crc32c(bytes.substr(0, 8))) ||
      length > bytes.size() - kHeaderBytes - kFooterBytes) {
    return std::nullopt;
  }
  const std::string_view data = bytes.substr(kHeaderBytes, length);
  const auto crc = read_little_endian<std::uint32_t>(bytes.substr(kHeaderBytes + length));
  if (crc != masked(crc32c(data))) return std::nullopt;
  return data;
}

// The step of a serialised Event; 0, protobuf's default, where it has none.
std::optional<std::int64_t> step_of(std::string_view event) {
  if (event.size() > std::numeric_limits<std::int32_t>::max()) return std::nullopt;
  CodedInputStream in(reinterpret_cast<const std::uint8_t*>(event.data()),
                      static_cast<int>(event.size()));
  std::uint64_t step = 0;
  while (const std::uint32_t tag = in.ReadTag()) {
    std::uint64_t u64 = 0;
    std::uint32_t u32 = 0;
    bool good = false;
    switch (tag & 7) {
      case kVarint:
        good = in.ReadVarint64(&u64);
        if (tag >> 3 == kEventStep) step = u64;
        break;
      case kFixed64:
        good = in.ReadLittleEndian64(&u64);
        break;
      case kFixed32:
        good = in.ReadLittleEndian32(&u32);
        break;
      case kBytes:
        good = in.ReadVarint32(&u32) && u32 <= event.size() && in.Skip(static_cast<int>(u32));
        break;
      default:
        break;
    }
    if (!good) return std::nullopt;
  }
  return static_cast<std::int64_t>(step);
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const char c : bytes) {
    crc = kCrcTable[(crc ^ static_cast<unsigned char>(c)) & 0xFF] ^ (crc >> 8);
  }
  return ~crc;
}

std::string version_event(double wall_time) {
  return Message()
      .fixed64(kEventWallTime, wall_time)
      .bytes(kEventFileVersion, "brain.Event:2")
      .text();
}

std::string scalar_event(double wall_time, std::int64_t step,
                         std::span<const std::pair<std::string, float>> scalars) {
  Message summary;
  for (const auto& [tag, value] : scalars) {
    summary.message(kSummaryValue, Message().bytes(kValueTag, tag).fixed32(kValueSimple, value));
  }
  return event(wall_time, step).message(kEventSummary, summary).text();
}

std::string text_event(double wall_time, std::int64_t step, std::string_view tag,
                       std::string_view text) {
  const Message plugin = Message().bytes(kPluginName, "text");
  const Message shape = Message().message(kShapeDim, Message().varint(kDimSize, 1));
  const Message tensor = Message()
                             .varint(kTensorDtype, kDtypeString)
                             .message(kTensorShape, shape)
                             .bytes(kTensorStringVal, text);
  const Message value =
      Message()
          .bytes(kValueTag, tag)
          .message(kValueTensor, tensor)
          .message(kValueMetadata, Message().message(kMetadataPluginData, plugin));
  return event(wall_time, step)
      .message(kEventSummary, Message().message(kSummaryValue, value))
      .text();
}

std::string tf_record(std::string_view data) {
  std::string record;
  record.reserve(data.size() + kHeaderBytes + kFooterBytes);
  append_little_endian(record, static_cast<std::uint64_t>(data.size()));
  append_little_endian(record, masked(crc32c(record)));
  record += data;
  append_little_endian(record, masked(crc32c(data)));
  return record;
}

EventWriter::EventWriter(const std::filesystem::path& path, double wall_time) : file_(path) {
  if (file_.size() == 0) append(version_event(wall_time));
}

void keep_events_up_to(const std::filesystem::path& path, std::int64_t last_step) {
  if (!std::filesystem::exists(path)) return;
  const MappedFile file(path);
  const std::string_view bytes(reinterpret_cast<const char*>(file.bytes().data()),
                               file.bytes().size());
  std::size_t kept = 0;
  while (kept < bytes.size()) {
    const auto record = first_record(bytes.substr(kept));
    if (!record) break;
    const auto step = step_of(*record);
    if (!step || *step > last_step) break;
    kept += kHeaderBytes + record->size() + kFooterBytes;
  }
  if (kept < bytes.size()) write_file_atomically(path, bytes.substr(0, kept));
}

}  // namespace r1::train
