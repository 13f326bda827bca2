#pragma once

#include <memory>
#include <string>

#include "text/jinja/value.h"

namespace r1::text::jinja {

// bool(value).
bool truth(const Value& value);

// str(value): what {{ value }} prints. Text keeps its marks; anything else is the user's as a whole
// if any part of it is. Throws Failure for values without a text, such as namespaces.
MarkedText to_text(Budget& budget, const Value& value);

// What `for` walks over: items, keys, characters; nothing for undefined. Throws Failure for values
// that cannot be walked over. The items of a list are shared, not copied.
std::shared_ptr<const List> to_items(Budget& budget, const Value& value);

// len(value). Throws Failure for values without one.
std::size_t length(Budget& budget, const Value& value);

// Memory of a list with so many items, for Budget::make.
std::size_t list_bytes(std::size_t items);

// A list made of it, paid for.
Value make_list(Budget& budget, std::vector<Value> items,
                Value::ListForm form = Value::ListForm::kList);
// The text as a value, paid for.
Value make_text(Budget& budget, MarkedText text);

}  // namespace r1::text::jinja
