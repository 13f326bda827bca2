#include "model/hf_export.h"

#include "base/file.h"
#include "formats/safetensors.h"
#include "model/model.h"

namespace r1 {

void write_hf(const std::filesystem::path& directory, const WeightSource& weights,
              Precision precision) {
  ModelConfig config = weights.config();
  config.torch_dtype = precision == Precision::f32 ? "float32" : "bfloat16";
  write_file_atomically(directory / "config.json", write_config(config));
  Model model(config, precision);
  std::vector<TensorSpec> specs;
  model.visit_weights([&](const Weight& weight) {
    std::vector<std::int64_t> shape;
    for (int axis = 0; axis < weight.shape.rank(); ++axis) shape.push_back(weight.shape[axis]);
    const bool exact = precision == Precision::f32 || !weight.trainable;
    specs.push_back({weight.name, exact ? DType::f32 : DType::bf16, std::move(shape)});
  });
  SafetensorsWriter writer(directory / "model.safetensors", std::move(specs), {{"format", "pt"}});
  model.visit_weights([&](const Weight& weight) {
    writer.append(weight.name, weights.read(weight.name, weight.shape).span());
  });
  writer.commit();
}

}  // namespace r1
