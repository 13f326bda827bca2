#include "formats/gguf.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <iterator>
#include <limits>
#include <utility>

#include "backend/stored_panels.h"
#include "base/error.h"
#include "base/utf8.h"
#include "formats/gguf_layout.h"
#include "formats/gguf_panels.h"
#include "formats/json.h"
#include "quant/ggml_blocks.h"

static_assert(std::endian::native == std::endian::little, "GGUF files are read as they lie");

namespace r1 {
namespace {

using namespace gguf_layout;

// Far above what models have; they bound the memory that a hostile file can claim.
constexpr std::uint64_t kMaxKeys = 1 << 16;
constexpr std::uint64_t kMaxTensors = 1 << 18;
constexpr std::uint64_t kMaxKeyBytes = 1024;

// The least that an entry occupies in the file: lengths, numbers, and one byte of name.
constexpr std::uint64_t kMinKeyBytes = 8 + 1 + 4 + 1;
constexpr std::uint64_t kMinTensorBytes = 8 + 1 + 4 + 4 + 8;

// Reads the file front to back and refuses to pass its end.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, std::string_view where) : bytes_(bytes), place_(where) {}

  // Named at the front of errors from now on.
  void set_place(std::string place) { place_ = std::move(place); }
  const std::string& place() const { return place_; }

  std::uint64_t position() const { return position_; }
  std::uint64_t remaining() const { return bytes_.size() - position_; }

  std::span<const std::byte> take(std::uint64_t count, std::string_view what) {
    if (count > remaining()) {
      throw Error(place_,
                  fmt::format("{} would take {} bytes, but the file ends after {}", what, count,
                              remaining()),
                  "the file is truncated or damaged; fetch it again");
    }
    const auto taken = bytes_.subspan(position_, count);
    position_ += count;
    return taken;
  }

  template <class T>
  T read(std::string_view what) {
    T value;
    std::memcpy(&value, take(sizeof value, what).data(), sizeof value);
    return value;
  }

  std::span<const std::byte> read_string(std::string_view what) {
    return take(read<std::uint64_t>(what), what);
  }

  // A string that must be UTF-8 of 1 to `longest` bytes.
  std::string_view read_name(std::string_view what, std::uint64_t longest) {
    const auto length = read<std::uint64_t>(what);
    if (length == 0 || length > longest) {
      throw Error(place_,
                  fmt::format("{} has {} bytes, it must be 1 to {}", what, length, longest));
    }
    const std::span<const std::byte> bytes = take(length, what);
    const std::string_view name(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (!is_utf8(name)) throw Error(place_, fmt::format("{} is not valid UTF-8", what));
    return name;
  }

  // A number of entries that follow, each of at least `least_bytes`.
  std::uint64_t read_count(std::string_view what, std::uint64_t most, std::uint64_t least_bytes) {
    const auto count = read<std::uint64_t>(what);
    if (count > most) {
      throw Error(place_, fmt::format("{} is {}, the limit is {}", what, count, most));
    }
    if (count > remaining() / least_bytes) {
      throw Error(place_,
                  fmt::format("{} is {}, too many for the {} bytes left", what, count, remaining()),
                  "the file is truncated or damaged; fetch it again");
    }
    return count;
  }

 private:
  std::span<const std::byte> bytes_;
  std::string place_;
  std::uint64_t position_ = 0;
};

std::uint32_t read_version(Cursor& cursor) {
  const std::span<const std::byte> magic =
      cursor.take(std::min<std::uint64_t>(kMagic.size(), cursor.remaining()), "the magic");
  if (!std::ranges::equal(magic, std::as_bytes(std::span(kMagic)))) {
    throw Error(cursor.place(), "not a GGUF file: it does not begin with \"GGUF\"");
  }
  const auto version = cursor.read<std::uint32_t>("the version");
  if (version < kOldestVersion || version > kVersion) {
    const bool big_endian = version != 0 && (version & 0xFFFFu) == 0;
    throw Error(cursor.place(),
                big_endian ? std::string("a big-endian GGUF file, which r1 does not read")
                           : fmt::format("GGUF version {}, r1 reads {} and {}", version,
                                         kOldestVersion, kVersion),
                "convert the model again with a current tool");
  }
  return version;
}

GgufType read_type(Cursor& cursor, std::string_view what) {
  const auto number = cursor.read<std::uint32_t>(what);
  if (number > static_cast<std::uint32_t>(GgufType::f64)) {
    throw Error(cursor.place(), fmt::format("{} {} is unknown", what, number));
  }
  return static_cast<GgufType>(number);
}

// Passes over the elements and checks them; conversion happens when they are asked for.
std::span<const std::byte> read_elements(Cursor& cursor, GgufType type, std::uint64_t count) {
  if (type == GgufType::string) {
    Cursor walk = cursor;
    for (std::uint64_t i = 0; i < count; ++i) walk.read_string("a string");
    return cursor.take(walk.position() - cursor.position(), "the strings");
  }
  const std::size_t size = size_of(type).value();
  if (count > cursor.remaining() / size) {
    throw Error(cursor.place(),
                fmt::format("{} values of type {} do not fit into the {} bytes left", count,
                            name_of(type), cursor.remaining()),
                "the file is truncated or damaged; fetch it again");
  }
  const std::span<const std::byte> bytes = cursor.take(count * size, "the value");
  if (type == GgufType::boolean) {
    for (const std::byte byte : bytes) {
      if (byte > std::byte{1}) {
        throw Error(cursor.place(), fmt::format("a bool is {}, it must be 0 or 1",
                                                std::to_integer<unsigned>(byte)));
      }
    }
  }
  return bytes;
}

GgufValue read_value(Cursor& cursor) {
  GgufValue value{.type = read_type(cursor, "value type"), .bytes = {}};
  if (value.type == GgufType::array) {
    value.is_array = true;
    value.type = read_type(cursor, "element type");
    if (value.type == GgufType::array) {
      throw Error(cursor.place(), "an array of arrays, which GGUF files do not have");
    }
    value.count = cursor.read<std::uint64_t>("the number of elements");
  }
  value.bytes = read_elements(cursor, value.type, value.count);
  return value;
}

GgufMetadata read_metadata(Cursor& cursor, std::uint64_t count, std::string_view where) {
  GgufMetadata metadata(where);
  for (std::uint64_t i = 0; i < count; ++i) {
    cursor.set_place(fmt::format("{}: metadata entry {}", where, i));
    const std::string_view key = cursor.read_name("the key", kMaxKeyBytes);
    cursor.set_place(fmt::format("{}: key \"{}\"", where, excerpt(key)));
    if (!metadata.add(key, read_value(cursor))) throw Error(cursor.place(), "occurs twice");
  }
  return metadata;
}

std::uint64_t alignment_of(const GgufMetadata& metadata, std::string_view where) {
  const GgufValue* value = metadata.find(kAlignmentKey);
  if (value == nullptr) return kDefaultAlignment;
  const auto alignment = metadata.require<std::uint64_t>(kAlignmentKey);
  if (value->type != GgufType::u32 || !std::has_single_bit(alignment)) {
    throw Error(where, fmt::format("\"{}\" must be a u32 that is a power of two, found the {} {}",
                                   kAlignmentKey, name_of(value->type), alignment));
  }
  return alignment;
}

// Whether the file's panels can be read, if it has any.
bool has_panels(const GgufMetadata& metadata, std::uint64_t alignment, std::string_view where) {
  constexpr std::string_view kAdvice = "convert the model again from the file it was made of";
  if (!metadata.has(gguf_panels::kPanelVersionKey)) return false;
  const auto version = metadata.require<std::uint32_t>(gguf_panels::kPanelVersionKey);
  if (version != kPanelVersion) {
    throw Error(where,
                fmt::format("holds panels of version {}, r1 reads {}", version, kPanelVersion),
                kAdvice);
  }
  if (alignment % kPanelAlignment != 0) {
    throw Error(where,
                fmt::format("holds panels, but \"{}\" is {} and no multiple of {}", kAlignmentKey,
                            alignment, kPanelAlignment),
                kAdvice);
  }
  return true;
}

struct Placed {
  GgufTensor tensor;
  std::uint64_t offset;  // within the data
};

Placed read_tensor(Cursor& cursor, std::uint64_t number, bool file_has_panels,
                   std::string_view where) {
  cursor.set_place(fmt::format("{}: tensor {}", where, number));
  Placed result;
  GgufTensor& tensor = result.tensor;
  tensor.name = cursor.read_name("the name", kMaxNameBytes);
  cursor.set_place(fmt::format("{}: tensor \"{}\"", where, tensor.name));
  const auto dimensions = cursor.read<std::uint32_t>("the number of dimensions");
  if (dimensions > kMaxDimensions) {
    throw Error(cursor.place(),
                fmt::format("has {} dimensions, the limit is {}", dimensions, kMaxDimensions));
  }
  tensor.shape.resize(dimensions);
  std::int64_t elements = 1;
  bool overflows = false;
  for (std::int64_t& dimension : tensor.shape) {
    const auto extent = cursor.read<std::uint64_t>("a dimension");
    if (extent > std::numeric_limits<std::int64_t>::max()) {
      throw Error(cursor.place(), fmt::format("has a dimension of {}", extent));
    }
    dimension = static_cast<std::int64_t>(extent);
    overflows |= __builtin_mul_overflow(elements, dimension, &elements);
  }
  std::ranges::reverse(tensor.shape);  // the file has the innermost first
  if (overflows) {
    throw Error(cursor.place(), fmt::format("shape [{}] overflows", fmt::join(tensor.shape, ", ")));
  }
  tensor.type_number = cursor.read<std::uint32_t>("the type");
  tensor.panels = gguf_panels::is_panels(tensor.type_number);
  tensor.type =
      tensor.panels ? gguf_panels::type_of(tensor.type_number) : ggml_type_of(tensor.type_number);
  if (tensor.panels && !file_has_panels) {
    throw Error(cursor.place(), fmt::format("lies in panels, but the file does not tell their "
                                            "version (\"{}\")",
                                            gguf_panels::kPanelVersionKey));
  }
  if (tensor.panels && !tensor.type) {
    throw Error(cursor.place(), fmt::format("lies in panels of the unknown type {}",
                                            tensor.type_number - gguf_panels::kFirstNumber));
  }
  result.offset = cursor.read<std::uint64_t>("the offset");
  return result;
}

// Bytes of a tensor, of which `data_size - offset` are there. Of an unknown type only that it has
// some is known.
std::uint64_t checked_size(const GgufTensor& tensor, std::string_view place) {
  if (!tensor.type) return tensor.elements() == 0 ? 0 : 1;
  const std::size_t block = block_size(*tensor.type).values;
  if (!tensor.shape.empty() && static_cast<std::uint64_t>(tensor.shape.back()) % block != 0) {
    throw Error(place, fmt::format("shape [{}] has rows of {} values, {} needs a multiple of {}",
                                   fmt::join(tensor.shape, ", "), tensor.shape.back(),
                                   name_of(*tensor.type), block));
  }
  const std::optional<std::uint64_t> bytes = tensor.panels
                                                 ? gguf_panels::bytes_of(*tensor.type, tensor.shape)
                                                 : bytes_of(*tensor.type, tensor.shape);
  if (!bytes) {
    throw Error(place, fmt::format("shape [{}] of {} has too many bytes or no rows",
                                   fmt::join(tensor.shape, ", "), tensor.type_name()));
  }
  return *bytes;
}

// Gives the tensors their bytes. Two tensors may not share any.
void place_tensors(std::span<Placed> tensors, std::span<const std::byte> data,
                   std::uint64_t alignment, std::string_view where) {
  const auto place_of = [where](const Placed& placed) {
    return fmt::format("{}: tensor \"{}\"", where, placed.tensor.name);
  };
  struct Extent {
    std::uint64_t begin, end;
    const Placed* owner;
  };
  std::vector<Extent> extents;
  extents.reserve(tensors.size());
  for (Placed& placed : tensors) {
    const std::string place = place_of(placed);
    if (placed.offset % alignment != 0) {
      throw Error(place,
                  fmt::format("its offset {} is not a multiple of {}", placed.offset, alignment));
    }
    const std::uint64_t size = checked_size(placed.tensor, place);
    if (placed.offset > data.size() || size > data.size() - placed.offset) {
      throw Error(place,
                  fmt::format("its {} bytes at offset {} end beyond the {} bytes of data", size,
                              placed.offset, data.size()),
                  "the file is truncated; fetch it again");
    }
    if (placed.tensor.type) placed.tensor.bytes = data.subspan(placed.offset, size);
    if (size > 0) extents.push_back({placed.offset, placed.offset + size, &placed});
  }
  std::ranges::sort(extents, {}, &Extent::begin);
  for (std::size_t i = 1; i < extents.size(); ++i) {
    if (extents[i].begin < extents[i - 1].end) {
      throw Error(place_of(*extents[i].owner),
                  fmt::format("overlaps tensor \"{}\"", extents[i - 1].owner->tensor.name));
    }
  }
}

[[noreturn]] void throw_unknown_type(const GgufTensor& tensor, std::string_view place) {
  throw Error(place,
              fmt::format("is {}, which r1 does not decode", ggml_type_name(tensor.type_number)),
              "r1 reads F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q5_K and Q6_K");
}

constexpr std::int64_t kMaxParts = 4096;

// The files of a model that was split: the path is that of the first, NAME-00001-of-00003.gguf.
std::vector<std::filesystem::path> gguf_parts(const std::filesystem::path& first,
                                              std::int64_t count) {
  if (count > kMaxParts) {
    throw Error(first.native(),
                fmt::format("\"split.count\" is {}, more than {}", count, kMaxParts));
  }
  const std::string name = first.filename().string();
  const std::string ending = fmt::format("-00001-of-{:05}.gguf", count);
  if (!name.ends_with(ending)) {
    throw Error(first.native(),
                fmt::format("is one of {} parts, but its name does not end in {}", count, ending),
                "name the first part, and keep the names the parts came with");
  }
  const std::string stem = name.substr(0, name.size() - ending.size());
  std::vector<std::filesystem::path> paths;
  for (std::int64_t i = 1; i <= count; ++i) {
    paths.push_back(first.parent_path() / fmt::format("{}-{:05}-of-{:05}.gguf", stem, i, count));
  }
  return paths;
}

}  // namespace

std::uint64_t GgufTensor::elements() const {
  std::uint64_t product = 1;
  for (const std::int64_t dimension : shape) product *= static_cast<std::uint64_t>(dimension);
  return product;
}

std::string GgufTensor::type_name() const {
  if (!panels) return ggml_type_name(type_number);
  return fmt::format("{} in panels", ggml_type_name(type_number - gguf_panels::kFirstNumber));
}

AlignedBuffer<std::byte> rows_from_panels(const GgufTensor& tensor) {
  R1_CHECK(tensor.panels, "\"{}\" does not lie in panels", tensor.name);
  const std::int64_t n = tensor.shape[tensor.shape.size() - 2], k = tensor.shape.back();
  const std::size_t panel_bytes = static_cast<std::size_t>(stored_panel_bytes(*tensor.type, n, k));
  const std::size_t row_bytes = r1::bytes_of(*tensor.type, std::array{n, k}).value();
  const std::size_t matrices = tensor.bytes.size() / panel_bytes;
  AlignedBuffer<std::byte> rows(matrices * row_bytes, Fill::none);
  for (std::size_t i = 0; i < matrices; ++i) {
    unpack_stored(*tensor.type, tensor.bytes.subspan(i * panel_bytes, panel_bytes), n, k, 0, n,
                  rows.span(i * row_bytes, row_bytes));
  }
  return rows;
}

void load_f32(const GgufTensor& tensor, std::span<float> out) {
  if (!tensor.type) throw_unknown_type(tensor, tensor.name);
  if (out.size() != tensor.elements()) {
    throw Error(tensor.name,
                fmt::format("has {} elements (shape [{}]), expected {}", tensor.elements(),
                            fmt::join(tensor.shape, ", "), out.size()));
  }
  if (tensor.panels) {
    dequantize(*tensor.type, rows_from_panels(tensor).span(), out);
  } else {
    dequantize(*tensor.type, tensor.bytes, out);
  }
}

AlignedBuffer<float> load_f32(const GgufTensor& tensor) {
  if (!tensor.type) throw_unknown_type(tensor, tensor.name);
  AlignedBuffer<float> values(tensor.elements(), Fill::none);
  load_f32(tensor, values.span());
  return values;
}

AlignedBuffer<bf16> load_bf16(const GgufTensor& tensor) {
  if (!tensor.type) throw_unknown_type(tensor, tensor.name);
  AlignedBuffer<bf16> values(tensor.elements(), Fill::none);
  AlignedBuffer<std::byte> rows;
  if (tensor.panels) rows = rows_from_panels(tensor);
  const std::span<const std::byte> blocks = tensor.panels ? rows.span() : tensor.bytes;
  const GgmlBlockSize block = block_size(*tensor.type);
  std::array<float, 4096> part;
  static_assert(part.size() % kSuperBlock == 0);
  for (std::size_t begin = 0; begin < values.size(); begin += part.size()) {
    const std::size_t count = std::min(part.size(), values.size() - begin);
    const auto decoded = std::span(part).first(count);
    dequantize(
        *tensor.type,
        blocks.subspan(begin / block.values * block.bytes, count / block.values * block.bytes),
        decoded);
    std::ranges::transform(decoded, values.data() + begin, round_to_bf16);
  }
  return values;
}

GgufFile GgufFile::open(const std::filesystem::path& path) {
  const auto map = [](const std::filesystem::path& part) {
    MappedFile file(part);
    GgufFile result = parse(file.bytes(), part.native());
    result.files_.push_back(std::move(file));
    return result;
  };
  GgufFile whole = map(path);
  const std::int64_t parts = whole.metadata_.get_or<std::int64_t>("split.count", 1);
  if (parts <= 1) return whole;
  const std::vector<std::filesystem::path> paths = gguf_parts(path, parts);
  for (std::int64_t i = 0; i < parts; ++i) {
    GgufFile part = i == 0 ? GgufFile() : map(paths[static_cast<std::size_t>(i)]);
    const GgufMetadata& metadata = i == 0 ? whole.metadata_ : part.metadata_;
    if (metadata.get_or<std::int64_t>("split.no", -1) != i ||
        metadata.get_or<std::int64_t>("split.count", -1) != parts) {
      throw Error(paths[static_cast<std::size_t>(i)].native(),
                  fmt::format("does not say that it is part {} of {}", i + 1, parts),
                  "its parts were mixed up or renamed; fetch them again");
    }
    if (i > 0) whole.join(std::move(part));
  }
  const auto count =
      whole.metadata_.get_or<std::int64_t>("split.tensors.count", std::ssize(whole.tensors_));
  if (count != std::ssize(whole.tensors_)) {
    throw Error(path.native(), fmt::format("its parts hold {} tensors instead of {}",
                                           whole.tensors_.size(), count));
  }
  return whole;
}

void GgufFile::join(GgufFile part) {
  for (GgufTensor& tensor : part.tensors_) {
    if (!index_.emplace(tensor.name, tensors_.size()).second) {
      throw Error(part.where_,
                  fmt::format("tensor \"{}\" is in an earlier part too", excerpt(tensor.name)));
    }
    tensors_.push_back(std::move(tensor));
  }
  std::ranges::move(part.files_, std::back_inserter(files_));
}

GgufFile GgufFile::parse(std::span<const std::byte> bytes, std::string_view where) {
  GgufFile result;
  result.where_ = where;
  Cursor cursor(bytes, where);
  result.version_ = read_version(cursor);
  const std::uint64_t tensor_count =
      cursor.read_count("the number of tensors", kMaxTensors, kMinTensorBytes);
  const std::uint64_t key_count =
      cursor.read_count("the number of metadata keys", kMaxKeys, kMinKeyBytes);
  result.metadata_ = read_metadata(cursor, key_count, where);
  result.alignment_ = alignment_of(result.metadata_, where);
  const bool file_has_panels = has_panels(result.metadata_, result.alignment_, where);

  std::vector<Placed> placed;
  placed.reserve(tensor_count);
  for (std::uint64_t i = 0; i < tensor_count; ++i) {
    placed.push_back(read_tensor(cursor, i, file_has_panels, where));
    if (!result.index_.emplace(placed.back().tensor.name, i).second) {
      throw Error(cursor.place(), "occurs twice");
    }
  }
  // A file of metadata alone may end without the padding.
  const std::uint64_t data_begin =
      std::min<std::uint64_t>(align_up(cursor.position(), result.alignment_), bytes.size());
  place_tensors(placed, bytes.subspan(data_begin), result.alignment_, where);
  result.tensors_.reserve(placed.size());
  for (Placed& each : placed) result.tensors_.push_back(std::move(each.tensor));
  return result;
}

const GgufTensor* GgufFile::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

const GgufTensor& GgufFile::at(std::string_view name) const {
  const GgufTensor* tensor = find(name);
  if (tensor == nullptr) throw Error(where_, fmt::format("has no tensor \"{}\"", name));
  if (!tensor->type) {
    throw_unknown_type(*tensor, fmt::format("{}: tensor \"{}\"", where_, tensor->name));
  }
  return *tensor;
}

}  // namespace r1
