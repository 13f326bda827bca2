#include "text/jinja/convert.h"

#include <fmt/format.h>

#include "text/jinja/python_text.h"

namespace r1::text::jinja {
namespace {

constexpr std::size_t kTextOverhead = 96;  // bytes of a Value and the MarkedText it points to

// Writes repr(value) and notes whether a user had a part in it.
class ReprWriter {
 public:
  explicit ReprWriter(Budget& budget) : budget_(budget) {}

  MarkedText write(const Value& value) && {
    append(value);
    return MarkedText(std::move(out_), from_user_);
  }

 private:
  void append(const Value& value) {
    const std::size_t before = out_.size();
    if (value.is_text()) {
      from_user_ = from_user_ || value.text().has_user_text();
      budget_.make(value.text().size());
      append_quoted(value.bytes(), out_);
    } else if (value.is_list()) {
      append_list(value.list());
    } else if (value.is_dict()) {
      append_dict(value.dict());
    } else {
      out_ += value.is_undefined() ? "Undefined" : to_text(budget_, value).bytes();
    }
    budget_.make(value.depth() == 0 ? out_.size() - before : 2);
  }

  void append_list(const List& list) {
    if (list.form == Value::ListForm::kGenerator) {
      throw Failure("prints a generator; \"|list\" makes a list of it");
    }
    const bool tuple = list.form == Value::ListForm::kTuple;
    out_ += tuple ? '(' : '[';
    std::string_view separator;
    for (const Value& item : list.items) {
      out_ += separator;
      append(item);
      separator = ", ";
    }
    if (tuple && list.items.size() == 1) out_ += ',';
    out_ += tuple ? ')' : ']';
  }

  void append_dict(const Dict& dict) {
    out_ += '{';
    std::string_view separator;
    for (const auto& [key, item] : dict.entries()) {
      out_ += separator;
      append(key);
      out_ += ": ";
      append(item);
      separator = ", ";
    }
    out_ += '}';
  }

  Budget& budget_;
  std::string out_;
  bool from_user_ = false;
};

}  // namespace

bool truth(const Value& value) {
  if (value.is_undefined() || value.is_none()) return false;
  if (value.is_number()) return value.number() != 0;
  if (value.is_text()) return !value.text().empty();
  if (value.is_list()) {
    return value.list().form == Value::ListForm::kGenerator || !value.list().items.empty();
  }
  if (value.is_dict()) return !value.dict().entries().empty();
  return true;
}

MarkedText to_text(Budget& budget, const Value& value) {
  if (value.is_text()) {
    budget.make(value.text().memory());
    return value.text();
  }
  if (value.is_undefined()) return {};
  if (value.is_none()) return MarkedText("None");
  if (value.is_boolean()) return MarkedText(value.boolean() ? "True" : "False");
  if (value.is_integer()) return MarkedText(fmt::format("{}", value.whole()));
  if (value.is_float()) return MarkedText(float_text(value.number()));
  if (value.is_list() || value.is_dict()) return ReprWriter(budget).write(value);
  throw Failure(fmt::format("prints a {}", value.type_name()));
}

std::shared_ptr<const List> to_items(Budget& budget, const Value& value) {
  if (value.is_list()) return value.shared_list();
  std::vector<Value> items;
  if (value.is_text()) {
    const std::vector<std::size_t> offsets = character_offsets(value.bytes());
    budget.make(offsets.size(), kTextOverhead);
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
      items.push_back(Value::text(value.text().cut({offsets[i], offsets[i + 1]})));
    }
  } else if (value.is_dict()) {
    budget.make(list_bytes(value.dict().entries().size()));
    for (const auto& [key, item] : value.dict().entries()) items.push_back(key);
  } else if (!value.is_undefined()) {
    throw Failure(fmt::format("walks over a {}", value.type_name()));
  }
  return Value::list(std::move(items)).shared_list();
}

std::size_t length(Budget& budget, const Value& value) {
  if (value.is_undefined()) return 0;
  if (value.is_text()) {
    budget.read(value.text().size());
    return count_characters(value.bytes());
  }
  if (value.is_dict()) return value.dict().entries().size();
  if (!value.is_list() || value.list().form == Value::ListForm::kGenerator) {
    throw Failure(fmt::format("takes the length of a {}", value.type_name()));
  }
  return value.list().items.size();
}

std::size_t list_bytes(std::size_t items) { return (items + 1) * sizeof(Value); }

Value make_list(Budget& budget, std::vector<Value> items, Value::ListForm form) {
  budget.make(list_bytes(items.size()));
  return Value::list(std::move(items), form);
}

Value make_text(Budget& budget, MarkedText text) {
  budget.make(text.memory() + kTextOverhead);
  return Value::text(std::move(text));
}

}  // namespace r1::text::jinja
