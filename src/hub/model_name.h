#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace r1::hub {

inline constexpr std::string_view kDefaultRevision = "main";
inline constexpr std::size_t kMaxPathBytes = 1024;  // of a file's path in a repository

// A model on a hub as a user writes it: ORG/NAME[@REVISION][:FILE].
struct ModelName {
  std::string repo;  // "ORG/NAME"
  std::string revision = std::string(kDefaultRevision);
  std::string file = {};  // a path in the repository or a quantisation's name; empty: as it comes
};

// Nothing if the text cannot be such a name. What is returned is safe within paths and URLs.
std::optional<ModelName> try_parse_model_name(std::string_view text);
// Throws Error instead.
ModelName parse_model_name(std::string_view text);

// Whether a path from outside stays within the folder it is taken relative to: plain segments
// between single slashes, none of them "." or "..", without controls and backslashes.
bool is_safe_path(std::string_view path);

// A whole commit, in lower-case hexadecimal.
bool is_commit(std::string_view text);
// So many lower-case hexadecimal digits.
bool is_hex(std::string_view text, std::size_t digits);

}  // namespace r1::hub
