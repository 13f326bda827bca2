#pragma once

#include <string_view>

#include "text/jinja/value.h"

namespace r1::text::jinja {

// What stands behind `is`.
using Test = bool (*)(Budget& budget, const Value& value, const Arguments& arguments);

// Null if there is no test of that name.
Test find_test(std::string_view name);

}  // namespace r1::text::jinja
