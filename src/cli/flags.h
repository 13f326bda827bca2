#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/request.h"

// Arguments that several commands share.
namespace r1::cli {

// A number from low to high, both included.
template <typename Number>
CLI::Validator number_within(Number low, Number high) {
  return CLI::Validator(
      [low, high](std::string& text) -> std::string {
        Number value{};
        if (CLI::detail::lexical_cast(text, value) && value >= low && value <= high) return {};
        return fmt::format("must be a number from {} to {}, not '{}'", low, high, text);
      },
      {});
}

// An option that takes one of a few names. Target: T or std::optional<T>.
template <typename T, typename Target>
CLI::Option* add_choice(CLI::App& command, const std::string& flag, Target& target,
                        std::vector<std::pair<std::string, T>> choices, std::string description) {
  return command.add_option_function<std::string>(
      flag,
      [flag, &target, choices = std::move(choices)](const std::string& given) {
        std::string known;
        for (const auto& [name, value] : choices) {
          if (name == given) {
            target = value;
            return;
          }
          known += (known.empty() ? "" : ", ") + name;
        }
        throw CLI::ValidationError(flag, fmt::format("must be one of {}, not '{}'", known, given));
      },
      std::move(description));
}

CLI::Option* add_model(CLI::App& command, std::string& directory);
// Names of pulled models are taken for their place in the cache (hub/cache.h).
CLI::Option* resolve_name(CLI::Option* option);
void add_json(CLI::App& command, bool& json);

// Of commands that write GGUF files: --panels.
void add_panels(CLI::App& command, bool& panels);

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
