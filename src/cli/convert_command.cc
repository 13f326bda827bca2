#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/model_files.h"
#include "cli/terminal.h"
#include "model/weight_source.h"

namespace r1::cli {
namespace {

struct Options {
  std::string source, target, type;
  int threads = 0;
  bool panels = false, json = false;
};

WrittenModel write(const Options& options) {
  if (!is_gguf(options.target)) {
    if (options.panels) {
      throw UsageError("--panels", "a Hugging Face directory has none",
                       "name a target that ends in .gguf");
    }
    return write_hf_model(options.source, options.target,
                          options.type.empty() ? "BF16" : options.type);
  }
  const std::string usual = options.panels ? "KEEP" : "BF16";
  return write_gguf_model(options.source, options.target,
                          {.type = options.type.empty() ? usual : options.type,
                           .panels = options.panels,
                           .threads = thread_count(options.threads)});
}

void run(const Options& options) {
  const WrittenModel model = write(options);
  if (!options.json) {
    show(to_table(model));
    return;
  }
  const nlohmann::ordered_json object = {{"file", options.target},
                                         {"tensors", tensors_to_json(model.tensors)},
                                         {"notes", model.notes}};
  show(object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
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
  resolve_name(command.add_option("SOURCE", options->source,
                                  "Directory of a model, a .gguf file, or the name of a model that "
                                  "was pulled."))
      ->required();
  command.add_option("TARGET", options->target, "A .gguf file, or a directory to make.")
      ->required();
  command
      .add_option("--type", options->type,
                  "F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q4_K_M, Q5_K or Q6_K, or KEEP: as SOURCE has "
                  "them. (default BF16, with --panels KEEP)")
      ->type_name("TYPE");
  add_panels(command, options->panels);
  add_json(command, options->json);
  add_threads(command, options->threads);
  command.callback([options] { run(*options); });
}

}  // namespace r1::cli
