#pragma once

#include "text/jinja/value.h"

namespace r1::text::jinja {

enum class Arithmetic { kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower };

// a op b as in Python: integers stay exact, + joins text and lists, * repeats them, % formats text.
// Throws Failure for operands that do not fit, division by zero, and integers above 64 bits.
Value arithmetic(Budget& budget, Arithmetic op, const Value& a, const Value& b);

// -a and +a.
Value negate(const Value& a);
Value plus(const Value& a);

// format % values, the values being a tuple or one alone.
MarkedText format_percent(Budget& budget, const MarkedText& format,
                          const std::vector<Value>& values);

}  // namespace r1::text::jinja
