#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "text/jinja/value.h"

namespace r1::text::jinja {

// The JSON value as templates see it; its strings and keys are the user's or the template's own.
// Throws Failure for what nests too deep and for integers above 2^63 - 1.
Value from_json(const nlohmann::ordered_json& json, bool from_user);

// json.loads(text). The user's if any part of the text is. Throws Failure if it is no JSON.
Value parse_json_text(Budget& budget, const MarkedText& text);

// The knobs of Python's json.dumps that templates may turn.
struct JsonStyle {
  std::optional<std::string> indent;  // of one level; nothing: all on one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool ensure_ascii = false;
  bool sort_keys = false;
};

// json.dumps(value). The user's as a whole if any part of it is.
MarkedText to_json(Budget& budget, const Value& value, const JsonStyle& style);

}  // namespace r1::text::jinja
