#include "text/jinja/arithmetic.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "text/jinja/convert.h"
#include "text/jinja/python_text.h"

namespace r1::text::jinja {
namespace {

constexpr std::string_view kSymbols[] = {"+", "-", "*", "/", "//", "%", "**"};

[[noreturn]] void too_large() { throw Failure("makes an integer that is too large"); }

std::int64_t add_exact(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (__builtin_add_overflow(a, b, &result)) too_large();
  return result;
}

std::int64_t subtract_exact(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (__builtin_sub_overflow(a, b, &result)) too_large();
  return result;
}

std::int64_t multiply_exact(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) too_large();
  return result;
}

// Rounded down, not towards zero.
std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  if (b == -1) return subtract_exact(0, a);
  const std::int64_t quotient = a / b;
  return quotient - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

// With the sign of b.
std::int64_t modulo(std::int64_t a, std::int64_t b) {
  if (b == -1) return 0;
  const std::int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

double modulo(double a, double b) {
  const double rest = std::fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

std::int64_t power(std::int64_t base, std::int64_t exponent) {
  std::int64_t result = 1;
  if (base == 1 || base == -1) return exponent % 2 == 0 ? 1 : base;
  if (base == 0) return exponent == 0 ? 1 : 0;
  for (; exponent > 0; --exponent) result = multiply_exact(result, base);  // at most 63 times
  return result;
}

Value integers(Arithmetic op, std::int64_t a, std::int64_t b) {
  switch (op) {
    case Arithmetic::kAdd:
      return Value::integer(add_exact(a, b));
    case Arithmetic::kSubtract:
      return Value::integer(subtract_exact(a, b));
    case Arithmetic::kMultiply:
      return Value::integer(multiply_exact(a, b));
    case Arithmetic::kFloorDivide:
      return Value::integer(floor_divide(a, b));
    case Arithmetic::kModulo:
      return Value::integer(modulo(a, b));
    case Arithmetic::kPower:
      if (b >= 0) return Value::integer(power(a, b));
      return Value::number(std::pow(static_cast<double>(a), static_cast<double>(b)));
    case Arithmetic::kDivide:
      break;
  }
  return Value::number(static_cast<double>(a) / static_cast<double>(b));
}

Value floats(Arithmetic op, double a, double b) {
  switch (op) {
    case Arithmetic::kAdd:
      return Value::number(a + b);
    case Arithmetic::kSubtract:
      return Value::number(a - b);
    case Arithmetic::kMultiply:
      return Value::number(a * b);
    case Arithmetic::kDivide:
      return Value::number(a / b);
    case Arithmetic::kFloorDivide:
      return Value::number(std::floor(a / b));
    case Arithmetic::kModulo:
      return Value::number(modulo(a, b));
    case Arithmetic::kPower:
      break;
  }
  return Value::number(std::pow(a, b));
}

Value numbers(Arithmetic op, const Value& a, const Value& b) {
  const bool divides =
      op == Arithmetic::kDivide || op == Arithmetic::kFloorDivide || op == Arithmetic::kModulo;
  if ((divides && b.number() == 0) ||
      (op == Arithmetic::kPower && a.number() == 0 && b.number() < 0)) {
    throw Failure("divides by zero");
  }
  if (a.is_whole() && b.is_whole()) return integers(op, a.whole(), b.whole());
  return floats(op, a.number(), b.number());
}

Value join_lists(Budget& budget, const Value& a, const Value& b) {
  std::vector<Value> items = a.list().items;
  budget.make(list_bytes(items.size() + b.list().items.size()));
  items.insert(items.end(), b.list().items.begin(), b.list().items.end());
  return Value::list(std::move(items), a.list().form);
}

Value repeat(Budget& budget, const Value& value, std::int64_t times) {
  const std::size_t count = times < 0 ? 0 : static_cast<std::size_t>(times);
  if (value.is_text()) {
    MarkedText text;
    budget.make(count, value.text().size());
    for (std::size_t i = 0; i < (value.text().empty() ? 0 : count); ++i) text.append(value.text());
    return make_text(budget, std::move(text));
  }
  const auto& items = value.list().items;
  budget.make(count, list_bytes(items.size()));
  std::vector<Value> all;
  for (std::size_t i = 0; i < (items.empty() ? 0 : count); ++i) {
    all.insert(all.end(), items.begin(), items.end());
  }
  return Value::list(std::move(all), value.list().form);
}

bool is_sequence(const Value& value) {
  return value.is_text() || (value.is_list() && value.list().form != Value::ListForm::kGenerator);
}

// One %-directive of a format.
struct Directive {
  std::string flags;
  std::size_t width = 0;
  std::optional<std::size_t> precision;
  char type = 0;
};

constexpr std::size_t kMaxWidth = 10'000;

std::size_t read_count(const std::string& format, std::size_t& at) {
  std::size_t count = 0;
  for (; at < format.size() && format[at] >= '0' && format[at] <= '9'; ++at) {
    count = count * 10 + static_cast<std::size_t>(format[at] - '0');
    if (count > kMaxWidth) throw Failure("formats with a width that is too large");
  }
  return count;
}

// From behind the '%'; leaves `at` behind the directive.
Directive read_directive(const std::string& format, std::size_t& at) {
  Directive directive;
  while (at < format.size() && std::string_view("-+ 0#").find(format[at]) != std::string::npos) {
    directive.flags += format[at++];
  }
  directive.width = read_count(format, at);
  if (at < format.size() && format[at] == '.') directive.precision = read_count(format, ++at);
  if (at == format.size()) throw Failure("formats with an incomplete %-directive");
  directive.type = format[at++];
  return directive;
}

std::string format_number(const Directive& directive, const Value& value) {
  if (!value.is_number()) {
    throw Failure(fmt::format("formats a {} with %{}", value.type_name(), directive.type));
  }
  std::string pattern = "{:";
  const auto flag = [&](char c) { return directive.flags.find(c) != std::string::npos; };
  if (flag('+')) {
    pattern += '+';
  } else if (flag(' ')) {
    pattern += ' ';
  }
  if (flag('#')) pattern += '#';
  if (flag('0') && !flag('-') && directive.width > 0)
    pattern += fmt::format("0{}", directive.width);
  const bool whole = std::string_view("diuxXo").find(directive.type) != std::string::npos;
  if (!whole) {
    pattern += fmt::format(".{}{}}}", directive.precision.value_or(6), directive.type);
    return fmt::format(fmt::runtime(pattern), value.number());
  }
  if (directive.precision) throw Failure("formats an integer with a precision");
  const bool decimal = directive.type == 'd' || directive.type == 'i' || directive.type == 'u';
  pattern += decimal ? 'd' : directive.type;
  pattern += '}';
  if (value.is_float() && !(std::abs(value.number()) < 9.2e18)) too_large();
  const std::int64_t number =
      value.is_float() ? static_cast<std::int64_t>(value.number()) : value.whole();
  return fmt::format(fmt::runtime(pattern), number);
}

MarkedText format_value(Budget& budget, const Directive& directive, const Value& value) {
  if (directive.type == 's') {
    MarkedText text = to_text(budget, value);
    if (!directive.precision) return text;
    const auto offsets = character_offsets(text.bytes());
    return text.cut({0, offsets[std::min(*directive.precision, offsets.size() - 1)]});
  }
  if (directive.type == 'r') {
    std::string quoted;
    if (!value.is_text()) return to_text(budget, value);
    budget.make(value.text().size());
    append_quoted(value.bytes(), quoted);
    return value.text().remade(std::move(quoted));
  }
  if (std::string_view("diuxXofFeEgG").find(directive.type) == std::string::npos) {
    throw Failure("formats with a %-directive that is not supported");
  }
  return MarkedText(format_number(directive, value));
}

}  // namespace

Value arithmetic(Budget& budget, Arithmetic op, const Value& a, const Value& b) {
  budget.work();
  if (a.is_number() && b.is_number()) return numbers(op, a, b);
  if (op == Arithmetic::kModulo && a.is_text()) {
    const bool tuple = b.is_list() && b.list().form == Value::ListForm::kTuple;
    return make_text(
        budget, format_percent(budget, a.text(), tuple ? b.list().items : std::vector<Value>{b}));
  }
  if (a.is_undefined()) a.fail_undefined();
  if (b.is_undefined()) b.fail_undefined();
  if (op == Arithmetic::kAdd) {
    if (a.is_text() && b.is_text()) {
      budget.make(a.text().size());
      MarkedText text = a.text();
      text.append(b.text());
      return make_text(budget, std::move(text));
    }
    if (a.is_list() && b.is_list() && is_sequence(a) && a.list().form == b.list().form) {
      return join_lists(budget, a, b);
    }
  }
  if (op == Arithmetic::kMultiply && is_sequence(a) && b.is_whole()) {
    return repeat(budget, a, b.whole());
  }
  if (op == Arithmetic::kMultiply && a.is_whole() && is_sequence(b)) {
    return repeat(budget, b, a.whole());
  }
  throw Failure(fmt::format("\"{}\" does not work on a {} and a {}",
                            kSymbols[static_cast<std::size_t>(op)], a.type_name(), b.type_name()));
}

Value negate(const Value& a) {
  if (a.is_undefined()) a.fail_undefined();
  if (a.is_float()) return Value::number(-a.number());
  if (!a.is_whole()) throw Failure(fmt::format("negates a {}", a.type_name()));
  return Value::integer(subtract_exact(0, a.whole()));
}

Value plus(const Value& a) {
  if (a.is_undefined()) a.fail_undefined();
  if (!a.is_number()) throw Failure(fmt::format("\"+\" does not work on a {}", a.type_name()));
  return a.is_float() ? a : Value::integer(a.whole());
}

MarkedText format_percent(Budget& budget, const MarkedText& format,
                          const std::vector<Value>& values) {
  const std::string& bytes = format.bytes();
  budget.make(bytes.size());
  MarkedText out;
  std::size_t used = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t percent = std::min(bytes.find('%', at), bytes.size());
    out.append(format, {at, percent});
    if (percent == bytes.size()) break;
    at = percent + 1;
    const Directive directive = read_directive(bytes, at);
    if (directive.type == '%') {
      out.append(format, {percent, percent + 1});
      continue;
    }
    if (used == values.size()) throw Failure("formats with too few values");
    const MarkedText text = format_value(budget, directive, values[used++]);
    const std::size_t characters = count_characters(text.bytes());
    const std::string padding(
        directive.width > characters ? directive.width - characters : std::size_t{0}, ' ');
    budget.make(text.size() + padding.size());
    const bool left = directive.flags.find('-') != std::string::npos;
    if (!left) out.append(padding);
    out.append(text);
    if (left) out.append(padding);
  }
  if (used != values.size()) throw Failure("formats with too many values");
  return out;
}

}  // namespace r1::text::jinja
