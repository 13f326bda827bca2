#include "text/jinja/text_operations.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/convert.h"

namespace r1::text::jinja {
namespace {

constexpr std::size_t kMaxStripSet = 256;  // bytes: each character is looked for in all of them

const Value& format_argument(std::string_view field, std::size_t& next,
                             const Arguments& arguments) {
  std::size_t index = arguments.positional.size();
  if (field.empty()) {
    index = next++;
  } else if (field.find_first_not_of("0123456789") == field.npos && field.size() < 9) {
    index = static_cast<std::size_t>(parse_integer(field, 10).value_or(0));
  } else {
    for (const auto& [name, value] : arguments.named) {
      if (name == field) return value;
    }
  }
  if (index < arguments.positional.size()) return arguments.positional[index];
  throw Failure(fmt::format("format() has no value for \"{{{}}}\"", field));
}

}  // namespace

Value strip_text(Budget& budget, const MarkedText& text, Side side, const MarkedText* set) {
  if (set != nullptr && set->size() > kMaxStripSet) {
    throw Failure("strips too many different characters");
  }
  const Span rest =
      set == nullptr ? strip(text.bytes(), side) : strip(text.bytes(), side, set->bytes());
  return make_text(budget, text.cut(rest));
}

std::vector<Span> split_at(Budget& budget, std::string_view text, std::string_view separator,
                           std::size_t max_splits, Side from) {
  if (separator.empty()) throw Failure("splits at an empty separator");
  budget.read(text.size());
  std::vector<Span> pieces;
  if (from == Side::kLeft) {
    std::size_t begin = 0;
    while (pieces.size() < max_splits) {
      const std::size_t at = find_part(text, separator, begin);
      if (at == text.npos) break;
      budget.make(sizeof(Span));
      pieces.push_back({begin, at});
      begin = at + separator.size();
    }
    pieces.push_back({begin, text.size()});
    return pieces;
  }
  // From the right: the separators do not overlap, and the last ones count. Reversed, that is the
  // same search.
  budget.make(text.size());
  const std::string reversed(text.rbegin(), text.rend());
  const std::string mirror(separator.rbegin(), separator.rend());
  for (const Span& piece : split_at(budget, reversed, mirror, max_splits, Side::kLeft)) {
    pieces.push_back({text.size() - piece.end, text.size() - piece.begin});
  }
  std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

Value replace_text(Budget& budget, const MarkedText& text, const MarkedText& old,
                   const MarkedText& by, std::int64_t count) {
  const std::string& bytes = text.bytes();
  budget.make(bytes.size());
  const std::size_t limit = count < 0 ? bytes.size() + 1 : static_cast<std::size_t>(count);
  MarkedText out;
  std::size_t done = 0;
  if (old.empty()) {  // before each character, and at the end
    budget.make(bytes.size(), sizeof(std::size_t));
    const auto offsets = character_offsets(bytes);
    for (std::size_t i = 0; i < std::min(limit, offsets.size()); ++i) {
      budget.make(by.size());
      out.append(text, {done, offsets[i]});
      out.append(by);
      done = offsets[i];
    }
  } else {
    for (std::size_t i = 0; i < limit; ++i) {
      const std::size_t at = find_part(bytes, old.bytes(), done);
      if (at == std::string::npos) break;
      budget.make(by.size());
      out.append(text, {done, at});
      out.append(by);
      done = at + old.size();
    }
  }
  out.append(text, {done, bytes.size()});
  return make_text(budget, std::move(out));
}

Value join_texts(Budget& budget, const std::vector<Value>& items, const MarkedText& separator) {
  MarkedText out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    budget.make(separator.size());
    if (i > 0) out.append(separator);
    out.append(to_text(budget, items[i]));
  }
  return make_text(budget, std::move(out));
}

MarkedText format_braces(Budget& budget, const MarkedText& format, const Arguments& arguments) {
  const std::string& bytes = format.bytes();
  budget.make(bytes.size());
  MarkedText out;
  std::size_t next = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t brace = std::min(bytes.find_first_of("{}", at), bytes.size());
    out.append(format, {at, brace});
    if (brace == bytes.size()) break;
    at = brace + 1;
    if (at < bytes.size() && bytes[at] == bytes[brace]) {  // "{{" or "}}"
      out.append(format, {brace, at});
      ++at;
      continue;
    }
    const std::size_t end = bytes.find('}', at);
    if (bytes[brace] == '}' || end == std::string::npos) {
      throw Failure("format() meets a single brace");
    }
    const std::string_view field = std::string_view(bytes).substr(at, end - at);
    if (field.find_first_of("{:!.[") != field.npos) {
      throw Failure(fmt::format("format() with \"{{{}}}\" is not supported", field));
    }
    out.append(to_text(budget, format_argument(field, next, arguments)));
    at = end + 1;
  }
  return out;
}

Value dict_items(Budget& budget, const Dict& dict, Value::ListForm form) {
  std::vector<Value> items;
  for (const auto& [key, value] : dict.entries()) {
    items.push_back(make_list(budget, {key, value}, Value::ListForm::kTuple));
  }
  return make_list(budget, std::move(items), form);
}

}  // namespace r1::text::jinja
