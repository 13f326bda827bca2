#pragma once

#include <optional>
#include <string_view>

#include "text/jinja/value.h"

namespace r1::text::jinja {

// Whether any type has a method of that name that templates may call. Those that would change a
// value are not among them, as in Jinja's sandbox.
bool is_method(std::string_view name);

// The name, as long-lived as the program, if values like `subject` have that method.
std::optional<std::string_view> find_method(const Value& subject, std::string_view name);

// subject.name(arguments). Throws Failure if there is no such method or the arguments do not fit.
Value call_method(Budget& budget, const Value& subject, std::string_view name,
                  const Arguments& arguments);

}  // namespace r1::text::jinja
