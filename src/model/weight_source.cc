#include "model/weight_source.h"

#include <algorithm>

#include "base/error.h"
#include "formats/fp8_blocks.h"
#include "formats/hf_directory.h"
#include "model/gguf_weights.h"

namespace r1 {
namespace {

namespace fs = std::filesystem;

class HfWeights : public WeightSource {
 public:
  explicit HfWeights(const fs::path& path)
      : directory_(HfDirectory::open(path)),
        config_(parse_config(directory_.config(), (path / "config.json").string())) {
    // Some checkpoints announce prediction modules and come without them.
    const std::string first = fmt::format("model.layers.{}.", config_.num_hidden_layers);
    if (std::ranges::none_of(directory_.names(),
                             [&](const std::string& name) { return name.starts_with(first); })) {
      config_.num_nextn_predict_layers = 0;
    }
  }

  const ModelConfig& config() const override { return config_; }

  StoredTensors contents() const override {
    StoredTensors contents;
    for (const std::string& name : directory_.names()) {
      const TensorInfo& tensor = directory_.tensor(name);
      ++contents.count;
      contents.values[std::string(name_of(tensor.dtype))] +=
          static_cast<std::int64_t>(tensor.elements());
    }
    return contents;
  }

  AlignedBuffer<float> read(const std::string& name, const Shape& shape) const override {
    const TensorInfo& tensor = checked(name, shape);
    return tensor.dtype == DType::f8_e4m3
               ? load_fp8_blocks(tensor, directory_.tensor(name + "_scale_inv"))
               : load_f32(tensor);
  }

  std::optional<StoredRows> stored(const std::string& name, const Shape& shape) const override {
    if (shape.rank() != 2) return std::nullopt;
    const TensorInfo& tensor = checked(name, shape);
    switch (tensor.dtype) {
      case DType::f32:
        return StoredRows{.type = GgmlType::f32, .bytes = tensor.bytes, .mapped = true};
      case DType::bf16:
        return StoredRows{.type = GgmlType::bf16, .bytes = tensor.bytes, .mapped = true};
      case DType::f16:
        return StoredRows{.type = GgmlType::f16, .bytes = tensor.bytes, .mapped = true};
      default:
        return std::nullopt;
    }
  }

 private:
  const TensorInfo& checked(const std::string& name, const Shape& shape) const {
    const TensorInfo& tensor = directory_.tensor(name);
    std::vector<std::int64_t> wanted;
    for (int axis = 0; axis < shape.rank(); ++axis) wanted.push_back(shape[axis]);
    if (tensor.shape != wanted) {
      throw Error(directory_.path().string(),
                  fmt::format("tensor \"{}\" is [{}], but config.json asks for [{}]", name,
                              fmt::join(tensor.shape, ", "), fmt::join(wanted, ", ")),
                  "is this config of the same model?");
    }
    return tensor;
  }

  HfDirectory directory_;
  ModelConfig config_;
};

}  // namespace

bool is_gguf(const fs::path& path) { return path.extension() == ".gguf"; }

std::unique_ptr<WeightSource> WeightSource::open(const fs::path& path) {
  if (is_gguf(path)) return open_gguf_weights(path);
  return std::make_unique<HfWeights>(path);
}

}  // namespace r1
