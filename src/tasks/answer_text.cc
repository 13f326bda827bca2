#include "tasks/answer_text.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace r1::tasks {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// U+FF01..U+FF5E mirror ASCII 0x21..0x7E; the rest are listed.
std::string folded(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, char>, 7> kForms = {
      {{"×", '*'}, {"÷", '/'}, {"−", '-'}, {"、", ','}, {"。", '.'}, {"·", '*'}, {"\u3000", ' '}}};
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(text[i + k]); };
    if (i + 2 < text.size() && byte(0) == 0xEF && byte(1) >= 0xBC && byte(1) <= 0xBD) {
      const int code = ((byte(0) & 0x0F) << 12) | ((byte(1) & 0x3F) << 6) | (byte(2) & 0x3F);
      if (code >= 0xFF01 && code <= 0xFF5E) {
        out += static_cast<char>(code - 0xFF01 + 0x21);
        i += 3;
        continue;
      }
    }
    bool replaced = false;
    for (const auto& [form, ascii] : kForms) {
      if (text.substr(i).starts_with(form)) {
        out += ascii;
        i += form.size();
        replaced = true;
        break;
      }
    }
    if (!replaced) out += text[i++];
  }
  return out;
}

}  // namespace

std::optional<std::string> normalized_answer(std::string_view answer) {
  if (answer.size() > kMaxAnswerBytes) return std::nullopt;
  const std::string ascii = folded(answer);
  std::string_view text = trimmed(ascii);
  if (text.ends_with('.')) text = trimmed(text.substr(0, text.size() - 1));
  if (text.empty()) return std::nullopt;
  return std::string(text);
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  text = trimmed(text);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || text.size() > 18) return std::nullopt;
  std::int64_t value = 0;
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return negative ? -value : value;
}

std::optional<std::vector<std::int64_t>> parse_integer_list(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('[') || text.starts_with('(')) {
    const char closing = text.front() == '[' ? ']' : ')';
    if (text.size() < 2 || text.back() != closing) return std::nullopt;
    text = text.substr(1, text.size() - 2);
  }
  std::vector<std::int64_t> numbers;
  bool comma_open = false;  // a comma waits for its number
  for (std::size_t i = 0; i < text.size();) {
    if (is_space(text[i])) {
      ++i;
    } else if (text[i] == ',') {
      if (comma_open || numbers.empty()) return std::nullopt;
      comma_open = true;
      ++i;
    } else {
      std::size_t end = i;
      while (end < text.size() && !is_space(text[end]) && text[end] != ',') ++end;
      const auto value = parse_integer(text.substr(i, end - i));
      if (!value) return std::nullopt;
      numbers.push_back(*value);
      comma_open = false;
      i = end;
    }
  }
  if (comma_open || numbers.empty()) return std::nullopt;
  return numbers;
}

Verdict right() { return {1.0, true, "correct"}; }
Verdict wrong(std::string reason) { return {0.0, false, std::move(reason)}; }
Verdict verdict(bool correct, std::string_view reason_if_wrong) {
  return correct ? right() : wrong(std::string(reason_if_wrong));
}

Verdict verify_integer(std::string_view answer, std::int64_t expected, char variable) {
  const auto text = normalized_answer(answer);
  if (!text) return wrong("no answer, or one too long to be a number");
  std::string_view rest = *text;
  if (variable != '\0' && rest.starts_with(variable)) {
    rest = trimmed(rest.substr(1));
    if (!rest.starts_with('=')) return wrong("not a whole number");
  }
  if (rest.starts_with('=')) rest.remove_prefix(1);
  const auto value = parse_integer(rest);
  if (!value) return wrong("not a whole number");
  return verdict(*value == expected, fmt::format("{} is not {}", *value, expected));
}

std::string join(const std::vector<std::int64_t>& numbers, std::string_view separator) {
  return fmt::format("{}", fmt::join(numbers, separator));
}

}  // namespace r1::tasks
