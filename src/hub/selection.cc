#include "hub/selection.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/progress_text.h"

namespace r1::hub {
namespace {

constexpr std::size_t kMaxChoicesShown = 40;
constexpr std::string_view kGguf = ".gguf";
constexpr std::string_view kPartSuffix = "-00001-of-00001";  // a pattern: its digits stand for any

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_top_level(std::string_view path) { return path.find('/') == path.npos; }

std::string_view file_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// Without the ending and the number of a part.
std::string stem_of(std::string_view path) {
  path.remove_suffix(kGguf.size());
  if (path.size() <= kPartSuffix.size()) return std::string(path);
  const std::string_view end = path.substr(path.size() - kPartSuffix.size());
  const bool numbered = std::ranges::equal(end, kPartSuffix, [](char c, char pattern) {
    return is_digit(pattern) ? is_digit(c) : c == pattern;
  });
  if (numbered) path.remove_suffix(kPartSuffix.size());
  return std::string(path);
}

// Whether `part` (lower case) stands in the text between its ends, "-", "." and "/".
bool has_component(std::string_view text, std::string_view part) {
  const std::string lower = lower_case(text);
  const auto ends = [&](std::size_t at) {
    return at >= lower.size() || lower[at] == '-' || lower[at] == '.' || lower[at] == '/';
  };
  for (std::size_t at = 0; (at = lower.find(part, at)) != lower.npos; ++at) {
    if ((at == 0 || ends(at - 1)) && ends(at + part.size())) return true;
  }
  return false;
}

[[noreturn]] void throw_choices(std::string_view where, std::string_view what,
                                std::span<const GgufChoice> choices) {
  std::vector<std::string> names;
  for (const GgufChoice& choice : choices) {
    if (names.size() == kMaxChoicesShown) {
      names.push_back("...");
      break;
    }
    names.push_back(fit_to_width(choice.parts.front(), 120));
  }
  throw Error(where, what, fmt::format("name one after a colon: {}", fmt::join(names, ", ")));
}

// What describes a model and its tokenizer beside the weights.
bool is_description(std::string_view name) {
  constexpr std::string_view kNames[] = {"tokenizer.model", "merges.txt", "vocab.txt"};
  return name.ends_with(".json") || name.ends_with(".jinja") || name.ends_with(".tiktoken") ||
         std::ranges::find(kNames, name) != std::end(kNames);
}

}  // namespace

std::vector<GgufChoice> gguf_choices(std::span<const std::string> files) {
  std::map<std::string, std::vector<std::string>> by_stem;
  for (const std::string& file : files) {
    if (file.ends_with(kGguf) && file_name(file).size() > kGguf.size()) {
      by_stem[stem_of(file)].push_back(file);
    }
  }
  std::vector<GgufChoice> choices;
  for (auto& [stem, parts] : by_stem) {
    std::ranges::sort(parts);
    choices.push_back({stem, std::move(parts)});
  }
  return choices;
}

GgufChoice choose_gguf(std::span<const std::string> files, std::string_view wanted,
                       std::string_view where) {
  const std::vector<GgufChoice> choices = gguf_choices(files);
  if (choices.empty()) throw Error(where, "has no GGUF file");
  if (wanted.empty()) {
    if (choices.size() == 1) return choices.front();
    throw_choices(where, "has several GGUF files", choices);
  }
  const std::string lower = lower_case(wanted);
  std::vector<GgufChoice> matching;
  for (const GgufChoice& choice : choices) {
    if (std::ranges::find(choice.parts, wanted) != choice.parts.end()) return choice;
    if (has_component(choice.name, lower)) matching.push_back(choice);
  }
  if (matching.size() == 1) return matching.front();
  if (matching.empty()) {
    throw_choices(where, fmt::format("has no \"{}\"", fit_to_width(wanted, 80)), choices);
  }
  throw_choices(where, fmt::format("has several files of \"{}\"", fit_to_width(wanted, 80)),
                matching);
}

bool has_safetensors(std::span<const std::string> files) {
  return std::ranges::any_of(files, [](const std::string& file) {
    return is_top_level(file) && file.ends_with(".safetensors");
  });
}

std::vector<std::string> files_to_pull(std::span<const std::string> files, const ModelName& name) {
  if (!name.file.empty()) {
    const bool is_there = std::ranges::find(files, name.file) != files.end();
    if (is_there && !name.file.ends_with(kGguf)) return {name.file};
    return choose_gguf(files, name.file, name.repo).parts;
  }
  if (!has_safetensors(files)) {
    if (gguf_choices(files).empty()) {
      throw Error(name.repo, "has neither safetensors nor GGUF files",
                  "r1 reads models in these formats");
    }
    return choose_gguf(files, {}, name.repo).parts;
  }
  // Folders hold other formats of the same model.
  std::vector<std::string> chosen;
  for (const std::string& file : files) {
    if (!is_top_level(file)) continue;
    if (file.ends_with(".safetensors") || is_description(file)) chosen.push_back(file);
  }
  return chosen;
}

}  // namespace r1::hub
