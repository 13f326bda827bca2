#include "formats/gguf_writer.h"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>
#include <utility>

#include "backend/stored_panels.h"
#include "base/error.h"
#include "base/utf8.h"
#include "formats/gguf_layout.h"
#include "formats/gguf_panels.h"
#include "quant/ggml_blocks.h"

static_assert(std::endian::native == std::endian::little, "GGUF files are written as they lie");

namespace r1 {
namespace {

using namespace gguf_layout;

template <class T>
void append_number(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_string(std::string& out, std::string_view text) {
  append_number(out, std::uint64_t{text.size()});
  out += text;
}

// Bytes of the tensor; refuses what the format cannot hold.
std::uint64_t checked_size(const GgufTensorSpec& tensor, std::string_view where) {
  const std::string place = fmt::format("{}: tensor \"{}\"", where, tensor.name);
  if (tensor.name.empty() || tensor.name.size() > kMaxNameBytes || !is_utf8(tensor.name)) {
    throw Error(place, fmt::format("GGUF takes names of 1 to {} bytes of UTF-8", kMaxNameBytes));
  }
  if (tensor.shape.size() > kMaxDimensions) {
    throw Error(place, fmt::format("shape [{}] has more than {} dimensions",
                                   fmt::join(tensor.shape, ", "), kMaxDimensions));
  }
  R1_CHECK(std::ranges::all_of(tensor.shape, [](std::int64_t extent) { return extent >= 0; }),
           "{}: shape [{}]", tensor.name, fmt::join(tensor.shape, ", "));
  const std::size_t block = block_size(tensor.type).values;
  const std::int64_t row = tensor.shape.empty() ? 1 : tensor.shape.back();
  if (static_cast<std::uint64_t>(row) % block != 0) {
    throw Error(place,
                fmt::format("has rows of {} values, {} needs a multiple of {}", row,
                            name_of(tensor.type), block),
                "choose Q8_0 or BF16 for it");
  }
  R1_CHECK(!tensor.panels || panels_keep(tensor.type), "{}: panels of {}", tensor.name,
           name_of(tensor.type));
  const std::optional<std::uint64_t> bytes = tensor.panels
                                                 ? gguf_panels::bytes_of(tensor.type, tensor.shape)
                                                 : bytes_of(tensor.type, tensor.shape);
  R1_CHECK(bytes, "{}: shape [{}]", tensor.name, fmt::join(tensor.shape, ", "));
  return *bytes;
}

}  // namespace

void GgufMetadataBuilder::begin(std::string_view key, GgufType type) {
  R1_CHECK(!key.empty() && is_utf8(key), "key \"{}\"", key);
  R1_CHECK(keys_.emplace(key).second, "the key \"{}\" is taken", key);
  append_string(bytes_, key);
  append_number(bytes_, static_cast<std::uint32_t>(type));
}

void GgufMetadataBuilder::begin_array(std::string_view key, GgufType type, std::uint64_t count) {
  begin(key, GgufType::array);
  append_number(bytes_, static_cast<std::uint32_t>(type));
  append_number(bytes_, count);
}

void GgufMetadataBuilder::append(const void* data, std::size_t size) {
  bytes_.append(static_cast<const char*>(data), size);
}

void GgufMetadataBuilder::append_text(std::string_view key, std::string_view text) {
  if (!is_utf8(text)) throw Error(key, "is to be written to GGUF, but is not valid UTF-8");
  append_string(bytes_, text);
}

void GgufMetadataBuilder::set(std::string_view key, std::string_view text) {
  begin(key, GgufType::string);
  append_text(key, text);
}

void GgufMetadataBuilder::set(std::string_view key, const std::vector<std::string>& texts) {
  begin_array(key, GgufType::string, texts.size());
  for (const std::string& text : texts) append_text(key, text);
}

void GgufMetadataBuilder::set(std::string_view key, const GgufValue& value) {
  if (value.is_array) {
    begin_array(key, value.type, value.count);
  } else {
    begin(key, value.type);
  }
  append(value.bytes.data(), value.bytes.size());
}

GgufWriter::GgufWriter(std::filesystem::path path, const GgufMetadataBuilder& metadata,
                       std::vector<GgufTensorSpec> tensors, std::uint32_t alignment)
    : path_(std::move(path)), file_(path_), tensors_(std::move(tensors)), alignment_(alignment) {
  R1_CHECK(std::has_single_bit(alignment), "alignment {}", alignment);
  for (const std::string_view key : {kAlignmentKey, gguf_panels::kPanelVersionKey}) {
    R1_CHECK(!metadata.has(key), "{} is the writer's to set", key);
  }
  GgufMetadataBuilder own;
  const bool panels = std::ranges::any_of(tensors_, &GgufTensorSpec::panels);
  if (panels) alignment_ = std::max(alignment_, std::uint32_t{kPanelAlignment});
  if (alignment_ != kDefaultAlignment) own.set(kAlignmentKey, alignment_);
  if (panels) own.set(gguf_panels::kPanelVersionKey, kPanelVersion);

  std::string header(kMagic);
  append_number(header, kVersion);
  append_number(header, std::uint64_t{tensors_.size()});
  append_number(header, own.count() + metadata.count());
  header += own.bytes();
  header += metadata.bytes();
  std::set<std::string_view> names;
  std::uint64_t offset = 0;
  for (const GgufTensorSpec& tensor : tensors_) {
    const std::uint64_t bytes = checked_size(tensor, path_.native());
    R1_CHECK(names.insert(tensor.name).second, "the name \"{}\" is taken", tensor.name);
    append_string(header, tensor.name);
    append_number(header, static_cast<std::uint32_t>(tensor.shape.size()));
    for (auto extent = tensor.shape.rbegin(); extent != tensor.shape.rend(); ++extent) {
      append_number(header, *extent);  // the innermost first
    }
    append_number(header, tensor.panels ? gguf_panels::number_of(tensor.type)
                                        : static_cast<std::uint32_t>(tensor.type));
    append_number(header, offset);
    bytes_left_.push_back(bytes);
    R1_CHECK(!__builtin_add_overflow(offset, align_up(bytes, alignment_), &offset), "{} bytes",
             bytes);
  }
  file_.append(header);
  pad();
  skip_complete();
}

const GgufTensorSpec& GgufWriter::next_tensor(std::string_view name) const {
  R1_CHECK(next_ < tensors_.size() && tensors_[next_].name == name,
           "the next tensor is not \"{}\" but \"{}\"", name,
           next_ < tensors_.size() ? tensors_[next_].name : "");
  return tensors_[next_];
}

void GgufWriter::append(std::string_view name, std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  next_tensor(name);
  R1_CHECK(bytes.size() <= bytes_left_[next_], "\"{}\": {} bytes, {} are left", name, bytes.size(),
           bytes_left_[next_]);
  file_.append(bytes);
  bytes_left_[next_] -= bytes.size();
  if (bytes_left_[next_] == 0) pad();
  skip_complete();
}

void GgufWriter::append(std::string_view name, std::span<const float> values) {
  if (values.empty()) return;
  const GgmlType type = next_tensor(name).type;
  R1_CHECK(!next_tensor(name).panels, "\"{}\" lies in panels", name);
  const GgmlBlockSize block = block_size(type);
  R1_CHECK(values.size() % block.values == 0, "\"{}\": {} values are no whole blocks of {}", name,
           values.size(), name_of(type));
  const std::string place = fmt::format("{}: tensor \"{}\"", path_.native(), name);
  constexpr std::size_t kPart = 4096;
  static_assert(kPart % kSuperBlock == 0);
  std::array<std::byte, kPart * sizeof(float)> encoded;
  while (!values.empty()) {
    const std::size_t count = std::min(values.size(), kPart);
    const auto bytes = std::span(encoded).first(count / block.values * block.bytes);
    quantize(type, values.first(count), bytes, place);
    append(name, bytes);
    values = values.subspan(count);
  }
}

void GgufWriter::commit() {
  R1_CHECK(next_ == tensors_.size(), "\"{}\" lacks {} bytes", tensors_[next_].name,
           bytes_left_[next_]);
  file_.commit();
}

void GgufWriter::skip_complete() {
  while (next_ < tensors_.size() && bytes_left_[next_] == 0) ++next_;
}

void GgufWriter::pad() {
  file_.append(std::string(align_up(file_.size(), alignment_) - file_.size(), '\0'));
}

}  // namespace r1
