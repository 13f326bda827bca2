#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/terminal.h"
#include "model/gguf_export.h"
#include "model/gguf_tokenizer.h"
#include "model/hf_export.h"
#include "quant/ggml_blocks.h"
#include "text/tokenizer_json.h"

namespace r1::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string source, target, type = "BF16";
  bool json = false;
};

// How far a tensor moved: the root mean square of the differences over that of the values.
struct TensorError {
  GgmlType type{};
  double squares = 0.0, difference = 0.0;
  double relative() const { return squares > 0.0 ? std::sqrt(difference / squares) : 0.0; }
};

void measure(GgmlType type, std::span<const float> values, TensorError& error) {
  std::vector<std::byte> blocks(values.size() / block_size(type).values * block_size(type).bytes);
  std::vector<float> decoded(values.size());
  quantize(type, values, blocks, "tensor");
  dequantize(type, blocks, decoded);
  error.type = type;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double value = static_cast<double>(values[i]);
    const double difference = value - static_cast<double>(decoded[i]);
    error.squares += value * value;
    error.difference += difference * difference;
  }
}

std::string chat_template_of(const fs::path& source) {
  const fs::path path = source / "tokenizer_config.json";
  if (is_gguf(source) || !fs::exists(path)) return {};
  const auto object =
      nlohmann::json::parse(read_text_file(path, text::kMaxTokenizerBytes), nullptr, false);
  const auto found = object.find("chat_template");
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

void to_gguf(const Options& options, const WeightSource& weights,
             const text::Tokenizer& tokenizer) {
  std::map<std::string, TensorError> errors;
  GgufExport settings;
  settings.name = fs::path(options.source).lexically_normal().stem().string();
  settings.chat_template = chat_template_of(options.source);
  settings.recipe = parse_gguf_recipe(options.type);
  settings.written = [&](const std::string& tensor, GgmlType type, std::span<const float> values) {
    measure(type, values, errors[tensor]);
  };
  write_gguf(options.target, weights, tokenizer, settings);
  if (options.json) {
    nlohmann::ordered_json tensors = nlohmann::ordered_json::array();
    for (const auto& [name, error] : errors) {
      tensors.push_back(
          {{"tensor", name}, {"type", name_of(error.type)}, {"relative_error", error.relative()}});
    }
    const nlohmann::ordered_json object = {{"file", options.target}, {"tensors", tensors}};
    show(object.dump(2) + "\n");
    return;
  }
  for (const auto& [name, error] : errors) {
    fmt::print("{:<40} {:<5} relative error {:.2e}\n", printable(name), name_of(error.type),
               error.relative());
  }
}

void to_hf(const Options& options, const WeightSource& weights, const text::Tokenizer& tokenizer) {
  const GgufRecipe recipe = parse_gguf_recipe(options.type);
  if (recipe.type != GgmlType::f32 && recipe.type != GgmlType::bf16) {
    throw UsageError("--type",
                     fmt::format("a Hugging Face directory holds F32 or BF16, not {}", recipe.name),
                     "name a target that ends in .gguf for other types");
  }
  AtomicDirectory directory(options.target);
  write_hf(directory.path(), weights,
           recipe.type == GgmlType::f32 ? Precision::f32 : Precision::bf16);
  text::save_tokenizer(tokenizer, directory.path());
  directory.commit();
}

void run(const Options& options) {
  if (fs::exists(options.target)) {
    throw Error(options.target, "exists already", "name another target or remove it");
  }
  const auto weights = WeightSource::open(options.source);
  const text::Tokenizer tokenizer = load_model_tokenizer(options.source);
  is_gguf(options.target) ? to_gguf(options, *weights, tokenizer)
                          : to_hf(options, *weights, tokenizer);
}

}  // namespace

void add_convert(CLI::App& program) {
  CLI::App& command =
      *program
           .add_subcommand("convert",
                           "Turn a model into a GGUF file or a Hugging Face directory, and tell "
                           "how far each tensor moved.")
           ->group(kUseGroup);
  const auto options = std::make_shared<Options>();
  command.add_option("SOURCE", options->source, "Directory of a model, or a .gguf file.")
      ->required();
  command.add_option("TARGET", options->target, "A .gguf file, or a directory to make.")
      ->required();
  command
      .add_option("--type", options->type,
                  "F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q4_K_M, Q5_K or Q6_K. (default BF16)")
      ->type_name("TYPE");
  add_json(command, options->json);
  command.callback([options] { run(*options); });
}

}  // namespace r1::cli
