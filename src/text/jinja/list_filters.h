#pragma once

#include "text/jinja/value.h"

namespace r1::text::jinja {

// The filters over lists; their arguments are those of Jinja's documentation. Where Jinja makes a
// generator, so do these: it is true even if empty, and has no length.
Value filter_dictsort(Budget& budget, const Value& input, const Arguments& arguments);
Value filter_first(Budget& budget, const Value& input, const Arguments& arguments);
Value filter_items(Budget& budget, const Value& input, const Arguments& arguments);
Value filter_join(Budget& budget, const Value& input, const Arguments& arguments);
Value filter_last(Budget& budget, const Value& input, const Arguments& arguments);
Value filter_list(Budget& budget, const Value& input, const Arguments& arguments);
Value filter_map(Budget& budget, const Value& input, const Arguments& arguments);
Value filter_max(Budget& budget, const Value& input, const Arguments& arguments);
Value filter_min(Budget& budget, const Value& input, const Arguments& arguments);
Value filter_reject(Budget& budget, const Value& input, const Arguments& arguments);
Value filter_rejectattr(Budget& budget, const Value& input, const Arguments& arguments);
Value filter_reverse(Budget& budget, const Value& input, const Arguments& arguments);
Value filter_select(Budget& budget, const Value& input, const Arguments& arguments);
Value filter_selectattr(Budget& budget, const Value& input, const Arguments& arguments);
Value filter_sort(Budget& budget, const Value& input, const Arguments& arguments);
Value filter_sum(Budget& budget, const Value& input, const Arguments& arguments);
Value filter_unique(Budget& budget, const Value& input, const Arguments& arguments);

}  // namespace r1::text::jinja
