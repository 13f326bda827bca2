#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "model/config.h"
#include "ops/weight.h"
#include "tensor/aligned_buffer.h"

namespace r1 {

// What lies in a model's files.
struct StoredTensors {
  std::int64_t count = 0;
  std::map<std::string, std::int64_t> values;  // by type: "BF16", "Q4_K", ...
};

// Where a model's shape and weights come from. Weights go by their Hugging Face names and lie as
// Hugging Face lays them out, whatever the file does.
class WeightSource {
 public:
  virtual ~WeightSource() = default;
  // A Hugging Face directory (config.json, safetensors), or a GGUF file. Throws Error naming the
  // file.
  static std::unique_ptr<WeightSource> open(const std::filesystem::path& path);

  // Of what is there: prediction modules that are announced without weights do not count.
  virtual const ModelConfig& config() const = 0;
  virtual StoredTensors contents() const = 0;
  // The values of a weight. Throws Error naming the tensor that is missing or has other extents.
  virtual AlignedBuffer<float> read(const std::string& name, const Shape& shape) const = 0;
  // The same as the file holds them, where a row of theirs is a run of whole blocks, or in panels;
  // nothing where it is not, and read() must convert. Views of the file live as long as the source.
  // Of DeepSeek's kv_b_proj some files have the halves instead, which go by names of their own:
  // k_b_proj [heads, latent, nope], transposed, and v_b_proj [heads, value, latent].
  virtual std::optional<StoredRows> stored(const std::string& name, const Shape& shape) const = 0;
};

// Whether the path names a GGUF file: by its ending.
bool is_gguf(const std::filesystem::path& path);

}  // namespace r1
