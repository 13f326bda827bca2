#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace r1 {

// A failure of the outside world (a file, a recipe, a flag, a request), told as one line:
// where it happened, what is wrong, and what the user can do about it.
//
// Caught at the edge: the CLI prints "error: <message>" and exits with 1.
class Error : public std::runtime_error {
 public:
  // where: file, field or flag; what: the finding; advice: what to do, may be empty.
  Error(std::string_view where, std::string_view what, std::string_view advice = {});
};

// A wrong command line: the CLI exits with 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

// Prints the failed condition with its values and aborts. Reached only through a bug of ours.
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const std::string& values);

}  // namespace r1

// Programmer errors, checked in every build: R1_CHECK(a == b, "a {} b {}", a, b).
#define R1_CHECK(condition, ...)                                                      \
  do {                                                                                \
    if (!(condition)) [[unlikely]]                                                    \
      ::r1::check_failed(__FILE__, __LINE__, #condition, ::fmt::format(__VA_ARGS__)); \
  } while (false)
