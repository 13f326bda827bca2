#include "text/jinja/filters.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "text/jinja/access.h"
#include "text/jinja/arithmetic.h"
#include "text/jinja/convert.h"
#include "text/jinja/json.h"
#include "text/jinja/list_filters.h"
#include "text/jinja/text_operations.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace r1::text::jinja {
namespace {

// ---- text

template <std::string (*change)(std::string_view)>
Value change_case(Budget& budget, const Value& input, const Arguments& arguments) {
  const Bound bound("a change of case", arguments, {});
  const MarkedText text = to_text(budget, input);
  budget.make(text.size(), 8);
  return make_text(budget, text.remade(change(text.bytes())));
}

Value trim(Budget& budget, const Value& input, const Arguments& arguments) {
  const Bound bound("trim", arguments, {"chars"});
  const bool plain = bound[0] == nullptr || bound[0]->is_none();
  return strip_text(budget, to_text(budget, input), Side::kBoth, plain ? nullptr : &bound.text(0));
}

Value replace(Budget& budget, const Value& input, const Arguments& arguments) {
  const Bound bound("replace", arguments, {"old", "new", "count"});
  const bool all = bound[2] == nullptr || bound[2]->is_none();
  return replace_text(budget, to_text(budget, input), to_text(budget, bound.required(0)),
                      to_text(budget, bound.required(1)), all ? -1 : bound.integer(2, -1));
}

Value string(Budget& budget, const Value& input, const Arguments& arguments) {
  const Bound bound("string", arguments, {});
  return input.is_text() ? input : make_text(budget, to_text(budget, input));
}

Value format(Budget& budget, const Value& input, const Arguments& arguments) {
  if (!arguments.named.empty()) throw Failure("format with names is not supported");
  return make_text(budget, format_percent(budget, to_text(budget, input), arguments.positional));
}

// `first`: the first line too; `blank`: empty lines too.
Value indent(Budget& budget, const Value& input, const Arguments& arguments) {
  const Bound bound("indent", arguments, {"width", "first", "blank"});
  MarkedText space(std::string(4, ' '));
  if (bound[0] != nullptr && bound[0]->is_text()) {
    space = bound.text(0);
  } else if (bound[0] != nullptr) {
    const auto width = static_cast<std::size_t>(std::max<std::int64_t>(bound.integer(0, 4), 0));
    budget.make(width);
    space = MarkedText(std::string(width, ' '));
  }
  const bool blank = bound.boolean(2, false);
  MarkedText text = to_text(budget, input);
  text.append("\n");  // so that the text's own last line end opens another line
  budget.make(text.size(), 1 + sizeof(Span));
  MarkedText out;
  bool first = true;
  for (const Span& line : split_lines(text.bytes())) {
    budget.make(space.size() + 1);
    if (!first) out.append("\n");
    if (first ? bound.boolean(1, false) : blank || line.size() > 0) out.append(space);
    out.append(text, line);
    first = false;
  }
  return make_text(budget, std::move(out));
}

Value word_count(Budget& budget, const Value& input, const Arguments& arguments) {
  const Bound bound("wordcount", arguments, {});
  const MarkedText text = to_text(budget, input);
  std::int64_t words = 0;
  bool in_word = false;
  for (std::string_view rest = text.bytes(); !rest.empty();) {
    const Utf8Step step = next_utf8(rest);
    const bool word = step.kind == Utf8Kind::kValid && is_word(step.code_point);
    if (word && !in_word) ++words;
    in_word = word;
    rest.remove_prefix(step.length);
  }
  return Value::integer(words);
}

std::string separator_text(const Value& value) {
  if (!value.is_text()) throw Failure("tojson(): separators must be strings");
  return value.bytes();
}

// With the arguments and defaults that transformers gives it: json.dumps, not Jinja's own filter.
Value to_json_filter(Budget& budget, const Value& input, const Arguments& arguments) {
  const Bound bound("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = bound.boolean(0, false);
  style.sort_keys = bound.boolean(3, false);
  if (bound[1] != nullptr && !bound[1]->is_none()) {
    style.item_separator.pop_back();  // no space before the end of the line
    if (bound[1]->is_text()) {
      style.indent = bound.text(1).bytes();
    } else {
      const auto width = static_cast<std::size_t>(std::max<std::int64_t>(bound.integer(1, 0), 0));
      budget.make(width);
      style.indent = std::string(width, ' ');
    }
  }
  if (bound[2] != nullptr && !bound[2]->is_none()) {
    if (!bound[2]->is_list() || bound[2]->list().items.size() != 2) {
      throw Failure("tojson(): separators must be two strings");
    }
    style.item_separator = separator_text(bound[2]->list().items[0]);
    style.key_separator = separator_text(bound[2]->list().items[1]);
  }
  return make_text(budget, to_json(budget, input, style));
}

// Not transformers' but llama.cpp's; templates of DeepSeek-V3.2 need it.
Value from_json_filter(Budget& budget, const Value& input, const Arguments& arguments) {
  const Bound bound("from_json", arguments, {});
  return parse_json_text(budget, to_text(budget, input));
}

// ---- numbers

Value absolute(Budget&, const Value& input, const Arguments& arguments) {
  const Bound bound("abs", arguments, {});
  if (input.is_float()) return Value::number(std::abs(input.number()));
  const Value value = plus(input);
  return value.whole() < 0 ? negate(value) : value;
}

std::optional<std::int64_t> truncated(double number) {
  if (!(std::abs(number) < 9.2e18)) return {};
  return static_cast<std::int64_t>(number);
}

Value to_integer(Budget& budget, const Value& input, const Arguments& arguments) {
  const Bound bound("int", arguments, {"default", "base"});
  std::optional<std::int64_t> number;
  if (input.is_whole()) number = input.whole();
  if (input.is_float()) number = truncated(input.number());
  if (input.is_text()) {
    const std::int64_t base = bound.integer(1, 10);
    if (base < 2 || base > 36) throw Failure("int(): \"base\" must be from 2 to 36");
    budget.read(input.text().size());
    number = parse_integer(input.bytes(), static_cast<int>(base));
    if (!number) {
      if (const auto real = parse_float(input.bytes())) number = truncated(*real);
    }
  }
  if (number) return Value::integer(*number);
  return bound[0] == nullptr ? Value::integer(0) : *bound[0];
}

Value to_float(Budget& budget, const Value& input, const Arguments& arguments) {
  const Bound bound("float", arguments, {"default"});
  if (input.is_number()) return Value::number(input.number());
  if (input.is_text()) {
    budget.read(input.text().size());
    if (const auto number = parse_float(input.bytes())) return Value::number(*number);
  }
  return bound[0] == nullptr ? Value::number(0) : *bound[0];
}

// To the even digit where both are as near, as Python rounds.
double round_to(double number, int digits) {
  if (!std::isfinite(number) || digits > 300) return number;
  if (digits < 0) {
    const double unit = std::pow(10.0, -digits);
    return std::nearbyint(number / unit) * unit;
  }
  return parse_float(fmt::format("{:.{}f}", number, digits)).value_or(number);
}

Value round(Budget& budget, const Value& input, const Arguments& arguments) {
  const Bound bound("round", arguments, {"precision", "method"});
  const std::int64_t precision = bound.integer(0, 0);
  if (std::abs(precision) > 300) throw Failure("round(): \"precision\" is too large");
  const std::string method = bound[1] == nullptr ? "common" : bound.text(1).bytes();
  const Value number = plus(input);
  if (method == "common") {
    if (number.is_integer() && precision >= 0) return number;
    const double rounded = round_to(number.number(), static_cast<int>(precision));
    if (number.is_float()) return Value::number(rounded);
    return Value::integer(truncated(rounded).value_or(0));
  }
  if (method != "ceil" && method != "floor") throw Failure("round(): \"method\" is unknown");
  const double unit = std::pow(10.0, static_cast<double>(precision));
  const double scaled = number.number() * unit;
  return arithmetic(budget, Arithmetic::kDivide,
                    Value::number(method == "ceil" ? std::ceil(scaled) : std::floor(scaled)),
                    Value::number(unit));
}

// ---- anything

Value default_value(Budget&, const Value& input, const Arguments& arguments) {
  const Bound bound("default", arguments, {"default_value", "boolean"});
  const bool absent = input.is_undefined() || (bound.boolean(1, false) && !truth(input));
  if (!absent) return input;
  return bound[0] == nullptr ? Value::text("") : *bound[0];
}

Value length_filter(Budget& budget, const Value& input, const Arguments& arguments) {
  const Bound bound("length", arguments, {});
  return Value::integer(static_cast<std::int64_t>(length(budget, input)));
}

Value safe(Budget& budget, const Value& input, const Arguments& arguments) {
  return string(budget, input, arguments);  // nothing is ever escaped
}

Value attribute_filter(Budget&, const Value& input, const Arguments& arguments) {
  const Bound bound("attr", arguments, {"name"});
  if (input.is_dict()) return Value::undefined("the filter attr finds no keys of a dict");
  return attribute(input, bound.text(0).bytes());
}

struct Entry {
  std::string_view name;
  Filter filter;
};

constexpr Entry kFilters[] = {
    {"abs", absolute},
    {"attr", attribute_filter},
    {"capitalize", change_case<capitalize>},
    {"count", length_filter},
    {"d", default_value},
    {"default", default_value},
    {"dictsort", filter_dictsort},
    {"first", filter_first},
    {"float", to_float},
    {"format", format},
    {"from_json", from_json_filter},
    {"indent", indent},
    {"int", to_integer},
    {"items", filter_items},
    {"join", filter_join},
    {"last", filter_last},
    {"length", length_filter},
    {"list", filter_list},
    {"lower", change_case<to_lower>},
    {"map", filter_map},
    {"max", filter_max},
    {"min", filter_min},
    {"reject", filter_reject},
    {"rejectattr", filter_rejectattr},
    {"replace", replace},
    {"reverse", filter_reverse},
    {"round", round},
    {"safe", safe},
    {"select", filter_select},
    {"selectattr", filter_selectattr},
    {"sort", filter_sort},
    {"string", string},
    {"sum", filter_sum},
    {"title", change_case<title_words>},
    {"tojson", to_json_filter},
    {"trim", trim},
    {"unique", filter_unique},
    {"upper", change_case<to_upper>},
    {"wordcount", word_count},
};

}  // namespace

Filter find_filter(std::string_view name) {
  for (const Entry& entry : kFilters) {
    if (entry.name == name) return entry.filter;
  }
  return nullptr;
}

}  // namespace r1::text::jinja
