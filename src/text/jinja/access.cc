#include "text/jinja/access.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "text/jinja/convert.h"
#include "text/jinja/methods.h"
#include "text/jinja/python_text.h"

namespace r1::text::jinja {
namespace {

Value no_such(const Value& subject, std::string_view name) {
  const std::string object = subject.is_none() ? "None" : fmt::format("a {}", subject.type_name());
  return Value::undefined(fmt::format("{} has no \"{}\"", object, name));
}

Value loop_attribute(const Loop& loop, std::string_view name, const Value& subject) {
  if (loop.items == nullptr) return no_such(subject, name);
  const auto& items = loop.items->items;
  const auto number = [](std::size_t n) { return Value::integer(static_cast<std::int64_t>(n)); };
  if (name == "index") return number(loop.index + 1);
  if (name == "index0") return number(loop.index);
  if (name == "revindex") return number(items.size() - loop.index);
  if (name == "revindex0") return number(items.size() - loop.index - 1);
  if (name == "length") return number(items.size());
  if (name == "depth") return number(1);  // counts recursive loops only, which there are not
  if (name == "depth0") return number(0);
  if (name == "first") return Value::boolean(loop.index == 0);
  if (name == "last") return Value::boolean(loop.index + 1 == items.size());
  if (name == "previtem" && loop.index > 0) return items[loop.index - 1];
  if (name == "nextitem" && loop.index + 1 < items.size()) return items[loop.index + 1];
  return no_such(subject, name);
}

// The method of that name, or what a namespace or loop has under it.
Value other_attribute(const Value& subject, std::string_view name) {
  if (const Namespace* space = subject.as_namespace()) {
    const auto found = space->attributes.find(name);
    return found == space->attributes.end() ? no_such(subject, name) : found->second;
  }
  if (const Loop* loop = subject.as_loop()) return loop_attribute(*loop, name, subject);
  const std::optional<std::string_view> method = find_method(subject, name);
  return method ? Value::of(Function{.name = *method}) : no_such(subject, name);
}

// Python's rule for a sequence of `size`: negative ones count from the end.
std::optional<std::size_t> position(std::int64_t index, std::size_t size) {
  const auto count = static_cast<std::int64_t>(size);
  if (index < 0) index += count;
  if (index < 0 || index >= count) return {};
  return static_cast<std::size_t>(index);
}

std::optional<std::int64_t> slice_bound(const Value* value) {
  if (value == nullptr || value->is_none()) return {};
  if (value->is_undefined()) value->fail_undefined();
  if (!value->is_whole()) {
    throw Failure(fmt::format("slices with a {}", value->type_name()));
  }
  return value->whole();
}

// Positions first, first + step, ... before last.
struct Stride {
  std::int64_t first = 0, last = 0, step = 1;

  template <typename Visit>
  void for_each(Visit visit) const {
    for (std::int64_t at = first; step > 0 ? at < last : at > last; at += step) {
      visit(static_cast<std::size_t>(at));
    }
  }
};

// What [begin:end:step] means for a sequence of `size`.
Stride stride_of(std::size_t size, const Value* begin, const Value* end, const Value* step) {
  const auto count = static_cast<std::int64_t>(size);
  const std::int64_t stride = slice_bound(step).value_or(1);
  if (stride == 0) throw Failure("slices with step 0");
  const std::int64_t lowest = stride > 0 ? 0 : -1;  // -1: before the first
  const std::int64_t highest = stride > 0 ? count : count - 1;
  const auto clamp = [&](std::int64_t at) {
    return std::clamp(at < 0 ? at + count : at, lowest, highest);
  };
  const std::optional<std::int64_t> from = slice_bound(begin);
  const std::optional<std::int64_t> to = slice_bound(end);
  return {.first = from ? clamp(*from) : (stride > 0 ? lowest : highest),
          .last = to ? clamp(*to) : (stride > 0 ? highest : lowest),
          .step = std::clamp(stride, -count - 1, count + 1)};
}

Value slice_list(Budget& budget, const List& list, const Stride& stride) {
  std::vector<Value> chosen;
  stride.for_each([&](std::size_t at) {
    budget.make(sizeof(Value));
    chosen.push_back(list.items[at]);
  });
  return Value::list(std::move(chosen), list.form);
}

Value slice_text(Budget& budget, const MarkedText& text, const Stride& stride) {
  const std::string& bytes = text.bytes();
  if (stride.step == 1) {
    const std::size_t begin = character_offset(bytes, static_cast<std::size_t>(stride.first));
    const std::size_t end = character_offset(bytes, static_cast<std::size_t>(stride.last));
    return make_text(budget, text.cut({begin, std::max(begin, end)}));
  }
  budget.make(bytes.size(), sizeof(std::size_t));
  const std::vector<std::size_t> offsets = character_offsets(bytes);
  MarkedText out;
  stride.for_each([&](std::size_t at) { out.append(text, {offsets[at], offsets[at + 1]}); });
  return make_text(budget, std::move(out));
}

// The character at an index; nothing if there are fewer.
std::optional<Span> character_at(const std::string& text, std::int64_t index) {
  const auto at = position(index, count_characters(text));
  if (!at) return {};
  const std::size_t begin = character_offset(text, *at);
  return Span{begin, begin + character_offset(std::string_view(text).substr(begin), 1)};
}

}  // namespace

Value attribute(const Value& subject, std::string_view name) {
  if (subject.is_undefined()) subject.fail_undefined();
  if (subject.is_dict() && !find_method(subject, name)) {
    const Value* found = subject.dict().find(name);
    return found == nullptr ? no_such(subject, name) : *found;
  }
  return other_attribute(subject, name);
}

Value subscript(Budget& budget, const Value& subject, const Value& key) {
  budget.work();
  if (subject.is_undefined()) subject.fail_undefined();
  if (subject.is_dict()) {
    if (!key.is_text()) budget.work(subject.dict().entries().size());
    if (const Value* found = subject.dict().find(key)) return *found;
  } else if (key.is_whole() && subject.is_list() &&
             subject.list().form != Value::ListForm::kGenerator) {
    const auto& items = subject.list().items;
    if (const auto at = position(key.whole(), items.size())) return items[*at];
  } else if (key.is_whole() && subject.is_text()) {
    budget.read(subject.text().size());
    if (const auto span = character_at(subject.bytes(), key.whole())) {
      return make_text(budget, subject.text().cut(*span));
    }
  }
  if (key.is_text()) return other_attribute(subject, key.bytes());
  if (key.is_number()) return no_such(subject, to_text(budget, key).bytes());
  return no_such(subject, key.type_name());
}

Value slice(Budget& budget, const Value& subject, const Value* begin, const Value* end,
            const Value* step) {
  if (subject.is_undefined()) subject.fail_undefined();
  const bool list = subject.is_list() && subject.list().form != Value::ListForm::kGenerator;
  if (!subject.is_text() && !list) {
    return no_such(subject, "slice");
  }
  budget.read(subject.is_text() ? subject.text().size() : 0);
  if (list) {
    const List& items = subject.list();
    return slice_list(budget, items, stride_of(items.items.size(), begin, end, step));
  }
  const std::size_t size = count_characters(subject.bytes());
  return slice_text(budget, subject.text(), stride_of(size, begin, end, step));
}

Value follow_path(Budget& budget, const Value& subject, const Value& path) {
  if (!path.is_text()) return subscript(budget, subject, path);
  Value value = subject;
  std::string_view rest = path.bytes();
  while (true) {
    const std::size_t dot = std::min(rest.find('.'), rest.size());
    const std::string_view name = rest.substr(0, dot);
    const bool index = !name.empty() && name.find_first_not_of("0123456789") == name.npos;
    const Value key = index ? Value::integer(parse_integer(name, 10).value_or(0))
                            : Value::text(MarkedText(std::string(name)));
    value = subscript(budget, value, key);
    if (dot == rest.size()) return value;
    rest.remove_prefix(dot + 1);
  }
}

}  // namespace r1::text::jinja
