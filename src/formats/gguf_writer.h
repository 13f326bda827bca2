#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "formats/gguf_metadata.h"
#include "quant/ggml_type.h"

namespace r1 {

template <class T>
concept GgufNumber = std::same_as<T, std::uint8_t> || std::same_as<T, std::int8_t> ||
    std::same_as<T, std::uint16_t> || std::same_as<T, std::int16_t> ||
    std::same_as<T, std::uint32_t> || std::same_as<T, std::int32_t> ||
    std::same_as<T, std::uint64_t> || std::same_as<T, std::int64_t> || std::same_as<T, float> ||
    std::same_as<T, double> || std::same_as<T, bool>;

// Metadata to be written, in the order in which it is set. The C++ type decides the type in the
// file, so say it where readers insist on one: set("llama.block_count", std::uint32_t{2}).
// An empty or repeated key is a programmer error; a text that is not UTF-8 throws Error.
class GgufMetadataBuilder {
 public:
  template <GgufNumber T>
  void set(std::string_view key, T value) {
    begin(key, type_of<T>());
    append(&value, sizeof value);
  }
  template <GgufNumber T>
  void set(std::string_view key, const std::vector<T>& items) {
    begin_array(key, type_of<T>(), items.size());
    for (const T item : items) append(&item, sizeof item);
  }
  void set(std::string_view key, std::string_view text);
  void set(std::string_view key, const std::vector<std::string>& texts);
  // As another file has it.
  void set(std::string_view key, const GgufValue& value);

  bool has(std::string_view key) const { return keys_.contains(key); }
  std::uint64_t count() const { return keys_.size(); }
  const std::string& bytes() const { return bytes_; }  // as they lie in the file

 private:
  template <GgufNumber T>
  static constexpr GgufType type_of() {
    if constexpr (std::same_as<T, std::uint8_t>) return GgufType::u8;
    if constexpr (std::same_as<T, std::int8_t>) return GgufType::i8;
    if constexpr (std::same_as<T, std::uint16_t>) return GgufType::u16;
    if constexpr (std::same_as<T, std::int16_t>) return GgufType::i16;
    if constexpr (std::same_as<T, std::uint32_t>) return GgufType::u32;
    if constexpr (std::same_as<T, std::int32_t>) return GgufType::i32;
    if constexpr (std::same_as<T, std::uint64_t>) return GgufType::u64;
    if constexpr (std::same_as<T, std::int64_t>) return GgufType::i64;
    if constexpr (std::same_as<T, float>) return GgufType::f32;
    if constexpr (std::same_as<T, double>) return GgufType::f64;
    if constexpr (std::same_as<T, bool>) return GgufType::boolean;
  }

  void begin(std::string_view key, GgufType type);
  void begin_array(std::string_view key, GgufType type, std::uint64_t count);
  void append(const void* data, std::size_t size);
  void append_text(std::string_view key, std::string_view text);

  std::set<std::string, std::less<>> keys_;
  std::string bytes_;
};

struct GgufTensorSpec {
  std::string name;
  GgmlType type;
  std::vector<std::int64_t> shape;  // outermost first, as in GgufTensor
  bool panels = false;  // of the type that panels keep (gguf_panels.h): the bytes are theirs
};

// Writes a GGUF file of version 3 tensor by tensor, atomically: nothing appears under the final
// name before commit(). The same metadata, specs and bytes give the same file. Tensors are stored
// in the order of the specs, without gaps but for the alignment, as ggml's reader demands, and
// appended in that order.
class GgufWriter {
 public:
  // Throws Error on outside failures, as do all members, and for a tensor that the format cannot
  // hold: a name above 63 bytes, more than 4 dimensions, rows that are not whole blocks of the
  // type. Repeated names and negative or overflowing shapes are programmer errors; so is an
  // alignment that is not a power of two, or given as metadata, for the writer itself sets
  // general.alignment where it is not the default, which panels raise to theirs, and the panels'
  // version.
  GgufWriter(std::filesystem::path path, const GgufMetadataBuilder& metadata,
             std::vector<GgufTensorSpec> tensors, std::uint32_t alignment = 32);

  // The next bytes of `name`, which must be the first tensor that is not complete yet. A tensor may
  // be appended in parts.
  void append(std::string_view name, std::span<const std::byte> bytes);
  // The same, not in panels, with values encoded as the tensor's type (ggml_blocks.h), whole blocks
  // at a time. Throws Error naming the tensor if a value does not fit the type.
  void append(std::string_view name, std::span<const float> values);
  // Every tensor must be complete.
  void commit();

 private:
  const GgufTensorSpec& next_tensor(std::string_view name) const;
  void skip_complete();
  void pad();

  std::filesystem::path path_;
  AtomicFile file_;
  std::vector<GgufTensorSpec> tensors_;
  std::uint32_t alignment_;
  std::vector<std::uint64_t> bytes_left_;  // of each tensor
  std::size_t next_ = 0;
};

}  // namespace r1
