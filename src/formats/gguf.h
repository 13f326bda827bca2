#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "formats/gguf_metadata.h"
#include "quant/ggml_type.h"
#include "tensor/aligned_buffer.h"
#include "tensor/bf16.h"

// The GGUF format, versions 2 and 3, little-endian: "GGUF", the version, the numbers of tensors and
// of metadata keys, the metadata, the tensors' names, shapes, types and offsets, and their data.
namespace r1 {

struct GgufTensor {
  std::string name;
  std::uint32_t type_number;         // as in the file; ggml_type_name() names it
  std::optional<GgmlType> type;      // nothing if r1 cannot decode it
  bool panels = false;               // the bytes are panels of that type (gguf_panels.h)
  std::vector<std::int64_t> shape;   // outermost first, [out, in]: the reverse of the file's order
  std::span<const std::byte> bytes;  // row-major blocks, perhaps unaligned; empty without a type
  std::uint64_t elements() const;
  std::string type_name() const;  // "Q8_0", "Q8_0 in panels", "type 99"
};

// The rows of a tensor in panels, as they went into them: row-major blocks.
AlignedBuffer<std::byte> rows_from_panels(const GgufTensor& tensor);

// A tensor's values, decoded (ggml_blocks.h). Throws Error naming the tensor if its type is not one
// that r1 decodes, or if `out` has another number of elements.
void load_f32(const GgufTensor& tensor, std::span<float> out);
AlignedBuffer<float> load_f32(const GgufTensor& tensor);
AlignedBuffer<bf16> load_bf16(const GgufTensor& tensor);  // the same, rounded to nearest even

// An open file. Every count, length and offset was checked when it was opened: metadata and the
// tensors' bytes lie within the file, no two tensors overlap, and names are unique. Movable;
// tensors and metadata point into it.
class GgufFile {
 public:
  // Maps the file, and the other parts of one that was split (NAME-00001-of-00003.gguf: the first
  // part is to be named, and holds the metadata). Throws Error naming file, key or tensor.
  static GgufFile open(const std::filesystem::path& path);
  // Reads from memory that must outlive the result; `where` stands for the path in errors.
  static GgufFile parse(std::span<const std::byte> bytes, std::string_view where);

  std::uint32_t version() const { return version_; }
  std::uint64_t alignment() const { return alignment_; }
  const GgufMetadata& metadata() const { return metadata_; }

  bool has(std::string_view name) const { return find(name) != nullptr; }
  const GgufTensor* find(std::string_view name) const;  // null if there is none
  // For reading: throws Error if there is none, or if r1 cannot decode its type.
  const GgufTensor& at(std::string_view name) const;

  // In the file's order, those of unknown types too.
  std::span<const GgufTensor> tensors() const { return tensors_; }

 private:
  void join(GgufFile part);

  std::vector<MappedFile> files_;
  std::string where_;
  std::uint32_t version_ = 0;
  std::uint64_t alignment_ = 0;
  GgufMetadata metadata_;
  std::vector<GgufTensor> tensors_;
  std::map<std::string, std::size_t, std::less<>> index_;  // name -> position in tensors_
};

}  // namespace r1
