#pragma once

#include "text/jinja/value.h"

namespace r1::text::jinja {

// a == b. Who wrote a text makes no difference.
bool equal(Budget& budget, const Value& a, const Value& b);

// a < b; false where a number is none. Throws Failure for values that have no order.
bool less(Budget& budget, const Value& a, const Value& b);

// a <= b, the same way.
bool less_or_equal(Budget& budget, const Value& a, const Value& b);

// element in container. Throws Failure for containers that are none.
bool contains(Budget& budget, const Value& container, const Value& element);

}  // namespace r1::text::jinja
