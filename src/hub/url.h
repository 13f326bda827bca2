#pragma once

#include <string>
#include <string_view>

namespace r1::hub {

// An absolute http or https URL, taken apart.
struct Url {
  std::string text;
  std::string scheme, host;
  std::string port;  // also where it is the scheme's own

  // Whether a secret for one may be told to the other.
  bool same_origin(const Url& other) const;
  bool is_loopback() const;
};

// Throws Error for anything else, user names and passwords too.
Url parse_url(const std::string& text);
// What a redirection's Location means, seen from `base`.
Url resolve_url(const Url& base, const std::string& location);

// A path with everything escaped that is neither a letter, digit, "-", ".", "_", "~" nor a slash.
std::string escape_path(std::string_view path);

}  // namespace r1::hub
