#include "text/jinja/methods.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <span>

#include "text/jinja/compare.h"
#include "text/jinja/convert.h"
#include "text/jinja/python_text.h"
#include "text/jinja/text_operations.h"

namespace r1::text::jinja {
namespace {

using Method = Value (*)(Budget& budget, const Value& subject, const Arguments& arguments);

struct Entry {
  std::string_view name;
  Method call;
};

// ---- str

template <Side side>
Value strip_method(Budget& budget, const Value& subject, const Arguments& arguments) {
  const Bound bound("strip", arguments, {"chars"});
  const bool plain = bound[0] == nullptr || bound[0]->is_none();
  return strip_text(budget, subject.text(), side, plain ? nullptr : &bound.text(0));
}

template <CharacterKind kind>
Value is_kind(Budget& budget, const Value& subject, const Arguments& arguments) {
  const Bound bound("is...", arguments, {});
  budget.read(subject.text().size());
  return Value::boolean(consists_of(subject.bytes(), kind));
}

template <std::string (*change)(std::string_view)>
Value change_case(Budget& budget, const Value& subject, const Arguments& arguments) {
  const Bound bound("a change of case", arguments, {});
  budget.make(subject.text().size(), 8);
  return make_text(budget, subject.text().remade(change(subject.bytes())));
}

bool begins(const Value& subject, std::string_view part) {
  return subject.bytes().starts_with(part);
}

bool ends(const Value& subject, std::string_view part) { return subject.bytes().ends_with(part); }

// startswith and endswith, with one part or a tuple of them.
template <bool (*holds)(const Value&, std::string_view)>
Value has_edge(Budget& budget, const Value& subject, const Arguments& arguments) {
  const Bound bound("startswith or endswith", arguments, {"part"});
  if (!bound.required(0).is_list()) {
    return Value::boolean(holds(subject, bound.text(0).bytes()));
  }
  for (const Value& part : bound.required(0).list().items) {
    budget.work();
    if (!part.is_text()) throw Failure("startswith() and endswith() need strings");
    if (holds(subject, part.bytes())) return Value::boolean(true);
  }
  return Value::boolean(false);
}

Value remove_prefix(Budget& budget, const Value& subject, const Arguments& arguments) {
  const Bound bound("removeprefix", arguments, {"prefix"});
  const std::string& prefix = bound.text(0).bytes();
  if (!begins(subject, prefix)) return subject;
  return make_text(budget, subject.text().cut({prefix.size(), subject.text().size()}));
}

Value remove_suffix(Budget& budget, const Value& subject, const Arguments& arguments) {
  const Bound bound("removesuffix", arguments, {"suffix"});
  const std::string& suffix = bound.text(0).bytes();
  if (!ends(subject, suffix)) return subject;
  return make_text(budget, subject.text().cut({0, subject.text().size() - suffix.size()}));
}

std::size_t split_limit(const Bound& bound) {
  const std::int64_t limit = bound.integer(1, -1);
  return limit < 0 ? std::numeric_limits<std::size_t>::max() : static_cast<std::size_t>(limit);
}

bool splits_at_space(const Bound& bound) { return bound[0] == nullptr || bound[0]->is_none(); }

Value pieces(Budget& budget, const MarkedText& text, const std::vector<Span>& spans) {
  std::vector<Value> items;
  for (const Span& span : spans) items.push_back(make_text(budget, text.cut(span)));
  return make_list(budget, std::move(items));
}

Value split(Budget& budget, const Value& subject, const Arguments& arguments) {
  const Bound bound("split", arguments, {"sep", "maxsplit"});
  const MarkedText& text = subject.text();
  if (splits_at_space(bound)) {
    budget.make(text.size(), sizeof(Span));
    return pieces(budget, text, split_words(text.bytes(), split_limit(bound)));
  }
  return pieces(
      budget, text,
      split_at(budget, text.bytes(), bound.text(0).bytes(), split_limit(bound), Side::kLeft));
}

Value rsplit(Budget& budget, const Value& subject, const Arguments& arguments) {
  const Bound bound("rsplit", arguments, {"sep", "maxsplit"});
  const MarkedText& text = subject.text();
  if (!splits_at_space(bound)) {
    return pieces(
        budget, text,
        split_at(budget, text.bytes(), bound.text(0).bytes(), split_limit(bound), Side::kRight));
  }
  budget.make(text.size(), sizeof(Span));
  if (bound[1] != nullptr) throw Failure("rsplit() with a limit needs a separator");
  return pieces(budget, text, split_words(text.bytes(), split_limit(bound)));
}

// partition and rpartition: the text before the separator, the separator, the text after it.
template <Side side>
Value partition(Budget& budget, const Value& subject, const Arguments& arguments) {
  const Bound bound("partition", arguments, {"sep"});
  const MarkedText& text = subject.text();
  const std::vector<Span> spans = split_at(budget, text.bytes(), bound.text(0).bytes(), 1, side);
  std::vector<Value> items(3, Value::text(""));
  if (spans.size() == 2) {
    items[0] = make_text(budget, text.cut(spans[0]));
    items[1] = make_text(budget, text.cut({spans[0].end, spans[1].begin}));
    items[2] = make_text(budget, text.cut(spans[1]));
  } else {
    items[side == Side::kLeft ? 0 : 2] = subject;
  }
  return make_list(budget, std::move(items), Value::ListForm::kTuple);
}

Value splitlines(Budget& budget, const Value& subject, const Arguments& arguments) {
  const Bound bound("splitlines", arguments, {"keepends"});
  const MarkedText& text = subject.text();
  budget.make(text.size(), sizeof(Span));
  std::vector<Span> lines = split_lines(text.bytes());
  if (bound.boolean(0, false)) {
    for (std::size_t i = 0; i < lines.size(); ++i) {
      lines[i].end = i + 1 < lines.size() ? lines[i + 1].begin : text.size();
    }
  }
  return pieces(budget, text, lines);
}

Value replace(Budget& budget, const Value& subject, const Arguments& arguments) {
  const Bound bound("replace", arguments, {"old", "new", "count"});
  return replace_text(budget, subject.text(), bound.text(0), bound.text(1), bound.integer(2, -1));
}

Value join(Budget& budget, const Value& subject, const Arguments& arguments) {
  const Bound bound("join", arguments, {"iterable"});
  const auto items = to_items(budget, bound.required(0));
  for (const Value& item : items->items) {
    if (!item.is_text()) throw Failure(fmt::format("join() meets a {}", item.type_name()));
  }
  return join_texts(budget, items->items, subject.text());
}

// The character index of the part, or -1.
std::int64_t find_index(Budget& budget, const Value& subject, std::string_view part, bool last) {
  const std::string& text = subject.bytes();
  // The search from the right is quadratic in the worst case.
  budget.work(1 + text.size() / 64 * (last ? 1 + part.size() / 64 : 1));
  const std::size_t at = last ? std::string_view(text).rfind(part) : find_part(text, part);
  if (at == text.npos) return -1;
  return static_cast<std::int64_t>(count_characters(std::string_view(text).substr(0, at)));
}

template <bool last>
Value find(Budget& budget, const Value& subject, const Arguments& arguments) {
  const Bound bound("find", arguments, {"sub"});
  return Value::integer(find_index(budget, subject, bound.text(0).bytes(), last));
}

Value count_in_text(Budget& budget, const Value& subject, const Arguments& arguments) {
  const Bound bound("count", arguments, {"sub"});
  const std::string& part = bound.text(0).bytes();
  budget.read(subject.text().size());
  if (part.empty()) {
    return Value::integer(static_cast<std::int64_t>(count_characters(subject.bytes()) + 1));
  }
  std::int64_t count = 0;
  for (std::size_t at = 0; (at = find_part(subject.bytes(), part, at)) != std::string::npos;) {
    ++count;
    at += part.size();
  }
  return Value::integer(count);
}

Value index_in_text(Budget& budget, const Value& subject, const Arguments& arguments) {
  const Bound bound("index", arguments, {"sub"});
  const std::int64_t index = find_index(budget, subject, bound.text(0).bytes(), false);
  if (index < 0) throw Failure("index() does not find the string");
  return Value::integer(index);
}

Value format(Budget& budget, const Value& subject, const Arguments& arguments) {
  return make_text(budget, format_braces(budget, subject.text(), arguments));
}

constexpr Entry kTextMethods[] = {
    {"capitalize", change_case<capitalize>},
    {"count", count_in_text},
    {"endswith", has_edge<ends>},
    {"find", find<false>},
    {"format", format},
    {"index", index_in_text},
    {"isalnum", is_kind<CharacterKind::kLetterOrDigit>},
    {"isalpha", is_kind<CharacterKind::kLetter>},
    {"isdigit", is_kind<CharacterKind::kDigit>},
    {"islower", is_kind<CharacterKind::kLower>},
    {"isspace", is_kind<CharacterKind::kSpace>},
    {"isupper", is_kind<CharacterKind::kUpper>},
    {"join", join},
    {"lower", change_case<to_lower>},
    {"lstrip", strip_method<Side::kLeft>},
    {"partition", partition<Side::kLeft>},
    {"removeprefix", remove_prefix},
    {"removesuffix", remove_suffix},
    {"replace", replace},
    {"rfind", find<true>},
    {"rpartition", partition<Side::kRight>},
    {"rsplit", rsplit},
    {"rstrip", strip_method<Side::kRight>},
    {"split", split},
    {"splitlines", splitlines},
    {"startswith", has_edge<begins>},
    {"strip", strip_method<Side::kBoth>},
    {"title", change_case<title_case>},
    {"upper", change_case<to_upper>},
};

// ---- dict

Value get(Budget& budget, const Value& subject, const Arguments& arguments) {
  const Bound bound("get", arguments, {"key", "default"});
  const Value& key = bound.required(0);
  if (!key.is_text()) budget.work(subject.dict().entries().size());
  if (const Value* found = subject.dict().find(key)) return *found;
  return bound[1] == nullptr ? Value::none() : *bound[1];
}

Value items(Budget& budget, const Value& subject, const Arguments& arguments) {
  const Bound bound("items", arguments, {});
  return dict_items(budget, subject.dict(), Value::ListForm::kList);
}

Value keys(Budget& budget, const Value& subject, const Arguments& arguments) {
  const Bound bound("keys", arguments, {});
  std::vector<Value> all;
  for (const auto& [key, value] : subject.dict().entries()) all.push_back(key);
  return make_list(budget, std::move(all));
}

Value values(Budget& budget, const Value& subject, const Arguments& arguments) {
  const Bound bound("values", arguments, {});
  std::vector<Value> all;
  for (const auto& [key, value] : subject.dict().entries()) all.push_back(value);
  return make_list(budget, std::move(all));
}

Value copy(Budget&, const Value& subject, const Arguments& arguments) {
  const Bound bound("copy", arguments, {});
  return subject;  // nothing can change it
}

constexpr Entry kDictMethods[] = {
    {"copy", copy}, {"get", get}, {"items", items}, {"keys", keys}, {"values", values},
};

// ---- list

Value count_in_list(Budget& budget, const Value& subject, const Arguments& arguments) {
  const Bound bound("count", arguments, {"value"});
  const auto& all = subject.list().items;
  return Value::integer(std::count_if(all.begin(), all.end(), [&](const Value& item) {
    return equal(budget, item, bound.required(0));
  }));
}

Value index_in_list(Budget& budget, const Value& subject, const Arguments& arguments) {
  const Bound bound("index", arguments, {"value"});
  const auto& all = subject.list().items;
  const auto found = std::find_if(all.begin(), all.end(), [&](const Value& item) {
    return equal(budget, item, bound.required(0));
  });
  if (found == all.end()) throw Failure("index() does not find the value");
  return Value::integer(found - all.begin());
}

constexpr Entry kListMethods[] = {
    {"copy", copy}, {"count", count_in_list}, {"index", index_in_list}};

// ---- loop

Value cycle(Budget&, const Value& subject, const Arguments& arguments) {
  if (arguments.positional.empty()) throw Failure("cycle() needs values");
  return arguments.positional[subject.as_loop()->index % arguments.positional.size()];
}

constexpr Entry kLoopMethods[] = {{"cycle", cycle}};

std::span<const Entry> methods_of(const Value& subject) {
  if (subject.is_text()) return kTextMethods;
  if (subject.is_dict()) return kDictMethods;
  if (subject.is_list() && subject.list().form != Value::ListForm::kGenerator) return kListMethods;
  if (subject.as_loop() != nullptr) return kLoopMethods;
  return {};
}

const Entry* find_entry(std::span<const Entry> entries, std::string_view name) {
  for (const Entry& entry : entries) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

}  // namespace

bool is_method(std::string_view name) {
  return find_entry(kTextMethods, name) != nullptr || find_entry(kDictMethods, name) != nullptr ||
         find_entry(kListMethods, name) != nullptr || find_entry(kLoopMethods, name) != nullptr;
}

std::optional<std::string_view> find_method(const Value& subject, std::string_view name) {
  const Entry* entry = find_entry(methods_of(subject), name);
  if (entry == nullptr) return {};
  return entry->name;
}

Value call_method(Budget& budget, const Value& subject, std::string_view name,
                  const Arguments& arguments) {
  budget.work();
  if (subject.is_undefined()) subject.fail_undefined();
  const Entry* entry = find_entry(methods_of(subject), name);
  if (entry == nullptr) {
    throw Failure(fmt::format("a {} has no method {}()", subject.type_name(), name));
  }
  return entry->call(budget, subject, arguments);
}

}  // namespace r1::text::jinja
