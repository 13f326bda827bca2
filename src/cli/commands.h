#pragma once

namespace CLI {
class App;
}

// One function per command: declares its arguments and what it runs. main.cc lists them.
namespace r1::cli {

void add_run(CLI::App& program);
void add_serve(CLI::App& program);
void add_score(CLI::App& program);
void add_tokenize(CLI::App& program);
void add_show(CLI::App& program);
void add_convert(CLI::App& program);
void add_quantize(CLI::App& program);
void add_train(CLI::App& program);
void add_report(CLI::App& program);
void add_eval(CLI::App& program);
void add_tasks(CLI::App& program);
void add_bench(CLI::App& program);
void add_pull(CLI::App& program);
void add_list_models(CLI::App& program);
void add_rm(CLI::App& program);
void add_fit(CLI::App& program);
void add_keys(CLI::App& program);
void add_usage(CLI::App& program);

// Sections of `r1 --help`.
inline constexpr const char* kUseGroup = "Use a model";
inline constexpr const char* kStoreGroup = "Keep models";
inline constexpr const char* kServeGroup = "Serve others";
inline constexpr const char* kTrainGroup = "Train a model";
inline constexpr const char* kMeasureGroup = "Measure";

}  // namespace r1::cli
