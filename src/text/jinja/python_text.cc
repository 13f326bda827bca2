#include "text/jinja/python_text.h"

#include <fmt/format.h>
#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "text/jinja/budget.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace r1::text::jinja {
namespace {

constexpr std::uint32_t kNoCharacter = 0xFFFFFFFF;

struct Character {
  std::string_view bytes;
  std::uint32_t code_point = kNoCharacter;  // as long as it is one
};

Character first_character(std::string_view text) {
  const Utf8Step step = next_utf8(text);
  return {text.substr(0, step.length),
          step.kind == Utf8Kind::kValid ? step.code_point : kNoCharacter};
}

Character last_character(std::string_view text) {
  const std::size_t at = last_code_point(text);
  if (at == text.size()) return {text.substr(text.size() - 1)};
  return first_character(text.substr(at));
}

template <typename Visit>
void for_each_character(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const Character character = first_character(text);
    visit(character);
    text.remove_prefix(character.bytes.size());
  }
}

icu::UnicodeString to_icu(std::string_view text) {
  if (text.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max() / 4)) {
    throw Failure("changes the case of a text that is too long");
  }
  return icu::UnicodeString::fromUTF8(
      icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())));
}

UChar32 icu_char(const Character& character) {
  return character.code_point == kNoCharacter ? 0xFFFD : static_cast<UChar32>(character.code_point);
}

bool is_cased(const Character& character) {
  return u_hasBinaryProperty(icu_char(character), UCHAR_CASED);
}

void append_title(const Character& character, std::string& out) {
  append_utf8(static_cast<std::uint32_t>(u_totitle(icu_char(character))), out);
}

bool is_line_end(std::uint32_t c) {
  return (c >= '\n' && c <= '\r') || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

bool is_digit(UChar32 c) {
  return u_getIntPropertyValue(c, UCHAR_NUMERIC_TYPE) == U_NT_DECIMAL ||
         u_getIntPropertyValue(c, UCHAR_NUMERIC_TYPE) == U_NT_DIGIT;
}

bool is_letter(UChar32 c) { return (U_GET_GC_MASK(c) & U_GC_L_MASK) != 0; }

bool is_printable(UChar32 c) {
  constexpr std::uint32_t kHidden = U_GC_C_MASK | U_GC_Z_MASK;
  return c == ' ' || (U_GET_GC_MASK(c) & kHidden) == 0;
}

std::string_view stripped(std::string_view text) {
  const Span rest = strip(text, Side::kBoth);
  return text.substr(rest.begin, rest.size());
}

// Removes the underscores between digits; false if one stands elsewhere.
bool remove_underscores(std::string& digits) {
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (digits[i] != '_') {
      out += digits[i];
    } else if (i == 0 || i + 1 == digits.size() || digits[i - 1] == '_') {
      return false;
    }
  }
  digits = std::move(out);
  return true;
}

}  // namespace

bool is_python_space(std::uint32_t code_point) {
  return code_point != kNoCharacter &&
         (is_white_space(code_point) || (code_point >= 0x1C && code_point <= 0x1F));
}

std::size_t count_characters(std::string_view text) {
  std::size_t count = 0;
  for_each_character(text, [&](const Character&) { ++count; });
  return count;
}

std::size_t character_offset(std::string_view text, std::size_t index) {
  std::size_t offset = 0;
  for (; index > 0 && offset < text.size(); --index) {
    offset += next_utf8(text.substr(offset)).length;
  }
  return offset;
}

std::vector<std::size_t> character_offsets(std::string_view text) {
  std::vector<std::size_t> offsets = {0};
  for_each_character(text, [&](const Character& character) {
    offsets.push_back(offsets.back() + character.bytes.size());
  });
  return offsets;
}

std::size_t find_part(std::string_view text, std::string_view part, std::size_t from) {
  if (from > text.size()) return text.npos;
  text.remove_prefix(from);
  if (part.empty()) return from;
  const void* found = memmem(text.data(), text.size(), part.data(), part.size());
  if (found == nullptr) return text.npos;
  return from + static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

Span strip(std::string_view text, Side side, std::optional<std::string_view> set) {
  const auto goes = [&](const Character& character) {
    if (!set) return is_python_space(character.code_point);
    return character.code_point != kNoCharacter &&
           set->find(character.bytes) != std::string_view::npos;
  };
  Span rest = {0, text.size()};
  while (side != Side::kRight && rest.begin < rest.end) {
    const Character first = first_character(text.substr(rest.begin, rest.size()));
    if (!goes(first)) break;
    rest.begin += first.bytes.size();
  }
  while (side != Side::kLeft && rest.begin < rest.end) {
    const Character last = last_character(text.substr(rest.begin, rest.size()));
    if (!goes(last)) break;
    rest.end -= last.bytes.size();
  }
  return rest;
}

std::vector<Span> split_lines(std::string_view text) {
  std::vector<Span> lines;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Character character = first_character(text.substr(at));
    const std::size_t end = at;
    at += character.bytes.size();
    if (!is_line_end(character.code_point)) continue;
    if (character.code_point == '\r' && at < text.size() && text[at] == '\n') ++at;
    lines.push_back({begin, end});
    begin = at;
  }
  if (begin < text.size()) lines.push_back({begin, text.size()});
  return lines;
}

std::vector<Span> split_words(std::string_view text, std::size_t max_splits) {
  std::vector<Span> words;
  std::size_t at = strip(text, Side::kLeft).begin;
  while (at < text.size()) {
    if (words.size() == max_splits) {
      words.push_back({at, at + strip(text.substr(at), Side::kRight).end});
      break;
    }
    std::size_t end = at;
    while (end < text.size()) {
      const Character character = first_character(text.substr(end));
      if (is_python_space(character.code_point)) break;
      end += character.bytes.size();
    }
    words.push_back({at, end});
    at = end + strip(text.substr(end), Side::kLeft).begin;
  }
  return words;
}

std::string to_upper(std::string_view text) {
  std::string out;
  return to_icu(text).toUpper(icu::Locale::getRoot()).toUTF8String(out);
}

std::string to_lower(std::string_view text) {
  std::string out;
  return to_icu(text).toLower(icu::Locale::getRoot()).toUTF8String(out);
}

std::string capitalize(std::string_view text) {
  if (text.empty()) return {};
  const Character first = first_character(text);
  std::string out;
  append_title(first, out);
  return out + to_lower(text.substr(first.bytes.size()));
}

std::string title_case(std::string_view text) {
  std::string out;
  bool in_word = false;
  for_each_character(text, [&](const Character& character) {
    if (in_word) {
      append_utf8(static_cast<std::uint32_t>(u_tolower(icu_char(character))), out);
    } else {
      append_title(character, out);
    }
    in_word = is_cased(character);
  });
  return out;
}

std::string title_words(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    bool separator = false;
    std::size_t length = 0;
    while (end < text.size()) {
      const Character character = first_character(text.substr(end));
      length = character.bytes.size();
      separator = is_python_space(character.code_point) ||
                  (length == 1 && std::string_view("-({[<").find(text[end]) != text.npos);
      if (separator) break;
      end += length;
    }
    if (at < end) {
      const std::size_t first = first_character(text.substr(at)).bytes.size();
      out += to_upper(text.substr(at, first));
      out += to_lower(text.substr(at + first, end - at - first));
    }
    if (separator) out += text.substr(end, length);
    at = separator ? end + length : end;
  }
  return out;
}

bool consists_of(std::string_view text, CharacterKind kind) {
  bool some = false;
  bool all = true;
  for_each_character(text, [&](const Character& character) {
    const UChar32 c = icu_char(character);
    switch (kind) {
      case CharacterKind::kSpace:
        all = all && is_python_space(character.code_point);
        some = true;
        break;
      case CharacterKind::kDigit:
        all = all && is_digit(c);
        some = true;
        break;
      case CharacterKind::kLetter:
        all = all && is_letter(c);
        some = true;
        break;
      case CharacterKind::kLetterOrDigit:
        all = all && (is_letter(c) || u_getIntPropertyValue(c, UCHAR_NUMERIC_TYPE) != U_NT_NONE);
        some = true;
        break;
      case CharacterKind::kUpper:
        if (u_isULowercase(c) || u_istitle(c)) all = false;
        if (u_isUUppercase(c)) some = true;
        break;
      case CharacterKind::kLower:
        if (u_isUUppercase(c) || u_istitle(c)) all = false;
        if (u_isULowercase(c)) some = true;
        break;
    }
  });
  return some && all;
}

void append_quoted(std::string_view text, std::string& out) {
  const char quote = text.find('\'') != text.npos && text.find('"') == text.npos ? '"' : '\'';
  out += quote;
  for_each_character(text, [&](const Character& character) {
    const std::uint32_t c = character.code_point;
    if (c == static_cast<unsigned char>(quote) || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == kNoCharacter || is_printable(static_cast<UChar32>(c))) {
      out += character.bytes;
    } else if (c < 0x100) {
      out += fmt::format("\\x{:02x}", c);
    } else if (c < 0x10000) {
      out += fmt::format("\\u{:04x}", c);
    } else {
      out += fmt::format("\\U{:08x}", c);
    }
  });
  out += quote;
}

std::string float_text(double number) {
  if (std::isnan(number)) return "nan";
  std::string text = fmt::format("{}", number);
  if (std::isfinite(number) && text.find_first_of(".e") == text.npos) text += ".0";
  return text;
}

std::optional<std::int64_t> parse_integer(std::string_view text, int base) {
  std::string digits(stripped(text));
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.erase(0, 1);
  if (digits.size() > 2 && digits[0] == '0') {
    const char letter = static_cast<char>(digits[1] | 0x20);
    const int prefix_base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    if (prefix_base == base) digits.erase(0, digits[2] == '_' ? 3 : 2);
  }
  if (digits.starts_with('-') || !remove_underscores(digits) || digits.empty()) return {};
  if (negative) digits.insert(0, 1, '-');
  std::int64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stopped, error] = std::from_chars(digits.data(), end, value, base);
  if (stopped != end) return {};
  if (error == std::errc::result_out_of_range) {
    throw Failure(fmt::format("the number {} is too large", digits.substr(0, 40)));
  }
  return value;
}

std::optional<double> parse_float(std::string_view text) {
  std::string digits(stripped(text));
  if (digits.starts_with('+')) {
    digits.erase(0, 1);
    if (digits.starts_with('-')) return {};
  }
  if (!remove_underscores(digits) || digits.empty()) return {};
  double value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stopped, error] = std::from_chars(digits.data(), end, value);
  if (stopped != end || digits.find('(') != digits.npos) return {};
  if (error == std::errc::result_out_of_range) {
    // from_chars leaves the value alone: infinite above, nothing below.
    const bool large = digits.find("e-") == digits.npos && digits.find("E-") == digits.npos;
    value = large ? std::numeric_limits<double>::infinity() : 0.0;
    if (digits.starts_with('-')) value = -value;
  }
  return value;
}

}  // namespace r1::text::jinja
