#pragma once

#include <CLI/CLI.hpp>

namespace r1::cli {

// `r1 bench` without a subcommand: prompts and decoding of a whole model.
void add_model_bench(CLI::App& bench);

}  // namespace r1::cli
