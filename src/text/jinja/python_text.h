#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/marked_text.h"

namespace r1::text::jinja {

// What Python's str, int and float do, on UTF-8. Positions are bytes unless they are called
// characters (code points; a byte that belongs to none counts as one).

bool is_python_space(std::uint32_t code_point);

std::size_t count_characters(std::string_view text);
// Where the character with that index begins; the size of the text if it has no more.
std::size_t character_offset(std::string_view text, std::size_t index);
// Where each character begins, and the size of the text last.
std::vector<std::size_t> character_offsets(std::string_view text);

// Where `part` begins in `text` at or after `from`, or npos. Linear, whatever the two are.
std::size_t find_part(std::string_view text, std::string_view part, std::size_t from = 0);

enum class Side { kBoth, kLeft, kRight };
// What remains without the characters of `set` (white space if absent) at the ends.
Span strip(std::string_view text, Side side, std::optional<std::string_view> set = {});

// The lines without their ends; no empty line after a last line end.
std::vector<Span> split_lines(std::string_view text);
// split(): the words between runs of white space. At most `max_splits` cuts, from the left.
std::vector<Span> split_words(std::string_view text, std::size_t max_splits);

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string capitalize(std::string_view text);   // str.capitalize
std::string title_case(std::string_view text);   // str.title
std::string title_words(std::string_view text);  // the filter: words end at white space and -({[<

// Whether the text has a character of that kind and, for the first four, none of another.
enum class CharacterKind { kSpace, kDigit, kLetter, kLetterOrDigit, kUpper, kLower };
bool consists_of(std::string_view text, CharacterKind kind);

// repr() of a string: in quotes, with escapes.
void append_quoted(std::string_view text, std::string& out);
// repr() of a float: the shortest digits that read back the same.
std::string float_text(double number);

// int(text, base) and float(text); nothing if the text is no such number. Throws Failure for
// integers that do not fit 64 bits.
std::optional<std::int64_t> parse_integer(std::string_view text, int base);
std::optional<double> parse_float(std::string_view text);

}  // namespace r1::text::jinja
