#pragma once

#include <string_view>

#include "text/jinja/value.h"

namespace r1::text::jinja {

// subject.name: undefined if there is no such thing; throws Failure if the subject is undefined.
// Like Jinja, methods hide keys of that name: write subject['items'] for the key.
Value attribute(const Value& subject, std::string_view name);

// subject[key], the same way; keys come first here.
Value subscript(Budget& budget, const Value& subject, const Value& key);

// subject[begin:end:step]; null for parts left out. Undefined for what has no order.
Value slice(Budget& budget, const Value& subject, const Value* begin, const Value* end,
            const Value* step);

// The value below `path`, names and indices joined with dots, as map(attribute=...) wants it.
Value follow_path(Budget& budget, const Value& subject, const Value& path);

}  // namespace r1::text::jinja
