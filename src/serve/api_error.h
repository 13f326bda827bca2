#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace r1::serve {

// Why a request is refused or failed, before a dialect puts it into its own words.
class ApiError : public std::runtime_error {
 public:
  enum class Kind {
    invalid,         // 400: malformed or impossible
    unauthorized,    // 401
    no_balance,      // 402
    forbidden,       // 403
    not_found,       // 404
    bad_method,      // 405
    not_acceptable,  // 406
    timeout,         // 408
    too_large,       // 413
    bad_type,        // 415: of the content
    unprocessable,   // 422: well-formed, with values that make no sense
    rate_limited,    // 429
    internal,        // 500
    unsupported,     // 501
    overloaded,      // 503
  };

  ApiError(Kind why, const std::string& message, std::string_view field = {},
           std::string_view its_code = {})
      : std::runtime_error(message), kind(why), param(field), code(its_code) {}

  int status() const;

  Kind kind;
  std::string param;    // the field that is wrong, as the client wrote it; may be empty
  std::string code;     // "model_not_found", "context_length_exceeded", ...; may be empty
  int retry_after = 0;  // seconds; 0: not told
};

// The 400 that names a field.
[[noreturn]] void refuse(std::string_view param, const std::string& message);
// The 400 for a field that we know and do not have.
[[noreturn]] void refuse_unsupported(std::string_view param, std::string_view what);

}  // namespace r1::serve
