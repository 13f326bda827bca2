#pragma once

#include <string_view>

#include "text/jinja/value.h"

namespace r1::text::jinja {

// What stands behind `|`.
using Filter = Value (*)(Budget& budget, const Value& input, const Arguments& arguments);

// Null if there is no filter of that name.
Filter find_filter(std::string_view name);

}  // namespace r1::text::jinja
