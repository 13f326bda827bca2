#include "cli/model_files.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "backend/stored_panels.h"
#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "cli/terminal.h"
#include "model/gguf_tokenizer.h"
#include "model/hf_export.h"
#include "reasoning/reasoning_model.h"
#include "text/tokenizer_json.h"

namespace r1::cli {
namespace {

namespace fs = std::filesystem;

void check_is_new(const fs::path& target) {
  if (fs::exists(target)) {
    throw Error(target.string(), "exists already", "name another target or remove it");
  }
}

// "/models/name/" and "name.gguf" are of the model "name".
std::string name_of_model(const fs::path& source) {
  fs::path path = source.lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  return is_gguf(path) ? path.stem().string() : path.filename().string();
}

std::string chat_template_of(const fs::path& source,
                             const reasoning::GenerationConfig& generation) {
  if (const auto found = reasoning::read_chat_template(source)) return found->text;
  // Other programs know the forms of R1-Zero only as a template.
  return generation.r1_zero_form ? text::r1_zero_chat_template(*generation.r1_zero_form)
                                 : std::string();
}

void note_fallbacks(WrittenModel& model) {
  std::int64_t count = 0;
  const WrittenTensor* first = nullptr;
  for (const WrittenTensor& tensor : model.tensors) {
    if (tensor.type == tensor.wanted) continue;
    if (first == nullptr) first = &tensor;
    ++count;
  }
  if (first == nullptr) return;
  model.notes.push_back(fmt::format(
      "{} tensors have rows that are no whole blocks of the type wanted: {} is {} instead of {}",
      count, first->name, name_of(first->type), name_of(first->wanted)));
}

}  // namespace

void check_target_type(const GgufTarget& target) {
  const GgufRecipe recipe = parse_gguf_recipe(target.type);
  if (!target.panels || recipe.keep || panels_keep(recipe.type)) return;
  throw UsageError("--panels", fmt::format("panels do not hold {}", recipe.name),
                   "choose BF16 or a quantised type, or leave --type out to keep the model's");
}

WrittenModel write_gguf_model(const fs::path& source, const fs::path& file,
                              const GgufTarget& target) {
  check_is_new(file);
  check_target_type(target);
  const auto weights = WeightSource::open(source);
  const text::Tokenizer tokenizer = load_model_tokenizer(source);
  reasoning::GenerationConfig generation = reasoning::read_generation_config(source);
  if (generation.end_ids.empty() && !is_gguf(source)) {
    generation.end_ids = reasoning::read_config_end_ids(source);
  }

  GgufExport settings;
  settings.name = name_of_model(source);
  settings.chat_template = chat_template_of(source, generation);
  if (is_gguf(source)) settings.pre_tokenizer = gguf_pre_tokenizer_of(source);
  settings.describe_use = [&](GgufMetadataBuilder& metadata) {
    reasoning::describe(generation, tokenizer.eos_id(), metadata);
  };
  settings.recipe = parse_gguf_recipe(target.type);
  settings.panels = target.panels;
  settings.threads = target.threads;
  std::optional<Progress> progress;
  settings.progress = [&](std::int64_t done, std::int64_t total) {
    if (!progress) {
      ProgressOptions shown;
      shown.unit = "tensors";
      progress.emplace(settings.recipe.name, total, std::move(shown));
    }
    progress->update(done);
  };

  WrittenModel model;
  model.tensors = write_gguf(file, *weights, tokenizer, settings);
  const std::int64_t left_out =
      weights->config().num_nextn_predict_layers - gguf_prediction_modules(weights->config());
  if (left_out > 0) {
    model.notes.push_back(fmt::format("{} multi-token prediction module{} left out", left_out,
                                      left_out == 1 ? "" : "s"));
  }
  note_fallbacks(model);
  return model;
}

WrittenModel write_hf_model(const fs::path& source, const fs::path& target,
                            const std::string& type) {
  check_is_new(target);
  const GgufRecipe recipe = parse_gguf_recipe(type);
  if (recipe.keep || (recipe.type != GgmlType::f32 && recipe.type != GgmlType::bf16)) {
    throw UsageError("--type",
                     fmt::format("a Hugging Face directory holds F32 or BF16, not {}", recipe.name),
                     "name a target that ends in .gguf for other types");
  }
  const auto weights = WeightSource::open(source);
  const text::Tokenizer tokenizer = load_model_tokenizer(source);
  const reasoning::GenerationConfig generation = reasoning::read_generation_config(source);
  const auto chat_template = reasoning::read_chat_template(source);
  AtomicDirectory directory(target);
  write_hf(directory.path(), *weights,
           recipe.type == GgmlType::f32 ? Precision::f32 : Precision::bf16);
  text::save_tokenizer(tokenizer, directory.path());
  write_file_atomically(directory.path() / "generation_config.json",
                        reasoning::write_generation_config(generation));
  if (chat_template) {
    write_file_atomically(directory.path() / "chat_template.jinja", chat_template->text);
  }
  directory.commit();
  return {};
}

std::string to_table(const WrittenModel& model) {
  std::string table;
  for (const WrittenTensor& tensor : model.tensors) {
    table += fmt::format("{:<40} {:<5} {}relative error {:.2e}\n", printable(tensor.name),
                         name_of(tensor.type), tensor.panels ? "in panels, " : "",
                         tensor.relative_error());
  }
  for (const std::string& note : model.notes) table += "note: " + printable(note) + "\n";
  return table;
}

nlohmann::ordered_json tensors_to_json(const std::vector<WrittenTensor>& tensors) {
  nlohmann::ordered_json array = nlohmann::ordered_json::array();
  for (const WrittenTensor& tensor : tensors) {
    array.push_back({{"tensor", tensor.name},
                     {"type", name_of(tensor.type)},
                     {"panels", tensor.panels},
                     {"relative_error", tensor.relative_error()}});
  }
  return array;
}

}  // namespace r1::cli
