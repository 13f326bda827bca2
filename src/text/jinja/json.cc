#include "text/jinja/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "text/jinja/compare.h"
#include "text/jinja/python_text.h"
#include "text/utf8.h"

namespace r1::text::jinja {
namespace {

using Json = nlohmann::ordered_json;

class JsonReader {
 public:
  explicit JsonReader(bool from_user) : from_user_(from_user) {}

  Value read(const Json& json) {
    switch (json.type()) {
      case Json::value_t::null:
        return Value::none();
      case Json::value_t::boolean:
        return Value::boolean(json.get<bool>());
      case Json::value_t::number_integer:
        return Value::integer(json.get<std::int64_t>());
      case Json::value_t::number_unsigned:
        return read_unsigned(json.get<std::uint64_t>());
      case Json::value_t::number_float:
        return Value::number(json.get<double>());
      case Json::value_t::string:
        return text(json.get_ref<const std::string&>());
      case Json::value_t::array:
        return read_array(json);
      case Json::value_t::object:
        return read_object(json);
      default:
        throw Failure("is given a value that no JSON text has");
    }
  }

 private:
  Value text(const std::string& bytes) const { return Value::text(MarkedText(bytes, from_user_)); }

  static Value read_unsigned(std::uint64_t number) {
    if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      throw Failure(fmt::format("is given the number {}, which is too large", number));
    }
    return Value::integer(static_cast<std::int64_t>(number));
  }

  Value read_array(const Json& json) {
    const DepthGuard guard(depth_, kMaxValueDepth);
    std::vector<Value> items;
    items.reserve(json.size());
    for (const Json& item : json) items.push_back(read(item));
    return Value::list(std::move(items));
  }

  Value read_object(const Json& json) {
    const DepthGuard guard(depth_, kMaxValueDepth);
    Dict dict;
    for (const auto& [key, item] : json.items()) dict.set(text(key), read(item));
    return Value::dict(std::move(dict));
  }

  bool from_user_;
  std::size_t depth_ = 0;
};

class JsonWriter {
 public:
  JsonWriter(Budget& budget, const JsonStyle& style) : budget_(budget), style_(style) {}

  MarkedText write(const Value& value) && {
    append(value);
    return MarkedText(std::move(out_), from_user_);
  }

 private:
  void append(const Value& value) {
    budget_.make(16);
    if (value.is_text()) {
      append_string(value.text());
    } else if (value.is_list() && value.list().form != Value::ListForm::kGenerator) {
      append_list(value.list());
    } else if (value.is_dict()) {
      append_dict(value.dict());
    } else {
      append_scalar(value);
    }
  }

  void append_scalar(const Value& value) {
    if (value.is_none()) {
      out_ += "null";
    } else if (value.is_boolean()) {
      out_ += value.boolean() ? "true" : "false";
    } else if (value.is_integer()) {
      out_ += fmt::format("{}", value.whole());
    } else if (value.is_float()) {
      out_ += number_text(value.number());
    } else {
      if (value.is_undefined()) value.fail_undefined();
      throw Failure(fmt::format("writes a {} as JSON", value.type_name()));
    }
  }

  static std::string number_text(double number) {
    if (std::isfinite(number)) return float_text(number);
    return std::isnan(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity";
  }

  // Starts the line of an item, or separates it from the last one.
  void begin_item(bool first, std::size_t level) {
    if (!first) out_ += style_.item_separator;
    if (style_.indent) end_line(level);
  }

  void end_line(std::size_t level) {
    budget_.make(level + 1, style_.indent->size() + 1);
    out_ += '\n';
    for (std::size_t i = 0; i < level; ++i) out_ += *style_.indent;
  }

  void append_list(const List& list) {
    out_ += '[';
    ++level_;
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      begin_item(i == 0, level_);
      append(list.items[i]);
    }
    --level_;
    if (style_.indent && !list.items.empty()) end_line(level_);
    out_ += ']';
  }

  void append_dict(const Dict& dict) {
    std::vector<const Dict::Entry*> entries;
    for (const Dict::Entry& entry : dict.entries()) entries.push_back(&entry);
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(), [&](const auto* a, const auto* b) {
        return less(budget_, a->first, b->first);
      });
    }
    out_ += '{';
    ++level_;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      begin_item(i == 0, level_);
      append_key(entries[i]->first);
      out_ += style_.key_separator;
      append(entries[i]->second);
    }
    --level_;
    if (style_.indent && !entries.empty()) end_line(level_);
    out_ += '}';
  }

  void append_key(const Value& key) {
    if (key.is_text()) {
      append_string(key.text());
    } else {
      out_ += '"';
      append_scalar(key);
      out_ += '"';
    }
  }

  void append_string(const MarkedText& text) {
    from_user_ = from_user_ || text.has_user_text();
    budget_.make(text.size(), style_.ensure_ascii ? 3 : 1);
    out_ += '"';
    for (std::string_view rest = text.bytes(); !rest.empty();) {
      const Utf8Step step = next_utf8(rest);
      append_character(step, rest.substr(0, step.length));
      rest.remove_prefix(step.length);
    }
    out_ += '"';
  }

  void append_character(const Utf8Step& step, std::string_view bytes) {
    static constexpr std::string_view kEscaped = "\"\\\n\r\t\f\b";
    static constexpr std::string_view kLetters = "\"\\nrtfb";
    const std::uint32_t c = step.kind == Utf8Kind::kValid ? step.code_point : 0xFFFD;
    const std::size_t escape = bytes.size() == 1 ? kEscaped.find(bytes[0]) : kEscaped.npos;
    if (escape != kEscaped.npos) {
      out_ += '\\';
      out_ += kLetters[escape];
    } else if (c >= 0x10000 && style_.ensure_ascii) {
      const std::uint32_t rest = c - 0x10000;
      out_ += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
    } else if (c < 0x20 || (c > 0x7F && style_.ensure_ascii)) {
      out_ += fmt::format("\\u{:04x}", c);
    } else {
      out_ += bytes;
    }
  }

  Budget& budget_;
  const JsonStyle& style_;
  std::string out_;
  std::size_t level_ = 0;
  bool from_user_ = false;
};

}  // namespace

Value from_json(const Json& json, bool from_user) { return JsonReader(from_user).read(json); }

Value parse_json_text(Budget& budget, const MarkedText& text) {
  const std::size_t size = text.size();
  budget.make(size, 64);                      // "[[[[": a value for each byte
  budget.work(size / 64 * (1 + size / 512));  // each key is compared with all before it
  const Json json = Json::parse(text.bytes(), nullptr, false);
  if (json.is_discarded()) throw Failure("from_json() is given no JSON");
  return from_json(json, text.has_user_text());
}

MarkedText to_json(Budget& budget, const Value& value, const JsonStyle& style) {
  return JsonWriter(budget, style).write(value);
}

}  // namespace r1::text::jinja
