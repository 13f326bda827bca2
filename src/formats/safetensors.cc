#include "formats/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "formats/json.h"
#include "tensor/f16.h"

static_assert(std::endian::native == std::endian::little, "safetensors is little-endian");

namespace r1 {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // as in the reference implementation
constexpr std::size_t kMaxDimensions = 32;
constexpr std::size_t kMaxNameBytes = 1024;
constexpr std::size_t kHeaderAlignment = 8;
constexpr std::string_view kMetadataKey = "__metadata__";

std::string tensor_place(std::string_view where, std::string_view name) {
  return fmt::format("{}: tensor \"{}\"", where, name);
}

// The product of the shape and the size of an element; nothing if it does not fit.
std::optional<std::uint64_t> bytes_of(DType dtype, std::span<const std::int64_t> shape) {
  std::uint64_t bytes = size_of(dtype);
  bool overflows = false;
  for (const std::int64_t dimension : shape) {
    if (dimension < 0) return std::nullopt;
    overflows |= __builtin_mul_overflow(bytes, static_cast<std::uint64_t>(dimension), &bytes);
  }
  if (overflows) return std::nullopt;
  return bytes;
}

std::uint64_t read_header_length(std::span<const std::byte> file, std::string_view where) {
  std::uint64_t length = 0;
  if (file.size() < sizeof length) {
    throw Error(where, fmt::format("not a safetensors file: only {} bytes", file.size()));
  }
  std::memcpy(&length, file.data(), sizeof length);
  if (length > kMaxHeaderBytes) {
    throw Error(where, fmt::format("not a safetensors file: its header would have {} bytes, the "
                                   "limit is {}",
                                   length, kMaxHeaderBytes));
  }
  if (length > file.size() - sizeof length) {
    throw Error(where,
                fmt::format("truncated: the header has {} bytes, the file {}", length, file.size()),
                "fetch the file again");
  }
  return length;
}

std::map<std::string, std::string> parse_metadata(const json& object, std::string_view where) {
  const std::string place = fmt::format("{}: {}", where, kMetadataKey);
  if (!object.is_object()) throw Error(place, "must be an object of strings");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : object.items()) {
    metadata[key] = convert_json<std::string>(value, excerpt(key), place);
  }
  return metadata;
}

struct ParsedTensor {
  TensorInfo info;
  std::uint64_t begin;
  std::uint64_t end;
};

ParsedTensor parse_tensor(const std::string& name, const json& entry,
                          std::span<const std::byte> data, std::string_view where) {
  if (name.size() > kMaxNameBytes) {
    throw Error(where, fmt::format("the tensor name \"{}\" has {} bytes, the limit is {}",
                                   excerpt(name), name.size(), kMaxNameBytes));
  }
  const std::string place = tensor_place(where, name);
  const auto dtype_name = require<std::string>(entry, "dtype", place);
  const std::optional<DType> dtype = parse_dtype(dtype_name);
  if (!dtype) throw Error(place, fmt::format("unknown dtype \"{}\"", excerpt(dtype_name)));

  auto shape = require<std::vector<std::int64_t>>(entry, "shape", place);
  if (shape.size() > kMaxDimensions) {
    throw Error(place, fmt::format("shape has {} dimensions, the limit is {}", shape.size(),
                                   kMaxDimensions));
  }
  if (std::ranges::any_of(shape, [](std::int64_t dimension) { return dimension < 0; })) {
    throw Error(place, fmt::format("shape [{}] is negative", fmt::join(shape, ", ")));
  }
  const std::optional<std::uint64_t> bytes = bytes_of(*dtype, shape);
  if (!bytes) {
    throw Error(place, fmt::format("shape [{}] overflows", fmt::join(shape, ", ")));
  }

  const auto offsets = require<std::vector<std::uint64_t>>(entry, "data_offsets", place);
  if (offsets.size() != 2 || offsets[0] > offsets[1]) {
    throw Error(place, "data_offsets must be [begin, end]");
  }
  if (offsets[1] > data.size()) {
    throw Error(place,
                fmt::format("data_offsets end at byte {}, but the file has {} bytes of data",
                            offsets[1], data.size()),
                "the file is truncated; fetch it again");
  }
  if (offsets[1] - offsets[0] != *bytes) {
    throw Error(place,
                fmt::format("data_offsets span {} bytes, but shape [{}] of {} needs {}",
                            offsets[1] - offsets[0], fmt::join(shape, ", "), dtype_name, *bytes));
  }
  return {
      {name, *dtype, std::move(shape), data.subspan(offsets[0], *bytes)}, offsets[0], offsets[1]};
}

// The format allows neither overlaps nor gaps: every byte belongs to one tensor.
void check_coverage(std::span<const ParsedTensor> by_offset, std::uint64_t data_size,
                    std::string_view where) {
  std::uint64_t covered = 0;
  for (const ParsedTensor& tensor : by_offset) {
    if (tensor.begin != covered) {
      throw Error(tensor_place(where, tensor.info.name),
                  fmt::format("data_offsets begin at {}, {} {}", tensor.begin,
                              tensor.begin < covered ? "inside a tensor that ends at"
                                                     : "which leaves a gap after",
                              covered));
    }
    covered = tensor.end;
  }
  if (covered != data_size) {
    throw Error(where, fmt::format("{} bytes of data belong to no tensor", data_size - covered));
  }
}

// Copies `out.size()` values of type Stored, which may lie unaligned, through `convert`.
template <class Stored, class Value, class Convert>
void convert_values(std::span<const std::byte> bytes, std::span<Value> out, Convert convert) {
  const std::byte* from = bytes.data();
  for (Value& value : out) {
    Stored stored;
    std::memcpy(&stored, from, sizeof stored);
    from += sizeof stored;
    value = convert(stored);
  }
}

// Loads F32, BF16, F16 or F64 into `out`, each value passed through `from_float`.
template <class Value, class FromFloat>
void load_floating(const TensorInfo& tensor, std::span<Value> out, FromFloat from_float) {
  if (out.size() != tensor.elements()) {
    throw Error(tensor.name,
                fmt::format("has {} elements (shape [{}]), expected {}", tensor.elements(),
                            fmt::join(tensor.shape, ", "), out.size()));
  }
  switch (tensor.dtype) {
    case DType::f64:
      return convert_values<double>(
          tensor.bytes, out, [&](double stored) { return from_float(static_cast<float>(stored)); });
    case DType::f32:
      return convert_values<float>(tensor.bytes, out, from_float);
    case DType::bf16:
      return convert_values<bf16>(tensor.bytes, out,
                                  [&](bf16 stored) { return from_float(to_float(stored)); });
    case DType::f16:
      return convert_values<f16>(tensor.bytes, out,
                                 [&](f16 stored) { return from_float(to_float(stored)); });
    default:
      throw Error(tensor.name,
                  fmt::format("is {}, expected F32, BF16, F16 or F64", name_of(tensor.dtype)));
  }
}

}  // namespace

void load_f32(const TensorInfo& tensor, std::span<float> out) {
  if (tensor.dtype == DType::f32 && out.size() == tensor.elements() && !out.empty()) {
    std::memcpy(out.data(), tensor.bytes.data(), tensor.bytes.size());
    return;
  }
  load_floating(tensor, out, [](float value) { return value; });
}

AlignedBuffer<float> load_f32(const TensorInfo& tensor) {
  AlignedBuffer<float> values(tensor.elements(), Fill::none);
  load_f32(tensor, values.span());
  return values;
}

AlignedBuffer<bf16> load_bf16(const TensorInfo& tensor) {
  AlignedBuffer<bf16> values(tensor.elements(), Fill::none);
  load_floating(tensor, values.span(), [](float value) { return round_to_bf16(value); });
  return values;
}

std::vector<std::int64_t> load_i64(const TensorInfo& tensor) {
  std::vector<std::int64_t> values(tensor.elements());
  const std::span out(values);
  const auto widen = [](auto stored) { return static_cast<std::int64_t>(stored); };
  switch (tensor.dtype) {
    case DType::i64:
      convert_values<std::int64_t>(tensor.bytes, out, widen);
      break;
    case DType::i32:
      convert_values<std::int32_t>(tensor.bytes, out, widen);
      break;
    case DType::i16:
      convert_values<std::int16_t>(tensor.bytes, out, widen);
      break;
    case DType::i8:
      convert_values<std::int8_t>(tensor.bytes, out, widen);
      break;
    case DType::u8:
    case DType::boolean:
      convert_values<std::uint8_t>(tensor.bytes, out, widen);
      break;
    default:
      throw Error(tensor.name, fmt::format("is {}, expected I64, I32, I16, I8, U8 or BOOL",
                                           name_of(tensor.dtype)));
  }
  return values;
}

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& path) {
  MappedFile file(path);
  SafetensorsFile result = parse(file.bytes(), path.native());
  result.file_ = std::move(file);
  return result;
}

SafetensorsFile SafetensorsFile::parse(std::span<const std::byte> bytes, std::string_view where) {
  const std::uint64_t header_length = read_header_length(bytes, where);
  const auto header = bytes.subspan(sizeof header_length, header_length);
  const auto data = bytes.subspan(sizeof header_length + header_length);
  const json entries =
      parse_json({reinterpret_cast<const char*>(header.data()), header.size()},
                 fmt::format("{}: header", where), {.max_depth = 8, .max_bytes = kMaxHeaderBytes});
  if (!entries.is_object()) throw Error(where, "the header must be a JSON object");

  SafetensorsFile result;
  result.where_ = where;
  std::vector<ParsedTensor> parsed;
  parsed.reserve(entries.size());
  for (const auto& [name, entry] : entries.items()) {
    if (name == kMetadataKey) {
      result.metadata_ = parse_metadata(entry, where);
    } else {
      parsed.push_back(parse_tensor(name, entry, data, where));
    }
  }
  std::ranges::sort(parsed, {}, [](const ParsedTensor& tensor) {
    return std::tie(tensor.begin, tensor.end, tensor.info.name);
  });
  check_coverage(parsed, data.size(), where);

  result.tensors_.reserve(parsed.size());
  for (ParsedTensor& tensor : parsed) {
    result.index_.emplace(tensor.info.name, result.tensors_.size());
    result.tensors_.push_back(std::move(tensor.info));
  }
  return result;
}

const TensorInfo* SafetensorsFile::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

const TensorInfo& SafetensorsFile::at(std::string_view name) const {
  const TensorInfo* tensor = find(name);
  if (tensor == nullptr) throw Error(where_, fmt::format("has no tensor \"{}\"", name));
  return *tensor;
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  names.reserve(tensors_.size());
  for (const TensorInfo& tensor : tensors_) names.push_back(tensor.name);
  return names;
}

SafetensorsWriter::SafetensorsWriter(std::filesystem::path path, std::vector<TensorSpec> tensors,
                                     std::map<std::string, std::string> metadata)
    : file_(std::move(path)), tensors_(std::move(tensors)) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadataKey] = metadata;
  std::map<std::string_view, std::uint64_t> begins;  // finds duplicates in n log n
  std::uint64_t offset = 0;
  for (const TensorSpec& tensor : tensors_) {
    const std::optional<std::uint64_t> bytes = bytes_of(tensor.dtype, tensor.shape);
    R1_CHECK(bytes && *bytes <= std::numeric_limits<std::uint64_t>::max() / 2 - offset,
             "{}: shape [{}]", tensor.name, fmt::join(tensor.shape, ", "));
    R1_CHECK(tensor.name != kMetadataKey && begins.emplace(tensor.name, offset).second,
             "the name \"{}\" is taken", tensor.name);
    bytes_left_.push_back(*bytes);
    header.get_ref<nlohmann::ordered_json::object_t&>().emplace_back(
        tensor.name, nlohmann::ordered_json{{"dtype", name_of(tensor.dtype)},
                                            {"shape", tensor.shape},
                                            {"data_offsets", {offset, offset + *bytes}}});
    offset += *bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment, ' ');
  const std::uint64_t length = text.size();
  file_.append(std::as_bytes(std::span(&length, 1)));
  file_.append(text);
  skip_complete();
}

void SafetensorsWriter::append(std::string_view name, std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  R1_CHECK(next_ < tensors_.size() && tensors_[next_].name == name,
           "the next tensor is not \"{}\" but \"{}\"", name,
           next_ < tensors_.size() ? tensors_[next_].name : "");
  R1_CHECK(bytes.size() <= bytes_left_[next_], "\"{}\": {} bytes, {} are left", name, bytes.size(),
           bytes_left_[next_]);
  file_.append(bytes);
  bytes_left_[next_] -= bytes.size();
  skip_complete();
}

void SafetensorsWriter::append(std::string_view name, std::span<const float> values) {
  if (values.empty()) return;
  R1_CHECK(next_ < tensors_.size(), "every tensor is complete, \"{}\" is too much", name);
  if (tensors_[next_].dtype == DType::f32) return append(name, std::as_bytes(values));
  R1_CHECK(tensors_[next_].dtype == DType::bf16, "\"{}\" is {}", name,
           name_of(tensors_[next_].dtype));
  constexpr std::size_t kBlock = 4096;
  std::array<bf16, kBlock> block;
  while (!values.empty()) {
    const std::size_t count = std::min(values.size(), kBlock);
    std::transform(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count),
                   block.begin(), round_to_bf16);
    append(name, std::as_bytes(std::span(block).first(count)));
    values = values.subspan(count);
  }
}

void SafetensorsWriter::commit() {
  R1_CHECK(next_ == tensors_.size(), "\"{}\" lacks {} bytes", tensors_[next_].name,
           bytes_left_[next_]);
  file_.commit();
}

void SafetensorsWriter::skip_complete() {
  while (next_ < tensors_.size() && bytes_left_[next_] == 0) ++next_;
}

void save_safetensors(const std::filesystem::path& path, std::vector<TensorInfo> tensors,
                      const std::map<std::string, std::string>& metadata) {
  std::ranges::sort(tensors, [](const TensorInfo& a, const TensorInfo& b) {
    const std::size_t a_size = size_of(a.dtype), b_size = size_of(b.dtype);
    return a_size != b_size ? a_size > b_size : a.name < b.name;
  });
  std::vector<TensorSpec> specs;
  specs.reserve(tensors.size());
  for (const TensorInfo& tensor : tensors) {
    specs.push_back({tensor.name, tensor.dtype, tensor.shape});
  }
  SafetensorsWriter writer(path, std::move(specs), metadata);
  for (const TensorInfo& tensor : tensors) writer.append(tensor.name, tensor.bytes);
  writer.commit();
}

}  // namespace r1
