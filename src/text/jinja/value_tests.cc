#include "text/jinja/value_tests.h"

#include <fmt/format.h>

#include "text/jinja/arithmetic.h"
#include "text/jinja/compare.h"
#include "text/jinja/convert.h"
#include "text/jinja/filters.h"
#include "text/jinja/python_text.h"

namespace r1::text::jinja {
namespace {

// A test of the value alone.
template <bool (*holds)(const Value&)>
bool of_value(Budget&, const Value& value, const Arguments& arguments) {
  const Bound bound("a test", arguments, {});
  return holds(value);
}

bool defined(const Value& value) { return !value.is_undefined(); }
bool undefined(const Value& value) { return value.is_undefined(); }
bool none(const Value& value) { return value.is_none(); }
bool boolean(const Value& value) { return value.is_boolean(); }
bool is_true(const Value& value) { return value.is_boolean() && value.boolean(); }
bool is_false(const Value& value) { return value.is_boolean() && !value.boolean(); }
bool integer(const Value& value) { return value.is_integer(); }
bool floating(const Value& value) { return value.is_float(); }
bool number(const Value& value) { return value.is_number(); }
bool string(const Value& value) { return value.is_text(); }
bool mapping(const Value& value) { return value.is_dict(); }
bool callable(const Value& value) { return value.as_function() != nullptr; }

bool sequence(const Value& value) {
  if (value.is_list()) return value.list().form != Value::ListForm::kGenerator;
  return value.is_text() || value.is_dict() || value.is_undefined();
}

bool iterable(const Value& value) {
  return value.is_list() || value.is_text() || value.is_dict() || value.is_undefined() ||
         value.as_loop() != nullptr;
}

bool upper(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound bound("upper", arguments, {});
  return consists_of(to_text(budget, value).bytes(), CharacterKind::kUpper);
}

bool lower(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound bound("lower", arguments, {});
  return consists_of(to_text(budget, value).bytes(), CharacterKind::kLower);
}

bool has_rest(Budget& budget, const Value& value, std::int64_t divisor, std::int64_t rest) {
  const Value modulo = arithmetic(budget, Arithmetic::kModulo, value, Value::integer(divisor));
  return equal(budget, modulo, Value::integer(rest));
}

bool odd(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound bound("odd", arguments, {});
  return has_rest(budget, value, 2, 1);
}

bool even(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound bound("even", arguments, {});
  return has_rest(budget, value, 2, 0);
}

bool divisible_by(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound bound("divisibleby", arguments, {"num"});
  const Value rest = arithmetic(budget, Arithmetic::kModulo, value, bound.required(0));
  return equal(budget, rest, Value::integer(0));
}

bool equal_to(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound bound("equalto", arguments, {"other"});
  return equal(budget, value, bound.required(0));
}

bool unequal_to(Budget& budget, const Value& value, const Arguments& arguments) {
  return !equal_to(budget, value, arguments);
}

bool less_than(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound bound("lessthan", arguments, {"other"});
  return less(budget, value, bound.required(0));
}

bool greater_than(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound bound("greaterthan", arguments, {"other"});
  return less(budget, bound.required(0), value);
}

bool at_most(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound bound("le", arguments, {"other"});
  return less_or_equal(budget, value, bound.required(0));
}

bool at_least(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound bound("ge", arguments, {"other"});
  return less_or_equal(budget, bound.required(0), value);
}

bool in(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound bound("in", arguments, {"seq"});
  return contains(budget, bound.required(0), value);
}

// Python's `is`, as far as it does not depend on how Python stores things.
bool same_as(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound bound("sameas", arguments, {"other"});
  return value.type_name() == bound.required(0).type_name() &&
         equal(budget, value, bound.required(0));
}

bool names_filter(Budget&, const Value& value, const Arguments& arguments) {
  const Bound bound("filter", arguments, {});
  return value.is_text() && find_filter(value.bytes()) != nullptr;
}

bool names_test(Budget&, const Value& value, const Arguments& arguments) {
  const Bound bound("test", arguments, {});
  return value.is_text() && find_test(value.bytes()) != nullptr;
}

struct Entry {
  std::string_view name;
  Test test;
};

constexpr Entry kTests[] = {
    {"boolean", of_value<boolean>},
    {"callable", of_value<callable>},
    {"defined", of_value<defined>},
    {"divisibleby", divisible_by},
    {"eq", equal_to},
    {"equalto", equal_to},
    {"==", equal_to},
    {"even", even},
    {"false", of_value<is_false>},
    {"filter", names_filter},
    {"float", of_value<floating>},
    {"ge", at_least},
    {">=", at_least},
    {"greaterthan", greater_than},
    {"gt", greater_than},
    {">", greater_than},
    {"in", in},
    {"integer", of_value<integer>},
    {"iterable", of_value<iterable>},
    {"le", at_most},
    {"<=", at_most},
    {"lessthan", less_than},
    {"lower", lower},
    {"lt", less_than},
    {"<", less_than},
    {"mapping", of_value<mapping>},
    {"ne", unequal_to},
    {"!=", unequal_to},
    {"none", of_value<none>},
    {"number", of_value<number>},
    {"odd", odd},
    {"sameas", same_as},
    {"sequence", of_value<sequence>},
    {"string", of_value<string>},
    {"test", names_test},
    {"true", of_value<is_true>},
    {"undefined", of_value<undefined>},
    {"upper", upper},
};

}  // namespace

Test find_test(std::string_view name) {
  for (const Entry& entry : kTests) {
    if (entry.name == name) return entry.test;
  }
  return nullptr;
}

}  // namespace r1::text::jinja
