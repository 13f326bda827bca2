#include "text/jinja/list_filters.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/access.h"
#include "text/jinja/arithmetic.h"
#include "text/jinja/compare.h"
#include "text/jinja/convert.h"
#include "text/jinja/filters.h"
#include "text/jinja/text_operations.h"
#include "text/jinja/value_tests.h"

namespace r1::text::jinja {
namespace {

// The items that map and select see: of a false value, such as none, there are none.
std::shared_ptr<const List> items_if_true(Budget& budget, const Value& value) {
  return to_items(budget, truth(value) ? value : Value());
}

constexpr Value::ListForm kGenerator = Value::ListForm::kGenerator;

// What to compare by: the value below `path` if there is one, in lower case unless the case counts.
Value sort_key(Budget& budget, const Value& item, const Value* path, bool case_sensitive) {
  Value key = path == nullptr || path->is_none() ? item : follow_path(budget, item, *path);
  if (case_sensitive || !key.is_text()) return key;
  budget.make(key.text().size(), 8);
  return make_text(budget, key.text().remade(to_lower(key.bytes())));
}

struct Keyed {
  Value key, item;
};

std::vector<Keyed> with_keys(Budget& budget, const std::vector<Value>& items, const Value* path,
                             bool case_sensitive) {
  budget.make(items.size(), sizeof(Keyed));
  std::vector<Keyed> keyed;
  for (const Value& item : items) {
    keyed.push_back({sort_key(budget, item, path, case_sensitive), item});
  }
  return keyed;
}

// Equal ones keep their order, also when it is reversed.
Value sorted(Budget& budget, std::vector<Keyed> keyed, bool reverse) {
  std::stable_sort(keyed.begin(), keyed.end(), [&](const Keyed& a, const Keyed& b) {
    return reverse ? less(budget, b.key, a.key) : less(budget, a.key, b.key);
  });
  std::vector<Value> items;
  for (Keyed& entry : keyed) items.push_back(std::move(entry.item));
  return make_list(budget, std::move(items));
}

// The smallest or largest item; undefined if there is none.
Value extreme(Budget& budget, const Value& input, const Bound& bound, bool largest) {
  const auto items = to_items(budget, input);
  const std::vector<Keyed> keyed =
      with_keys(budget, items->items, bound[1], bound.boolean(0, false));
  if (keyed.empty()) return Value::undefined("an empty sequence has no extreme");
  const Keyed* best = &keyed[0];
  for (const Keyed& entry : keyed) {
    if (largest ? less(budget, best->key, entry.key) : less(budget, entry.key, best->key)) {
      best = &entry;
    }
  }
  return best->item;
}

// The items that pass (`keep`) or fail a test: arguments[skip] names it and the rest are its own;
// without a name it is the truth. `path` leads from the item to what is tested.
Value filtered(Budget& budget, const Value& input, const Arguments& arguments, std::size_t skip,
               const Value* path, bool keep) {
  Test test = nullptr;
  Arguments rest;
  if (arguments.positional.size() > skip) {
    const Value& name = arguments.positional[skip];
    test = name.is_text() ? find_test(name.bytes()) : nullptr;
    if (test == nullptr) throw Failure("filters by a test that is not supported");
    rest.positional.assign(arguments.positional.begin() + static_cast<std::ptrdiff_t>(skip + 1),
                           arguments.positional.end());
    rest.named = arguments.named;
  }
  std::vector<Value> chosen;
  const auto items = items_if_true(budget, input);
  for (const Value& item : items->items) {
    budget.work();
    const Value subject = path == nullptr ? item : follow_path(budget, item, *path);
    if ((test == nullptr ? truth(subject) : test(budget, subject, rest)) == keep) {
      chosen.push_back(item);
    }
  }
  return make_list(budget, std::move(chosen), kGenerator);
}

Value filtered_by_attribute(Budget& budget, const Value& input, const Arguments& arguments,
                            bool keep) {
  if (arguments.positional.empty()) throw Failure("filters by an attribute without a name");
  return filtered(budget, input, arguments, 1, &arguments.positional[0], keep);
}

Value map_attribute(Budget& budget, const Value& input, const Arguments& arguments) {
  const Bound bound("map", arguments, {"attribute", "default"});
  std::vector<Value> mapped;
  const auto items = items_if_true(budget, input);
  for (const Value& item : items->items) {
    Value value = follow_path(budget, item, bound.required(0));
    if (value.is_undefined() && bound[1] != nullptr) value = *bound[1];
    mapped.push_back(std::move(value));
  }
  return make_list(budget, std::move(mapped), kGenerator);
}

}  // namespace

Value filter_dictsort(Budget& budget, const Value& input, const Arguments& arguments) {
  const Bound bound("dictsort", arguments, {"case_sensitive", "by", "reverse"});
  if (input.is_undefined()) input.fail_undefined();
  if (!input.is_dict()) throw Failure(fmt::format("sorts a {} as a dict", input.type_name()));
  const std::string by = bound[1] == nullptr ? "key" : bound.text(1).bytes();
  if (by != "key" && by != "value") throw Failure("dictsort(): \"by\" must be key or value");
  const Value items = dict_items(budget, input.dict(), Value::ListForm::kList);
  const Value place = Value::integer(by == "key" ? 0 : 1);
  return sorted(budget, with_keys(budget, items.list().items, &place, bound.boolean(0, false)),
                bound.boolean(2, false));
}

Value filter_first(Budget& budget, const Value& input, const Arguments& arguments) {
  const Bound bound("first", arguments, {});
  const auto items = to_items(budget, input);
  if (items->items.empty()) return Value::undefined("an empty sequence has no first item");
  return items->items.front();
}

Value filter_last(Budget& budget, const Value& input, const Arguments& arguments) {
  const Bound bound("last", arguments, {});
  const auto items = to_items(budget, input);
  if (items->items.empty()) return Value::undefined("an empty sequence has no last item");
  return items->items.back();
}

Value filter_items(Budget& budget, const Value& input, const Arguments& arguments) {
  const Bound bound("items", arguments, {});
  if (input.is_undefined()) return make_list(budget, {}, kGenerator);
  if (!input.is_dict()) throw Failure(fmt::format("takes the items of a {}", input.type_name()));
  return dict_items(budget, input.dict(), kGenerator);
}

Value filter_join(Budget& budget, const Value& input, const Arguments& arguments) {
  const Bound bound("join", arguments, {"d", "attribute"});
  auto items = to_items(budget, input);
  std::vector<Value> attributes;
  if (bound[1] != nullptr && !bound[1]->is_none()) {
    for (const Value& item : items->items) {
      attributes.push_back(follow_path(budget, item, *bound[1]));
    }
    items = make_list(budget, std::move(attributes)).shared_list();
  }
  return join_texts(budget, items->items,
                    bound[0] == nullptr ? MarkedText() : to_text(budget, *bound[0]));
}

Value filter_list(Budget& budget, const Value& input, const Arguments& arguments) {
  const Bound bound("list", arguments, {});
  return make_list(budget, to_items(budget, input)->items);
}

Value filter_map(Budget& budget, const Value& input, const Arguments& arguments) {
  if (arguments.positional.empty()) return map_attribute(budget, input, arguments);
  const DepthGuard guard(budget.depth(), kMaxDepth);  // map('map', 'map', ...)
  const Value& name = arguments.positional[0];
  const Filter filter = name.is_text() ? find_filter(name.bytes()) : nullptr;
  if (filter == nullptr) throw Failure("maps with a filter that is not supported");
  Arguments rest;
  rest.positional.assign(arguments.positional.begin() + 1, arguments.positional.end());
  rest.named = arguments.named;
  std::vector<Value> mapped;
  const auto items = items_if_true(budget, input);
  for (const Value& item : items->items) {
    budget.work();
    mapped.push_back(filter(budget, item, rest));
  }
  return make_list(budget, std::move(mapped), kGenerator);
}

Value filter_max(Budget& budget, const Value& input, const Arguments& arguments) {
  return extreme(budget, input, Bound("max", arguments, {"case_sensitive", "attribute"}), true);
}

Value filter_min(Budget& budget, const Value& input, const Arguments& arguments) {
  return extreme(budget, input, Bound("min", arguments, {"case_sensitive", "attribute"}), false);
}

Value filter_select(Budget& budget, const Value& input, const Arguments& arguments) {
  return filtered(budget, input, arguments, 0, nullptr, true);
}

Value filter_reject(Budget& budget, const Value& input, const Arguments& arguments) {
  return filtered(budget, input, arguments, 0, nullptr, false);
}

Value filter_selectattr(Budget& budget, const Value& input, const Arguments& arguments) {
  return filtered_by_attribute(budget, input, arguments, true);
}

Value filter_rejectattr(Budget& budget, const Value& input, const Arguments& arguments) {
  return filtered_by_attribute(budget, input, arguments, false);
}

Value filter_reverse(Budget& budget, const Value& input, const Arguments& arguments) {
  const Bound bound("reverse", arguments, {});
  if (input.is_text()) {
    const Value back = Value::integer(-1);
    return slice(budget, input, nullptr, nullptr, &back);
  }
  const auto list = to_items(budget, input);
  return make_list(budget, std::vector<Value>(list->items.rbegin(), list->items.rend()),
                   kGenerator);
}

Value filter_sort(Budget& budget, const Value& input, const Arguments& arguments) {
  const Bound bound("sort", arguments, {"reverse", "case_sensitive", "attribute"});
  return sorted(
      budget, with_keys(budget, to_items(budget, input)->items, bound[2], bound.boolean(1, false)),
      bound.boolean(0, false));
}

Value filter_sum(Budget& budget, const Value& input, const Arguments& arguments) {
  const Bound bound("sum", arguments, {"attribute", "start"});
  Value total = bound[1] == nullptr ? Value::integer(0) : *bound[1];
  const auto items = to_items(budget, input);
  for (const Value& item : items->items) {
    const bool whole_item = bound[0] == nullptr || bound[0]->is_none();
    total = arithmetic(budget, Arithmetic::kAdd, total,
                       whole_item ? item : follow_path(budget, item, *bound[0]));
  }
  return total;
}

Value filter_unique(Budget& budget, const Value& input, const Arguments& arguments) {
  const Bound bound("unique", arguments, {"case_sensitive", "attribute"});
  const auto items = to_items(budget, input);
  std::vector<Keyed> kept;
  for (Keyed& entry : with_keys(budget, items->items, bound[1], bound.boolean(0, false))) {
    const auto same = [&](const Keyed& other) { return equal(budget, entry.key, other.key); };
    if (std::none_of(kept.begin(), kept.end(), same)) kept.push_back(std::move(entry));
  }
  std::vector<Value> unique;
  for (Keyed& entry : kept) unique.push_back(std::move(entry.item));
  return make_list(budget, std::move(unique), kGenerator);
}

}  // namespace r1::text::jinja
