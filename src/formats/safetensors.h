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
#include "tensor/aligned_buffer.h"
#include "tensor/bf16.h"
#include "tensor/dtype.h"

// The safetensors format: 8 bytes of header length (little-endian), a JSON header
// {"name": {"dtype", "shape", "data_offsets": [begin, end]}, ..., "__metadata__": {...}}, and the
// tensors' bytes, row-major, without gaps.
namespace r1 {

struct TensorInfo {
  std::string name;
  DType dtype;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;  // need not be aligned for the dtype
  std::size_t elements() const { return bytes.size() / size_of(dtype); }
};

// A tensor's values, converted exactly (F64 is rounded). Throws Error naming the tensor if its
// dtype is not one of the listed ones, or if `out` has another number of elements.
void load_f32(const TensorInfo& tensor, std::span<float> out);  // F32, BF16, F16, F64
AlignedBuffer<float> load_f32(const TensorInfo& tensor);
AlignedBuffer<bf16> load_bf16(const TensorInfo& tensor);       // the same, rounded to nearest even
std::vector<std::int64_t> load_i64(const TensorInfo& tensor);  // I64, I32, I16, I8, U8, BOOL

// An open file. Every size and offset was checked when it was opened: a TensorInfo's bytes lie
// within the file and are as many as its shape and dtype say. Movable; the infos point into it.
class SafetensorsFile {
 public:
  // Maps the file. Throws Error naming file, tensor and field.
  static SafetensorsFile open(const std::filesystem::path& path);
  // Reads from memory that must outlive the result; `where` stands for the path in errors.
  static SafetensorsFile parse(std::span<const std::byte> bytes, std::string_view where);

  bool has(std::string_view name) const { return find(name) != nullptr; }
  const TensorInfo* find(std::string_view name) const;  // null if there is none
  const TensorInfo& at(std::string_view name) const;    // throws Error if there is none

  // In the order of their bytes in the file.
  std::span<const TensorInfo> tensors() const { return tensors_; }
  std::vector<std::string> names() const;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  std::optional<MappedFile> file_;
  std::string where_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, std::size_t, std::less<>> index_;  // name -> position in tensors_
  std::map<std::string, std::string> metadata_;
};

struct TensorSpec {
  std::string name;
  DType dtype;
  std::vector<std::int64_t> shape;
};

// Writes a file tensor by tensor, atomically: nothing appears under the final name before commit().
// The same specs, metadata and bytes give the same file. Tensors are stored in the order of the
// specs and appended in that order, so no more than one needs to be in memory.
class SafetensorsWriter {
 public:
  // Throws Error on outside failures, as do all members. Duplicate names, negative dimensions and
  // overflowing sizes are programmer errors.
  SafetensorsWriter(std::filesystem::path path, std::vector<TensorSpec> tensors,
                    std::map<std::string, std::string> metadata = {});

  // The next bytes of `name`, which must be the first tensor that is not complete yet. A tensor may
  // be appended in parts.
  void append(std::string_view name, std::span<const std::byte> bytes);
  // The same with values converted to the tensor's dtype: F32, or BF16 rounded to nearest even.
  void append(std::string_view name, std::span<const float> values);
  // Every tensor must be complete.
  void commit();

 private:
  void skip_complete();

  AtomicFile file_;
  std::vector<TensorSpec> tensors_;
  std::vector<std::uint64_t> bytes_left_;  // of each tensor
  std::size_t next_ = 0;
};

// Writes tensors that are in memory, larger elements first and then by name, so that each one is
// aligned for its dtype.
void save_safetensors(const std::filesystem::path& path, std::vector<TensorInfo> tensors,
                      const std::map<std::string, std::string>& metadata = {});

}  // namespace r1
