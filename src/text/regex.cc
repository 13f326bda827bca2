#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <cctype>

#include "base/error.h"
#include "text/utf8.h"

namespace r1::text {
namespace {

constexpr std::size_t kMaxPatternBytes = 8192;
constexpr std::string_view kWordSet = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";

// Rewrites an Oniguruma pattern for PCRE2, left to right, keeping track of character classes.
class Translator {
 public:
  Translator(std::string_view pattern, std::string_view where) : in_(pattern), where_(where) {}

  std::string run() {
    while (at_ < in_.size()) {
      const char c = in_[at_];
      if (c == '\\') {
        escape();
      } else if (in_class_) {
        class_character(c);
      } else {
        plain_character(c);
      }
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view construct) const {
    throw Error(where_, fmt::format("the pattern uses {}, which is not supported", construct));
  }

  char peek(std::size_t ahead) const { return at_ + ahead < in_.size() ? in_[at_ + ahead] : '\0'; }

  void copy(std::size_t count) {
    out_ += in_.substr(at_, count);
    at_ += count;
  }

  void replace(std::size_t count, std::string_view with) {
    out_ += with;
    at_ += count;
  }

  void escape() {
    const char c = peek(1);
    if (at_ + 1 >= in_.size()) refuse("a trailing backslash");
    if (static_cast<unsigned char>(c) >= 0x80 || !std::isalnum(static_cast<unsigned char>(c))) {
      return copy(2);
    }
    switch (c) {
      case 's':
        return replace(2, R"(\p{White_Space})");
      case 'S':
        return replace(2, R"(\P{White_Space})");
      case 'd':
        return replace(2, R"(\p{Nd})");
      case 'D':
        return replace(2, R"(\P{Nd})");
      case 'w':
        return replace(2, in_class_ ? std::string(kWordSet) : fmt::format("[{}]", kWordSet));
      case 'W':
        if (in_class_) refuse("\\W inside a class");
        return replace(2, fmt::format("[^{}]", kWordSet));
      case 'p':
      case 'P':
        return property();
      case 'x':
        return hexadecimal();
      case 'u':
        return unicode_escape();
      case 'b':
        if (in_class_) refuse("\\b inside a class");
        return copy(2);
      case 'n':
      case 'r':
      case 't':
      case 'f':
      case 'a':
      case 'e':
        return copy(2);
      case 'A':
      case 'z':
      case 'B':
        if (in_class_) refuse(fmt::format("\\{} inside a class", c));
        return copy(2);
      default:
        refuse(fmt::format("\\{}", c));
    }
  }

  void property() {
    const std::size_t close = in_.find('}', at_);
    if (peek(2) != '{' || close == std::string_view::npos) refuse("\\p without {name}");
    copy(close + 1 - at_);
  }

  void hexadecimal() {
    if (peek(2) == '{') {
      const std::size_t close = in_.find('}', at_);
      if (close == std::string_view::npos) refuse("an open \\x{");
      return copy(close + 1 - at_);
    }
    // Two digits are a byte in Oniguruma and a code point in PCRE2: the same for ASCII alone.
    if (peek(2) < '0' || peek(2) > '7') refuse("\\x of a byte above 7F");
    if (!std::isxdigit(static_cast<unsigned char>(peek(3)))) refuse("\\x without two digits");
    copy(4);
  }

  void unicode_escape() {
    for (std::size_t i = 2; i < 6; ++i) {
      if (!std::isxdigit(static_cast<unsigned char>(peek(i)))) refuse("\\u without four digits");
    }
    const std::string code_point = fmt::format("\\x{{{}}}", in_.substr(at_ + 2, 4));
    replace(6, code_point);
  }

  void class_character(char c) {
    if (c == '[') refuse("a class within a character class");
    if (c == '&' && peek(1) == '&') refuse("&& in a character class");
    if (c == ']') in_class_ = false;
    copy(1);
  }

  void plain_character(char c) {
    if (c == '[') {
      in_class_ = true;
      copy(peek(1) == '^' ? 2 : 1);
      if (peek(0) == ']') refuse("an empty character class");
      return;
    }
    if (c == '(' && peek(1) == '*') refuse("(*");
    if (c == '(' && peek(1) == '?') return group();
    if (c == '{') return repeat();
    copy(1);
  }

  void group() {
    // In the middle of a pattern (?i) covers other alternatives in Oniguruma than in PCRE2.
    if (at_ == 0 && in_.starts_with("(?i)")) return copy(4);
    constexpr std::array<std::string_view, 7> kGroups = {"(?:",  "(?=",  "(?!", "(?>",
                                                         "(?<=", "(?<!", "(?i:"};
    for (const std::string_view group : kGroups) {
      if (in_.substr(at_).starts_with(group)) return copy(group.size());
    }
    refuse(fmt::format("the group {}", in_.substr(at_, 4)));
  }

  void repeat() {
    const std::size_t close = in_.find('}', at_);
    if (close == std::string_view::npos || !std::isdigit(static_cast<unsigned char>(peek(1)))) {
      refuse("{ that is no repeat count");
    }
    copy(close + 1 - at_);
    if (peek(0) == '+') refuse("a repeat count followed by +");
  }

  std::string_view in_;
  std::string_view where_;
  std::string out_;
  std::size_t at_ = 0;
  bool in_class_ = false;
};

std::string pcre2_message(int code) {
  std::array<PCRE2_UCHAR, 256> buffer{};
  pcre2_get_error_message(code, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

}  // namespace

Regex::Regex(std::string_view pattern, std::string_view where) {
  if (pattern.empty() || pattern.size() > kMaxPatternBytes) {
    throw Error(where, fmt::format("a pattern of {} bytes", pattern.size()),
                fmt::format("1 to {} are allowed", kMaxPatternBytes));
  }
  for (std::size_t at = 0; at < pattern.size();) {
    const Utf8Step step = next_utf8(pattern.substr(at));
    if (step.kind != Utf8Kind::kValid) throw Error(where, "the pattern is not UTF-8");
    at += step.length;
  }
  const std::string translated = Translator(pattern, where).run();
  const std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), pcre2_compile_context_free);
  R1_CHECK(context != nullptr, "out of memory");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, &error, &offset, context.get());
  if (code == nullptr) {
    throw Error(where, fmt::format("the pattern does not compile: {}", pcre2_message(error)));
  }
  code_.reset(code, pcre2_code_free);
  // Where no JIT is to be had, pcre2_match interprets: slower, with the same matches.
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
}

void RegexMatcher::Free::operator()(pcre2_real_match_data_8* data) const {
  pcre2_match_data_free(data);
}

RegexMatcher::RegexMatcher(const Regex& regex)
    : code_(regex.code()), data_(pcre2_match_data_create(1, nullptr)) {
  R1_CHECK(data_ != nullptr, "out of memory");
}

bool RegexMatcher::find(std::string_view subject, std::size_t from) {
  const auto match = [&](std::uint32_t options) {
    return pcre2_match(code_, reinterpret_cast<PCRE2_SPTR>(subject.data()), subject.size(), from,
                       options | PCRE2_NO_UTF_CHECK, data_.get(), nullptr);
  };
  int found = match(0);
  // The interpreter keeps its backtracking points on the heap, so it goes on where the JIT's small
  // stack ends.
  if (found == PCRE2_ERROR_JIT_STACKLIMIT) found = match(PCRE2_NO_JIT);
  if (found == PCRE2_ERROR_NOMATCH) return false;
  if (found < 0) {
    throw Error("pre_tokenizer", fmt::format("a pattern gave up: {}", pcre2_message(found)),
                "it backtracks too much on this text");
  }
  const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(data_.get());
  begin_ = offsets[0];
  end_ = offsets[1];
  return true;
}

}  // namespace r1::text
