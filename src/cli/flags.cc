#include "cli/flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <thread>

#include "base/error.h"
#include "formats/json.h"
#include "hub/cache.h"

namespace r1::cli {

CLI::Option* resolve_name(CLI::Option* option) {
  return option->transform(CLI::Validator(
      [](std::string& text) {
        text = hub::resolve_model(text).string();
        return std::string();
      },
      {}));
}

CLI::Option* add_model(CLI::App& command, std::string& directory) {
  return resolve_name(
             command.add_option(
                 "MODEL", directory,
                 "Directory of the model, a .gguf file, or the name of one that was pulled."))
      ->required();
}

void add_json(CLI::App& command, bool& json) {
  command.add_flag("--json", json, "Print one JSON object instead of text.");
}

void add_threads(CLI::App& command, int& threads) {
  command.add_option("--threads", threads, "Threads to compute with (default: all).")
      ->type_name("N")
      ->check(number_within(1, 1024));
}

void add_panels(CLI::App& command, bool& panels) {
  command.add_flag("--panels", panels,
                   "Write matrices in the order in which r1 multiplies them: such a file is not "
                   "loaded but mapped, and other programs cannot read it.");
}

int thread_count(int threads) {
  return threads > 0 ? threads
                     : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

void SamplingFlags::apply(SamplingParams& params) const {
  params.temperature = temperature.value_or(params.temperature);
  params.top_k = top_k.value_or(params.top_k);
  params.top_p = top_p.value_or(params.top_p);
  params.min_p = min_p.value_or(params.min_p);
  params.repetition_penalty = repetition_penalty.value_or(params.repetition_penalty);
  params.seed = seed.value_or(params.seed);
}

void add_sampling(CLI::App& command, SamplingFlags& flags) {
  constexpr const char* kGroup = "Sampling";
  command.add_option("--temperature", flags.temperature, "0 takes the most probable token.")
      ->type_name("T")
      ->check(number_within(0.0f, 100.0f))
      ->group(kGroup);
  command.add_option("--top-k", flags.top_k, "Draw from the K most probable tokens; 0: from all.")
      ->type_name("K")
      ->check(number_within(std::int64_t{0}, std::numeric_limits<std::int64_t>::max()))
      ->group(kGroup);
  command.add_option("--top-p", flags.top_p, "Draw from the likeliest tokens that sum up to P.")
      ->type_name("P")
      ->check(number_within(0.0f, 1.0f))
      ->group(kGroup);
  command.add_option("--min-p", flags.min_p, "Drop tokens below P times the likeliest one.")
      ->type_name("P")
      ->check(number_within(0.0f, 1.0f))
      ->group(kGroup);
  command
      .add_option("--repetition-penalty", flags.repetition_penalty,
                  "Make tokens that occurred less likely; 1: off.")
      ->type_name("X")
      ->check(number_within(0.01f, 100.0f))
      ->group(kGroup);
  command.add_option("--seed", flags.seed, "The same seed gives the same answer (default 0).")
      ->type_name("N")
      ->group(kGroup);
}

std::vector<std::int32_t> parse_ids(std::string_view text, std::string_view where) {
  constexpr std::string_view kBetween = ", \t\r\n";
  std::vector<std::int32_t> ids;
  for (std::size_t at = text.find_first_not_of(kBetween); at != text.npos;
       at = text.find_first_not_of(kBetween, at)) {
    const std::string_view word = text.substr(at, text.find_first_of(kBetween, at) - at);
    std::int32_t id = -1;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc() || end != word.data() + word.size() || id < 0) {
      throw Error(where, fmt::format("'{}' is not a token id", excerpt(word)),
                  "give numbers separated by commas");
    }
    ids.push_back(id);
    at += word.size();
  }
  if (ids.empty()) throw Error(where, "there are no ids", "give numbers separated by commas");
  return ids;
}

}  // namespace r1::cli
