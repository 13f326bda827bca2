#include "text/jinja/compare.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/python_text.h"

namespace r1::text::jinja {
namespace {

bool equal_lists(Budget& budget, const List& a, const List& b) {
  const auto same = [&](const Value& x, const Value& y) { return equal(budget, x, y); };
  return a.form == b.form &&
         std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), same);
}

bool equal_dicts(Budget& budget, const Dict& a, const Dict& b) {
  if (a.entries().size() != b.entries().size()) return false;
  for (const auto& [key, value] : a.entries()) {
    budget.work(key.is_text() ? 1 : b.entries().size());
    const Value* other = b.find(key);
    if (other == nullptr || !equal(budget, value, *other)) return false;
  }
  return true;
}

bool less_lists(Budget& budget, const List& a, const List& b) {
  for (std::size_t i = 0; i < std::min(a.items.size(), b.items.size()); ++i) {
    if (!equal(budget, a.items[i], b.items[i])) return less(budget, a.items[i], b.items[i]);
  }
  return a.items.size() < b.items.size();
}

}  // namespace

bool equal(Budget& budget, const Value& a, const Value& b) {
  budget.work();
  if (a.is_whole() && b.is_whole()) return a.whole() == b.whole();
  if (a.is_number() && b.is_number()) return a.number() == b.number();
  if (a.is_text() && b.is_text()) {
    budget.read(std::min(a.text().size(), b.text().size()));
    return a.bytes() == b.bytes();
  }
  if (a.is_list() && b.is_list()) {
    return &a.list() == &b.list() || equal_lists(budget, a.list(), b.list());
  }
  if (a.is_dict() && b.is_dict()) {
    return &a.dict() == &b.dict() || equal_dicts(budget, a.dict(), b.dict());
  }
  if (a.as_namespace() != nullptr) return a.as_namespace() == b.as_namespace();
  if (a.as_loop() != nullptr) return a.as_loop() == b.as_loop();
  if (const Function* f = a.as_function()) {
    const Function* g = b.as_function();
    return g != nullptr && f->name == g->name && f->macro == g->macro &&
           f->call_block == g->call_block;
  }
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

bool less(Budget& budget, const Value& a, const Value& b) {
  budget.work();
  if (a.is_undefined()) a.fail_undefined();
  if (b.is_undefined()) b.fail_undefined();
  if (a.is_whole() && b.is_whole()) return a.whole() < b.whole();
  if (a.is_number() && b.is_number()) return a.number() < b.number();
  if (a.is_text() && b.is_text()) {  // UTF-8 orders as its code points do
    budget.read(std::min(a.text().size(), b.text().size()));
    return a.bytes() < b.bytes();
  }
  if (a.is_list() && b.is_list() && a.list().form == b.list().form) {
    return less_lists(budget, a.list(), b.list());
  }
  throw Failure(fmt::format("compares a {} with a {}", a.type_name(), b.type_name()));
}

bool less_or_equal(Budget& budget, const Value& a, const Value& b) {
  return less(budget, a, b) || equal(budget, a, b);
}

bool contains(Budget& budget, const Value& container, const Value& element) {
  budget.work();
  if (container.is_undefined()) return false;
  if (container.is_text()) {
    if (element.is_undefined()) element.fail_undefined();
    if (!element.is_text()) {
      throw Failure(fmt::format("looks for a {} in a string", element.type_name()));
    }
    budget.read(container.text().size());
    return find_part(container.bytes(), element.bytes()) != std::string::npos;
  }
  if (container.is_dict()) {
    if (!element.is_text()) budget.work(container.dict().entries().size());
    return container.dict().find(element) != nullptr;
  }
  if (!container.is_list()) {
    throw Failure(fmt::format("looks for something in a {}", container.type_name()));
  }
  const auto& items = container.list().items;
  return std::any_of(items.begin(), items.end(),
                     [&](const Value& item) { return equal(budget, item, element); });
}

}  // namespace r1::text::jinja
