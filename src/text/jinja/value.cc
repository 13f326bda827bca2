#include "text/jinja/value.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/convert.h"

namespace r1::text::jinja {
namespace {

constexpr std::size_t kIndexFrom = 8;  // entries; below, looking at each is faster

std::size_t depth_above(std::size_t depth) {
  if (depth >= kMaxValueDepth) {
    throw Failure(fmt::format("nests lists deeper than {} levels", kMaxValueDepth));
  }
  return depth + 1;
}

}  // namespace

Value Value::undefined(std::string what) {
  return Value(Held(Undefined{std::make_shared<const std::string>(std::move(what))}));
}

Value Value::text(MarkedText value) {
  return Value(Held(std::make_shared<const MarkedText>(std::move(value))));
}

Value Value::list(std::vector<Value> items, ListForm form) {
  std::size_t depth = 0;
  for (const Value& item : items) depth = std::max(depth, item.depth());
  return Value(Held(std::make_shared<const List>(
      List{.items = std::move(items), .form = form, .depth = depth_above(depth)})));
}

Value Value::dict(Dict dict) { return Value(Held(std::make_shared<const Dict>(std::move(dict)))); }

std::int64_t Value::whole() const {
  return is_boolean() ? (boolean() ? 1 : 0) : std::get<std::int64_t>(held_);
}

double Value::number() const {
  return is_float() ? std::get<double>(held_) : static_cast<double>(whole());
}

void Value::fail_undefined() const {
  const auto& what = std::get<Undefined>(held_).what;
  throw Failure(what == nullptr ? "an undefined value is used" : *what);
}

std::string_view Value::type_name() const {
  static constexpr std::string_view kNames[] = {"undefined", "None", "bool",    "int",
                                                "float",     "str",  "list",    "dict",
                                                "namespace", "loop", "function"};
  static_assert(std::variant_size_v<Held> == std::size(kNames));
  if (is_list() && list().form == ListForm::kTuple) return "tuple";
  if (is_list() && list().form == ListForm::kGenerator) return "generator";
  return kNames[held_.index()];
}

std::size_t Value::depth() const {
  return is_list() ? list().depth : is_dict() ? dict().depth() : 0;
}

void Dict::set(Value key, Value value) {
  if (!key.is_text() && !key.is_number() && !key.is_none()) {
    throw Failure(fmt::format("a {} cannot be a key", key.type_name()));
  }
  depth_ = std::max(depth_, depth_above(value.depth()));
  const std::size_t index = index_of(key);
  if (index < entries_.size()) {
    entries_[index].second = std::move(value);
    return;
  }
  entries_.emplace_back(std::move(key), std::move(value));
  if (entries_.size() < kIndexFrom) return;
  for (std::size_t i = entries_.size() == kIndexFrom ? 0 : index; i < entries_.size(); ++i) {
    if (entries_[i].first.is_text()) by_text_.emplace(entries_[i].first.bytes(), i);
  }
}

const Value* Dict::find(const Value& key) const {
  const std::size_t index = index_of(key);
  return index < entries_.size() ? &entries_[index].second : nullptr;
}

const Value* Dict::find(std::string_view key) const {
  const std::size_t index = index_of(key);
  return index < entries_.size() ? &entries_[index].second : nullptr;
}

std::size_t Dict::index_of(std::string_view key) const {
  if (entries_.size() >= kIndexFrom) {
    const auto found = by_text_.find(key);
    return found == by_text_.end() ? entries_.size() : found->second;
  }
  const auto same = [&](const Entry& entry) {
    return entry.first.is_text() && entry.first.bytes() == key;
  };
  return static_cast<std::size_t>(std::find_if(entries_.begin(), entries_.end(), same) -
                                  entries_.begin());
}

std::size_t Dict::index_of(const Value& key) const {
  if (key.is_text()) return index_of(std::string_view(key.bytes()));
  const auto same = [&](const Entry& entry) {
    if (key.is_number()) return entry.first.is_number() && entry.first.number() == key.number();
    return key.is_none() && entry.first.is_none();
  };
  return static_cast<std::size_t>(std::find_if(entries_.begin(), entries_.end(), same) -
                                  entries_.begin());
}

Bound::Bound(std::string_view function, const Arguments& arguments,
             std::initializer_list<std::string_view> names)
    : function_(function), names_(names), values_(names.size()) {
  if (arguments.positional.size() > names_.size()) {
    throw Failure(fmt::format("{}() takes at most {} arguments, not {}", function, names_.size(),
                              arguments.positional.size()));
  }
  for (std::size_t i = 0; i < arguments.positional.size(); ++i) {
    values_[i] = &arguments.positional[i];
  }
  for (const auto& [name, value] : arguments.named) {
    const auto place = std::find(names_.begin(), names_.end(), name) - names_.begin();
    if (place == static_cast<std::ptrdiff_t>(names_.size())) {
      throw Failure(fmt::format("{}() has no argument \"{}\"", function, name));
    }
    const Value*& slot = values_[static_cast<std::size_t>(place)];
    if (slot != nullptr) {
      throw Failure(fmt::format("{}() is given \"{}\" twice", function, name));
    }
    slot = &value;
  }
}

void Bound::fail(std::size_t index, std::string_view what) const {
  throw Failure(fmt::format("{}(): \"{}\" {}", function_, names_[index], what));
}

const Value& Bound::required(std::size_t index) const {
  if (values_[index] == nullptr) fail(index, "is missing");
  return *values_[index];
}

bool Bound::boolean(std::size_t index, bool if_absent) const {
  return values_[index] == nullptr ? if_absent : truth(*values_[index]);
}

std::int64_t Bound::integer(std::size_t index, std::int64_t if_absent) const {
  if (values_[index] == nullptr) return if_absent;
  if (!values_[index]->is_whole()) fail(index, "must be an integer");
  return values_[index]->whole();
}

const MarkedText& Bound::text(std::size_t index) const {
  const Value& value = required(index);
  if (value.is_undefined()) value.fail_undefined();
  if (!value.is_text()) fail(index, "must be a string");
  return value.text();
}

}  // namespace r1::text::jinja
