#include "serve/http/head_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/utf8.h"

namespace r1::serve {
namespace {

bool is_token(std::string_view text) {
  constexpr std::string_view kOther = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kOther.find(c) != kOther.npos;
  });
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return result;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

HeadProblem bad(std::string message) { return {400, std::move(message)}; }

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> decode(std::string_view text, bool plus_is_space) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size() || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0) return {};
      c = static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return {};
    result += c;
  }
  if (!is_utf8(result)) return {};
  return result;
}

bool leaves_folder(std::string_view path) {
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (part == "." || part == "..") return true;
    at = end + 1;
  }
  return path.find('\\') != path.npos;
}

}  // namespace

HeadProblem check_head(std::string_view head, const Limits& limits) {
  std::size_t fields = 0, hosts = 0, lengths = 0, codings = 0;
  bool is_1_0 = false;
  for (std::size_t at = 0, line_number = 0; at < head.size(); ++line_number) {
    const std::size_t end = head.find("\r\n", at);
    if (end == head.npos) return bad("a line does not end in CR LF");
    const std::string_view line = head.substr(at, end - at);
    at = end + 2;
    for (const char c : line) {
      if (c == '\r' || c == '\n' || c == '\0') return bad("a line holds a bare CR, LF or NUL");
    }
    if (line_number == 0) {
      is_1_0 = line.ends_with(" HTTP/1.0");
      if (!is_1_0 && !line.ends_with(" HTTP/1.1")) return {505, "only HTTP/1.1 is spoken here"};
      if (std::ranges::count(line, ' ') != 2) return bad("the request line has not three parts");
      continue;
    }
    if (line.empty()) break;
    if (line.front() == ' ' || line.front() == '\t') return bad("folded header lines are refused");
    const std::size_t colon = line.find(':');
    if (colon == line.npos || !is_token(line.substr(0, colon))) {
      return bad("a header line has no proper name");
    }
    if (++fields > limits.header_fields) {
      return {431, fmt::format("there are more than {} header lines", limits.header_fields)};
    }
    const std::string name = lower(line.substr(0, colon));
    const std::string_view value = trim(line.substr(colon + 1));
    if (name == "host") ++hosts;
    if (name == "content-length") {
      ++lengths;
      const bool digits =
          !value.empty() && std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
      if (!digits || value.size() > 18) return bad("Content-Length is no number");
    }
    if (name == "transfer-encoding") {
      ++codings;
      if (lower(value) != "chunked") return {501, "no Transfer-Encoding but chunked is known"};
    }
  }
  if (hosts > 1 || (hosts == 0 && !is_1_0)) return bad("there must be one Host");
  if (lengths > 1 || codings > 1 || lengths + codings > 1) {
    return bad("the length of the body is told more than once");
  }
  if (codings > 0 && is_1_0) return bad("HTTP/1.0 has no Transfer-Encoding");
  return {};
}

bool parse_target(std::string_view target, HttpRequest& request) {
  target = target.substr(0, target.find('#'));
  if (!target.starts_with('/')) return false;
  const std::size_t mark = target.find('?');
  const auto path = decode(target.substr(0, mark), false);
  if (!path || leaves_folder(*path)) return false;
  request.path = *path;
  while (request.path.size() > 1 && request.path.ends_with('/')) request.path.pop_back();
  std::string_view rest = mark == target.npos ? std::string_view() : target.substr(mark + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    const auto name = decode(pair.substr(0, equals), true);
    const auto value =
        decode(equals == pair.npos ? std::string_view() : pair.substr(equals + 1), true);
    if (!name || !value) return false;
    request.query[*name] = *value;
  }
  return true;
}

}  // namespace r1::serve
