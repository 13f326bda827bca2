#pragma once

#include <ctime>
#include <optional>

#include "text/jinja/program.h"

namespace r1::text::jinja {

// Renders a program with the variables of `context`, a dict. `now` is what strftime_now tells, in
// local time; nothing: the time of the call. Throws Error naming the template and the line.
MarkedText evaluate(const Program& program, const Value& context, std::optional<std::time_t> now);

}  // namespace r1::text::jinja
