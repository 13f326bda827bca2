#include "formats/json.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace r1 {
namespace {

using nlohmann::json;

// Builds the document from the parser's events and holds it to the limits as it grows. The parser
// itself does not recurse.
class Builder final : public nlohmann::json_sax<json> {
 public:
  Builder(std::string_view text, std::string_view where, const JsonLimits& limits)
      : text_(text), where_(where), limits_(limits) {}

  json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // not in text

  bool start_object(std::size_t) override { return open(json::object()); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    auto& object = open_.back()->get_ref<json::object_t&>();
    const auto [position, inserted] = object.emplace(std::move(name), nullptr);
    if (!inserted) {
      throw Error(where_, fmt::format("the key \"{}\" occurs twice", excerpt(position->first)));
    }
    slot_ = &position->second;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    // `position` counts the bytes read, the offending one included.
    const std::string_view before =
        text_.substr(0, std::clamp<std::size_t>(position, 1, text_.size() + 1) - 1);
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 == 0
    // The library's sentence without its prefix, and without the bytes read last, which need not
    // be valid UTF-8.
    std::string_view what = error.what();
    if (const auto prefix = what.find("] "); prefix != what.npos) what.remove_prefix(prefix + 2);
    if (what.starts_with("parse error at ")) {
      if (const auto colon = what.find(": "); colon != what.npos) what.remove_prefix(colon + 2);
    }
    what = what.substr(0, what.find("; last read"));
    throw Error(where_, fmt::format("not valid JSON at line {}, column {}: {}", line,
                                    before.size() - line_start + 1, what));
  }

 private:
  template <class Value>
  bool add(Value&& value) {
    place(std::forward<Value>(value));
    return true;
  }

  template <class Value>
  json* place(Value&& value) {
    if (++values_ > limits_.max_values) {
      throw Error(where_, fmt::format("more than {} JSON values", limits_.max_values));
    }
    json* target = &root_;
    if (!open_.empty() && open_.back()->is_array()) {
      open_.back()->push_back(nullptr);
      target = &open_.back()->back();
    } else if (!open_.empty()) {
      target = slot_;
    }
    *target = std::forward<Value>(value);
    return target;
  }

  bool open(json container) {
    if (open_.size() >= limits_.max_depth) {
      throw Error(where_, fmt::format("JSON nested deeper than {} levels", limits_.max_depth));
    }
    // An array that grows moves its elements, but never while one of them is open.
    open_.push_back(place(std::move(container)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  std::string_view text_;
  std::string_view where_;
  JsonLimits limits_;
  json root_;
  std::vector<json*> open_;  // from the root to the innermost open object or array
  json* slot_ = nullptr;     // where the value of the key just read goes
  std::size_t values_ = 0;
};

std::string describe(const json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array";
  if (value.is_string()) {
    return fmt::format("the string \"{}\"", excerpt(value.get_ref<const std::string&>()));
  }
  return value.dump();
}

}  // namespace

std::string excerpt(std::string_view text) {
  constexpr std::size_t kLongest = 60;
  if (text.size() <= kLongest) return std::string(text);
  std::size_t end = kLongest;
  while (end > 0 && (text[end] & 0xC0) == 0x80) --end;  // not within a UTF-8 sequence
  return fmt::format("{}...", text.substr(0, end));
}

json parse_json(std::string_view text, std::string_view where, JsonLimits limits) {
  if (text.size() > limits.max_bytes) {
    throw Error(where,
                fmt::format("{} bytes of JSON, the limit is {}", text.size(), limits.max_bytes));
  }
  Builder builder(text, where, limits);
  json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

namespace json_detail {

void throw_mistyped(std::string_view where, std::string_view key, std::string_view expected,
                    const json& found) {
  throw Error(where, fmt::format("\"{}\" must be {}, found {}", key, expected, describe(found)));
}

void throw_missing(std::string_view where, std::string_view key) {
  throw Error(where, fmt::format("\"{}\" is missing", key));
}

void throw_not_object(std::string_view where, const json& found) {
  throw Error(where, fmt::format("must be an object, found {}", describe(found)));
}

std::int64_t to_int64(const json& value, std::string_view key, std::string_view where,
                      std::int64_t low, std::int64_t high) {
  // The library keeps non-negative integers as unsigned ones.
  const bool fits_int64 =
      value.is_number_integer() &&
      !(value.is_number_unsigned() &&
        value.get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int64_t>::max()});
  if (!fits_int64 || value.get<std::int64_t>() < low || value.get<std::int64_t>() > high) {
    throw_mistyped(where, key, fmt::format("an integer from {} to {}", low, high), value);
  }
  return value.get<std::int64_t>();
}

std::uint64_t to_uint64(const json& value, std::string_view key, std::string_view where) {
  if (!value.is_number_unsigned()) throw_mistyped(where, key, "an integer of 0 or more", value);
  return value.get<std::uint64_t>();
}

double to_number(const json& value, std::string_view key, std::string_view where, double largest) {
  if (!value.is_number()) throw_mistyped(where, key, "a number", value);
  const double number = value.get<double>();
  if (!(std::abs(number) <= largest)) {
    throw_mistyped(where, key, fmt::format("a number of at most {:g}", largest), value);
  }
  return number;
}

}  // namespace json_detail
}  // namespace r1
