#pragma once

#include <string_view>

#include "text/jinja/program.h"

namespace r1::text::jinja {

// Reads a template. Throws Error naming `where`, the line and the construct for anything that is
// not Jinja or not supported: what the parser accepts, the evaluator knows.
Program parse_program(std::string_view source, std::string_view where);

}  // namespace r1::text::jinja
