#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace r1 {
namespace {

std::string one_line(std::string_view where, std::string_view what, std::string_view advice) {
  std::string message = where.empty() ? std::string(what) : fmt::format("{}: {}", where, what);
  if (!advice.empty()) message += fmt::format("; {}", advice);
  // The promise is one line, whatever an outside string contains: line breaks, terminal escapes, or
  // the zero byte that would end what().
  for (char& c : message) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  return message;
}

}  // namespace

Error::Error(std::string_view where, std::string_view what, std::string_view advice)
    : std::runtime_error(one_line(where, what, advice)) {}

void check_failed(const char* file, int line, const char* condition, const std::string& values) {
  std::fprintf(stderr, "%s:%d: check failed: %s (%s)\n", file, line, condition, values.c_str());
  std::abort();
}

}  // namespace r1
