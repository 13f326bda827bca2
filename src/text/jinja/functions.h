#pragma once

#include <ctime>
#include <optional>
#include <string_view>

#include "text/jinja/value.h"

namespace r1::text::jinja {

// The names of functions that are there without being defined.
bool is_global_function(std::string_view name);

// Calls one of them, except for namespace(), whose result belongs to the Evaluator. `now`: see
// evaluate().
Value call_function(Budget& budget, std::string_view name, const Arguments& arguments,
                    std::optional<std::time_t> now);

}  // namespace r1::text::jinja
