#include "train/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "text/tokenizer_json.h"

namespace r1::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr std::string_view kPrefix = "checkpoint-";
constexpr std::size_t kMaxStateBytes = 1 << 20;

std::vector<std::int64_t> extents(const Shape& shape) {
  std::vector<std::int64_t> result;
  for (int axis = 0; axis < shape.rank(); ++axis) result.push_back(shape[axis]);
  return result;
}

std::optional<std::int64_t> step_of(const fs::path& directory) {
  const std::string name = directory.filename().string();
  if (!name.starts_with(kPrefix)) return std::nullopt;
  std::int64_t step = 0;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + kPrefix.size(), end, step);
  if (error != std::errc() || stop != end) return std::nullopt;
  return step;
}

// Steps of the checkpoints in a run directory, rising.
std::vector<std::int64_t> checkpoint_steps(const fs::path& run) {
  std::vector<std::int64_t> steps;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(run, error)) {
    if (const auto step = step_of(entry.path()); step && entry.is_directory()) {
      steps.push_back(*step);
    }
  }
  std::ranges::sort(steps);
  return steps;
}

fs::path checkpoint_path(const fs::path& run, std::int64_t step) {
  return run / fmt::format("{}{}", kPrefix, step);
}

void save_masters(const fs::path& file, Model& model) {
  std::vector<TensorSpec> specs;
  model.visit_weights([&](Weight& weight) {
    specs.push_back({weight.name, DType::f32, extents(weight.shape)});
  });
  SafetensorsWriter writer(file, std::move(specs));
  model.visit_weights([&](Weight& weight) { writer.append(weight.name, weight.value.span()); });
  writer.commit();
}

void read_tensor(const SafetensorsFile& file, const fs::path& path, const std::string& name,
                 AlignedBuffer<float>& values) {
  const TensorInfo& tensor = file.at(name);
  if (tensor.elements() != values.size()) {
    throw Error(path.string(),
                fmt::format("tensor \"{}\" has {} numbers, the model {}", name, tensor.elements(),
                            values.size()),
                "resume with the recipe that wrote it");
  }
  load_f32(tensor, values.span());
}

void load_masters(const fs::path& path, Model& model) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  model.visit_weights([&](Weight& weight) { read_tensor(file, path, weight.name, weight.value); });
}

void save_training_state(const fs::path& path, Model& model, Optimizer& optimizer) {
  std::vector<TensorSpec> specs;
  model.visit_weights([&](Weight& weight) {
    specs.push_back({weight.name, DType::f32, extents(weight.shape)});
  });
  for (const Optimizer::Moments& moments : optimizer.moments()) {
    specs.push_back({"first." + moments.weight->name, DType::f32, extents(moments.weight->shape)});
    if (moments.muon()) continue;
    specs.push_back({"second." + moments.weight->name, DType::f32, extents(moments.weight->shape)});
  }
  SafetensorsWriter writer(path, std::move(specs));
  model.visit_weights([&](Weight& weight) { writer.append(weight.name, weight.value.span()); });
  for (const Optimizer::Moments& moments : optimizer.moments()) {
    writer.append("first." + moments.weight->name, moments.first.span());
    if (!moments.muon()) writer.append("second." + moments.weight->name, moments.second.span());
  }
  writer.commit();
}

void load_training_state(const fs::path& path, Model& model, Optimizer& optimizer) {
  load_masters(path, model);
  const SafetensorsFile file = SafetensorsFile::open(path);
  for (Optimizer::Moments& moments : optimizer.moments()) {
    read_tensor(file, path, "first." + moments.weight->name, moments.first);
    if (moments.muon()) continue;
    read_tensor(file, path, "second." + moments.weight->name, moments.second);
  }
}

std::string write_state(const RunState& state, std::int64_t optimizer_steps) {
  const ordered_json object = {
      {"global_step", state.step},        {"optimizer_steps", optimizer_steps},
      {"next_sample", state.next_sample}, {"num_tokens", state.tokens},
      {"best_metric", state.best_score},  {"best_global_step", state.best_step}};
  return object.dump(2) + "\n";
}

}  // namespace

void prune_checkpoints(const fs::path& run, std::int64_t keep, std::int64_t best_step) {
  if (keep == 0) return;
  std::vector<std::int64_t> steps = checkpoint_steps(run);
  for (std::int64_t i = 0; i + keep < std::ssize(steps); ++i) {
    const std::int64_t step = steps[static_cast<std::size_t>(i)];
    if (step != best_step) fs::remove_all(checkpoint_path(run, step));
  }
}

void save_model(const fs::path& directory, const Model& model, const ModelFiles& files) {
  model.save(directory);
  text::save_tokenizer(files.tokenizer, directory);
  ordered_json generation = {{"bos_token_id", model.config().bos_token_id},
                             {"eos_token_id", model.config().eos_token_id},
                             {"do_sample", true},
                             {"temperature", 0.6},
                             {"top_p", 0.95}};
  if (!files.prompt_template.empty()) generation["r1_prompt_template"] = files.prompt_template;
  write_file_atomically(directory / "generation_config.json", generation.dump(2) + "\n");
}

void save_checkpoint(const fs::path& run, const Checkpoint& checkpoint, const RunState& state,
                     const ModelFiles& files, const std::string& resolved_recipe,
                     std::int64_t keep) {
  AtomicDirectory directory(checkpoint_path(run, state.step));
  save_model(directory.path(), checkpoint.model, files);
  save_training_state(directory.path() / "training.safetensors", checkpoint.model,
                      checkpoint.optimizer);
  if (checkpoint.reference != nullptr) {
    save_masters(directory.path() / "reference.safetensors", *checkpoint.reference);
  }
  write_file_atomically(directory.path() / "trainer_state.json",
                        write_state(state, checkpoint.optimizer.steps()));
  write_file_atomically(directory.path() / "recipe.yaml", resolved_recipe);
  directory.commit();
  prune_checkpoints(run, keep, state.best_step);
}

std::optional<fs::path> newest_checkpoint(const fs::path& run) {
  const std::vector<std::int64_t> steps = checkpoint_steps(run);
  if (steps.empty()) return std::nullopt;
  return checkpoint_path(run, steps.back());
}

RunState load_checkpoint(Backend& backend, const fs::path& directory, const Checkpoint& checkpoint,
                         const std::string& resolved_recipe) {
  if (read_text_file(directory / "recipe.yaml", kMaxStateBytes) != resolved_recipe) {
    throw Error(directory.string(), "the checkpoint was written by another recipe",
                "resume with the same recipe and overrides, or choose another output_dir");
  }
  load_training_state(directory / "training.safetensors", checkpoint.model, checkpoint.optimizer);
  checkpoint.model.refresh(backend);
  if (checkpoint.reference != nullptr) {
    load_masters(directory / "reference.safetensors", *checkpoint.reference);
    checkpoint.reference->refresh(backend);
  }
  const fs::path path = directory / "trainer_state.json";
  const std::string where = path.string();
  const nlohmann::json object = parse_json(read_text_file(path, kMaxStateBytes), where);
  checkpoint.optimizer.set_steps(require<std::int64_t>(object, "optimizer_steps", where));
  return {require<std::int64_t>(object, "global_step", where),
          require<std::int64_t>(object, "next_sample", where),
          require<std::int64_t>(object, "num_tokens", where),
          require<double>(object, "best_metric", where),
          require<std::int64_t>(object, "best_global_step", where)};
}

}  // namespace r1::train
