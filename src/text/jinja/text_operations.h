#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/jinja/python_text.h"
#include "text/jinja/value.h"

namespace r1::text::jinja {

// What filters and methods of strings have in common. The marks of user text are kept byte for
// byte.

// Without the characters of `set` (white space if null) at the ends.
Value strip_text(Budget& budget, const MarkedText& text, Side side, const MarkedText* set);

// The pieces between separators, cutting at most `max_splits` times from the left or the right.
// Throws Failure if the separator is empty.
std::vector<Span> split_at(Budget& budget, std::string_view text, std::string_view separator,
                           std::size_t max_splits, Side from);

// At most `count` replacements from the left, all of them if negative.
Value replace_text(Budget& budget, const MarkedText& text, const MarkedText& old,
                   const MarkedText& by, std::int64_t count);

// str() of each, with the separator between.
Value join_texts(Budget& budget, const std::vector<Value>& items, const MarkedText& separator);

// str.format() with the fields {}, {0} and {name}.
MarkedText format_braces(Budget& budget, const MarkedText& format, const Arguments& arguments);

// Tuples of key and value.
Value dict_items(Budget& budget, const Dict& dict, Value::ListForm form);

}  // namespace r1::text::jinja
