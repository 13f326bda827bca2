#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/request.h"

// Arguments that several commands share.
namespace r1::cli {

void add_model(CLI::App& command, std::string& directory);
void add_json(CLI::App& command, bool& json);

// 0: one per hardware thread.
void add_threads(CLI::App& command, int& threads);
int thread_count(int threads);

// What a user said about sampling; the rest is left as it was.
struct SamplingFlags {
  std::optional<float> temperature, top_p, min_p, repetition_penalty;
  std::optional<std::int64_t> top_k;
  std::optional<std::uint64_t> seed;

  void apply(SamplingParams& params) const;
};
void add_sampling(CLI::App& command, SamplingFlags& flags);

// "1,2,3", also with white space. Throws Error naming `where`, also for ids that are negative or
// beyond 32 bits.
std::vector<std::int32_t> parse_ids(std::string_view text, std::string_view where);

}  // namespace r1::cli
