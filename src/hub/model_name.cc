#include "hub/model_name.h"

#include <algorithm>

#include "base/error.h"
#include "base/progress_text.h"
#include "base/utf8.h"

namespace r1::hub {
namespace {

constexpr std::size_t kMaxRepoBytes = 96;      // Hugging Face's own bound
constexpr std::size_t kMaxSegmentBytes = 255;  // a file system's

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// One half of ORG/NAME. Two dashes would make the cache's folder names ambiguous.
bool is_repo_part(std::string_view part) {
  const auto allowed = [](char c) { return is_word(c) || c == '-' || c == '.'; };
  return !part.empty() && is_word(part.front()) && is_word(part.back()) &&
         std::ranges::all_of(part, allowed) && part.find("--") == part.npos &&
         part.find("..") == part.npos;
}

bool is_repo(std::string_view repo) {
  const std::size_t slash = repo.find('/');
  return repo.size() <= kMaxRepoBytes && slash != repo.npos &&
         is_repo_part(repo.substr(0, slash)) && is_repo_part(repo.substr(slash + 1));
}

// A branch, tag, "refs/pr/1" or commit.
bool is_revision(std::string_view revision) {
  const auto allowed = [](char c) {
    return is_word(c) || c == '-' || c == '.' || c == '/' || c == '+';
  };
  return is_safe_path(revision) && std::ranges::all_of(revision, allowed);
}

}  // namespace

bool is_safe_path(std::string_view path) {
  if (path.empty() || path.size() > kMaxPathBytes || !is_utf8(path)) return false;
  const auto forbidden = [](char c) {
    return (c >= 0 && c < 0x20) || c == 0x7f || c == '\\' || c == ':';
  };
  if (std::ranges::any_of(path, forbidden)) return false;
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string_view segment = path.substr(start, end - start);
    if (segment.empty() || segment == "." || segment == ".." || segment.size() > kMaxSegmentBytes) {
      return false;
    }
    start = end + 1;
  }
  return true;
}

bool is_hex(std::string_view text, std::size_t digits) {
  return text.size() == digits && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool is_commit(std::string_view text) { return is_hex(text, 40); }

std::optional<ModelName> try_parse_model_name(std::string_view text) {
  ModelName name;
  if (const std::size_t colon = text.find(':'); colon != text.npos) {
    name.file = text.substr(colon + 1);
    text = text.substr(0, colon);
    if (!is_safe_path(name.file)) return std::nullopt;
  }
  if (const std::size_t at = text.find('@'); at != text.npos) {
    name.revision = text.substr(at + 1);
    text = text.substr(0, at);
    if (!is_revision(name.revision)) return std::nullopt;
  }
  if (!is_repo(text)) return std::nullopt;
  name.repo = text;
  return name;
}

ModelName parse_model_name(std::string_view text) {
  std::optional<ModelName> name = try_parse_model_name(text);
  if (!name) {
    throw Error(fit_to_width(text, 80), "is not the name of a model on a hub",
                "write ORG/NAME, ORG/NAME:FILE or ORG/NAME@REVISION");
  }
  return *std::move(name);
}

}  // namespace r1::hub
