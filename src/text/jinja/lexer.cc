#include "text/jinja/lexer.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "text/jinja/budget.h"
#include "text/jinja/python_text.h"
#include "text/utf8.h"

namespace r1::text::jinja {
namespace {

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// All line ends become \n, and the last one goes.
std::string normalized(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    const bool pair = source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n';
    if (!pair) out += source[i] == '\r' ? '\n' : source[i];
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  Lexer(std::string_view source, std::string_view where)
      : source_(normalized(source)), where_(where) {}

  std::vector<Token> run() && {
    while (at_ < source_.size()) read_text_and_tag();
    add(TokenKind::kEnd, {});
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(std::string_view what) { refuse(where_, line_at(at_), what); }

  // Positions are asked for in ascending order, but for errors.
  int line_at(std::size_t position) {
    if (position < counted_) {
      counted_ = 0;
      line_ = 1;
    }
    line_ +=
        static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(counted_),
                                    source_.begin() + static_cast<std::ptrdiff_t>(position), '\n'));
    counted_ = position;
    return line_;
  }

  void add(TokenKind kind, std::string text) {
    tokens_.push_back({kind, std::move(text), line_at(at_)});
  }

  bool looking_at(std::string_view text) const {
    return std::string_view(source_).substr(std::min(at_, source_.size())).starts_with(text);
  }

  bool skip(std::string_view text) {
    if (!looking_at(text)) return false;
    at_ += text.size();
    return true;
  }

  void skip_space() {
    const std::string_view rest = std::string_view(source_).substr(at_);
    at_ += strip(rest, Side::kLeft).begin;
  }

  // Leaves at_ behind the '-' or '+' of a tag's beginning, if there is one.
  char read_sign() {
    if (at_ < source_.size() && (source_[at_] == '-' || source_[at_] == '+')) {
      return source_[at_++];
    }
    return 0;
  }

  std::size_t find_tag() const {
    for (std::size_t at = at_; (at = source_.find('{', at)) != std::string::npos; ++at) {
      if (at + 1 < source_.size() &&
          std::string_view("{%#").find(source_[at + 1]) != std::string_view::npos) {
        return at;
      }
    }
    return source_.size();
  }

  // Text before a tag that begins with `sign`; `may_strip`: the tag is no {{.
  void add_text(std::size_t begin, std::size_t end, char sign, bool may_strip) {
    std::string_view text = std::string_view(source_).substr(begin, end - begin);
    if (sign == '-') {
      text = text.substr(0, strip(text, Side::kRight).end);
    } else if (sign != '+' && may_strip) {
      const std::size_t newline = text.rfind('\n');
      const std::size_t line = newline == text.npos ? 0 : newline + 1;
      const bool at_line_start = newline != text.npos || line_starting_;
      if (at_line_start && strip(text.substr(line), Side::kLeft).size() == 0) {
        text = text.substr(0, line);
      }
    }
    if (!text.empty()) tokens_.push_back({TokenKind::kText, std::string(text), line_at(begin)});
  }

  // Behind the end of a tag, by the sign of that end.
  void after_tag(char sign, bool trims) {
    if (sign == '-') {
      skip_space();
    } else if (sign != '+' && trims) {
      skip("\n");
    }
    line_starting_ = source_[at_ - 1] == '\n';
  }

  void read_text_and_tag() {
    const std::size_t begin = at_;
    const std::size_t tag = find_tag();
    if (tag == source_.size()) {
      add_text(begin, tag, '+', false);
      at_ = tag;
      return;
    }
    const char kind = source_[tag + 1];
    at_ = tag + 2;
    const char sign = read_sign();
    add_text(begin, tag, sign, kind != '{');
    line_starting_ = false;
    if (kind == '#') {
      read_comment();
    } else if (kind == '{') {
      add(TokenKind::kVariableBegin, {});
      read_tag("}}", TokenKind::kVariableEnd);
    } else if (!read_raw()) {
      add(TokenKind::kBlockBegin, {});
      read_tag("%}", TokenKind::kBlockEnd);
    }
  }

  void read_comment() {
    const std::size_t end = source_.find("#}", at_);
    if (end == std::string::npos) fail("a comment is not closed");
    const char sign = end > at_ ? source_[end - 1] : '\0';
    at_ = end + 2;
    after_tag(sign, true);
  }

  // {% raw %} ... {% endraw %}: all of it is text. False, and nothing is read, for other tags.
  bool read_raw() {
    const std::size_t start = at_;
    if (!read_raw_word("raw")) {
      at_ = start;
      return false;
    }
    const bool strips = skip("-");
    if (!skip("%}")) {
      at_ = start;
      return false;
    }
    if (strips) skip_space();
    const std::size_t begin = at_;
    while (true) {
      const std::size_t tag = source_.find("{%", at_);
      if (tag == std::string::npos) fail("{% raw %} is not closed");
      at_ = tag + 2;
      const char sign = read_sign();
      if (!read_raw_word("endraw")) {
        at_ = tag + 2;
        continue;
      }
      const char end_sign = looking_at("%}") ? '\0' : read_sign();
      if (!skip("%}")) continue;
      add_text(begin, tag, sign, true);
      after_tag(end_sign, true);
      return true;
    }
  }

  bool read_raw_word(std::string_view word) {
    skip_space();
    if (!skip(word)) return false;
    skip_space();
    return true;
  }

  // The tokens up to the end of the tag, which counts outside brackets only.
  void read_tag(std::string_view end, TokenKind end_kind) {
    std::string brackets;
    while (true) {
      skip_space();
      if (at_ >= source_.size()) fail("a tag is not closed");
      if (brackets.empty() && read_tag_end(end, end_kind)) return;
      read_token(brackets);
    }
  }

  bool read_tag_end(std::string_view end, TokenKind kind) {
    const std::size_t start = at_;
    const bool variable = kind == TokenKind::kVariableEnd;
    char sign = 0;
    if (looking_at("-") || (looking_at("+") && !variable)) sign = source_[at_++];
    if (!looking_at(end)) {
      at_ = start;
      return false;
    }
    add(kind, {});
    at_ += end.size();
    after_tag(sign, !variable);
    return true;
  }

  void read_token(std::string& brackets) {
    const char c = source_[at_];
    if (is_digit(c)) {
      read_number();
    } else if (is_name_start(c)) {
      std::size_t end = at_;
      while (end < source_.size() && (is_name_start(source_[end]) || is_digit(source_[end]))) ++end;
      add(TokenKind::kName, source_.substr(at_, end - at_));
      at_ = end;
    } else if (c == '\'' || c == '"') {
      read_string(c);
    } else {
      read_operator(brackets);
    }
  }

  // Digits with single underscores between them.
  std::string read_digits(std::string_view allowed) {
    std::string digits;
    while (at_ < source_.size()) {
      const bool underscore = source_[at_] == '_' && !digits.empty() && at_ + 1 < source_.size() &&
                              allowed.find(source_[at_ + 1]) != allowed.npos;
      if (underscore) ++at_;
      if (allowed.find(source_[at_]) == allowed.npos) break;
      digits += source_[at_++];
    }
    return digits;
  }

  void read_number() {
    static constexpr std::string_view kDigits = "0123456789";
    const std::size_t start = at_;
    for (const auto& [prefix, allowed] :
         {std::pair{"0x", "0123456789abcdefABCDEF"}, {"0o", "01234567"}, {"0b", "01"}}) {
      if (!skip(prefix)) continue;
      const std::string digits = read_digits(allowed);
      if (digits.empty()) fail("a number has no digits");
      add(TokenKind::kInteger, prefix + digits);
      return;
    }
    std::string number = read_digits(kDigits);
    TokenKind kind = TokenKind::kInteger;
    const bool after_dot = start > 0 && source_[start - 1] == '.';  // a.0.1
    const auto digit_at = [&](std::size_t at) {
      return at < source_.size() && is_digit(source_[at]);
    };
    if (!after_dot && looking_at(".") && digit_at(at_ + 1)) {
      ++at_;
      number += '.' + read_digits(kDigits);
      kind = TokenKind::kFloat;
    }
    if (!after_dot && (looking_at("e") || looking_at("E"))) {
      const bool sign =
          at_ + 1 < source_.size() && (source_[at_ + 1] == '+' || source_[at_ + 1] == '-');
      if (digit_at(at_ + (sign ? 2 : 1))) {
        number += 'e';
        if (sign) number += source_[at_ + 1];
        at_ += sign ? 2 : 1;
        number += read_digits(kDigits);
        kind = TokenKind::kFloat;
      }
    }
    if (kind == TokenKind::kInteger && number.size() > 1 && number[0] == '0' &&
        number.find_first_not_of('0') != number.npos) {
      fail("a number begins with 0");
    }
    add(kind, std::move(number));
  }

  void read_string(char quote) {
    const std::size_t start = at_;
    std::string text;
    for (++at_;;) {
      if (at_ >= source_.size()) {
        at_ = start;
        fail("a string is not closed");
      }
      const char c = source_[at_++];
      if (c == quote) break;
      if (c != '\\') {
        text += c;
      } else if (at_ < source_.size()) {
        read_escape(text);
      }
    }
    const std::size_t end = at_;
    at_ = start;
    add(TokenKind::kString, std::move(text));
    at_ = end;
  }

  // Behind the backslash. Unknown escapes stay as they are, as in Python.
  void read_escape(std::string& text) {
    static constexpr std::string_view kLetters = "ntrabfv\\'\"\n";
    static constexpr std::string_view kMeanings = "\n\t\r\a\b\f\v\\'\"";
    const char c = source_[at_++];
    if (const std::size_t i = kLetters.find(c); i != kLetters.npos) {
      if (i < kMeanings.size()) text += kMeanings[i];  // a line end is left out
    } else if (c == 'x') {
      append_code_point(2, text);
    } else if (c == 'u') {
      append_code_point(4, text);
    } else if (c == 'U') {
      append_code_point(8, text);
    } else if (c >= '0' && c <= '7') {
      std::uint32_t code = static_cast<std::uint32_t>(c - '0');
      for (int digits = 1;
           digits < 3 && at_ < source_.size() && source_[at_] >= '0' && source_[at_] <= '7';
           ++digits) {
        code = code * 8 + static_cast<std::uint32_t>(source_[at_++] - '0');
      }
      append_utf8(code, text);
    } else if (c == 'N') {
      fail("a character by its name, \\N, is not supported");
    } else {
      text += '\\';
      text += c;
    }
  }

  void append_code_point(std::size_t digits, std::string& text) {
    std::uint32_t code = 0;
    const char* begin = source_.data() + at_;
    const char* end = begin + std::min(digits, source_.size() - at_);
    const auto [stopped, error] = std::from_chars(begin, end, code, 16);
    const bool surrogate = code >= 0xD800 && code < 0xE000;
    if (error != std::errc() || stopped != begin + digits || code > 0x10FFFF || surrogate) {
      fail("a string has an escape that names no character");
    }
    at_ += digits;
    append_utf8(code, text);
  }

  void read_operator(std::string& brackets) {
    static constexpr std::string_view kPairs[] = {"//", "**", "==", "!=", ">=", "<="};
    static constexpr std::string_view kSingles = "+-*/%~[](){}><=.:|,";
    for (const std::string_view pair : kPairs) {
      if (!looking_at(pair)) continue;
      add(TokenKind::kOperator, std::string(pair));
      at_ += pair.size();
      return;
    }
    const char c = source_[at_];
    if (kSingles.find(c) == kSingles.npos) fail(fmt::format("\"{}\" is unexpected", c));
    if (c == '(') brackets += ')';
    if (c == '[') brackets += ']';
    if (c == '{') brackets += '}';
    if (c == ')' || c == ']' || c == '}') {
      if (brackets.empty() || brackets.back() != c) fail(fmt::format("\"{}\" is unexpected", c));
      brackets.pop_back();
    }
    add(TokenKind::kOperator, std::string(1, c));
    ++at_;
  }

  const std::string source_;
  const std::string_view where_;
  std::size_t at_ = 0;
  std::vector<Token> tokens_;
  bool line_starting_ = true;  // the last tag, if any, ended with a line
  std::size_t counted_ = 0;    // line_ is the line of this position
  int line_ = 1;
};

}  // namespace

void refuse(std::string_view where, int line, std::string_view what, std::string_view advice) {
  throw Error(fmt::format("{}: line {}", where, line), what, advice);
}

std::vector<Token> tokenize(std::string_view source, std::string_view where) {
  if (source.size() > kMaxSource) {
    throw Error(where,
                fmt::format("the template has {} bytes, more than {}", source.size(), kMaxSource));
  }
  return Lexer(source, where).run();
}

}  // namespace r1::text::jinja
