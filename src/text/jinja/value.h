#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "text/jinja/budget.h"
#include "text/jinja/marked_text.h"

namespace r1::text::jinja {

class Dict;
class Value;
struct List;
struct Loop;
struct Macro;
struct Namespace;

// What a name stands for that nobody gave a value. It prints as nothing and is false; touching it
// further fails with `what`.
struct Undefined {
  std::shared_ptr<const std::string> what;  // "'x' is undefined"
};

struct None {};

// A macro, the caller() of a call block, or a global function or method by its name.
struct Function {
  std::string_view name;         // lives as long as the program
  const Macro* macro = nullptr;  // null for what is built in
  std::size_t call_block = 0;    // of caller(): which running call block it belongs to
};

// A value of the template language: Python's, as far as templates can tell. Copies share what they
// hold, and what is shared never changes, except for namespaces. Namespaces and loops belong to the
// Evaluator, so that cycles through them are no leak.
class Value {
 public:
  enum class ListForm { kList, kTuple, kGenerator };

  Value() = default;  // undefined
  static Value undefined(std::string what);
  static Value none() { return Value(Held(None{})); }
  static Value boolean(bool value) { return Value(Held(value)); }
  static Value integer(std::int64_t value) { return Value(Held(value)); }
  static Value number(double value) { return Value(Held(value)); }
  static Value text(MarkedText value);
  static Value text(std::string_view own) { return text(MarkedText(std::string(own))); }
  // Throws Failure if lists would nest deeper than kMaxValueDepth.
  static Value list(std::vector<Value> items, ListForm form = ListForm::kList);
  static Value dict(Dict dict);
  static Value of(Namespace* space) { return Value(Held(space)); }
  static Value of(const Loop* loop) { return Value(Held(loop)); }
  static Value of(Function function) { return Value(Held(function)); }

  bool is_undefined() const { return holds<Undefined>(); }
  bool is_none() const { return holds<None>(); }
  bool is_boolean() const { return holds<bool>(); }
  bool is_integer() const { return holds<std::int64_t>(); }
  bool is_float() const { return holds<double>(); }
  bool is_text() const { return holds<TextRef>(); }
  bool is_list() const { return holds<ListRef>(); }  // of any form
  bool is_dict() const { return holds<DictRef>(); }
  // An integer, or a boolean, which counts as 0 or 1.
  bool is_whole() const { return is_integer() || is_boolean(); }
  bool is_number() const { return is_whole() || is_float(); }

  bool boolean() const { return std::get<bool>(held_); }
  std::int64_t whole() const;  // of is_whole()
  double number() const;       // of is_number()
  const MarkedText& text() const { return *std::get<TextRef>(held_); }
  const std::string& bytes() const { return text().bytes(); }
  const List& list() const { return *std::get<ListRef>(held_); }
  std::shared_ptr<const List> shared_list() const { return std::get<ListRef>(held_); }
  const Dict& dict() const { return *std::get<DictRef>(held_); }
  // Null for anything else.
  Namespace* as_namespace() const { return get_or_null<Namespace*>(); }
  const Loop* as_loop() const { return get_or_null<const Loop*>(); }
  const Function* as_function() const { return std::get_if<Function>(&held_); }

  // Fails with the reason why the value is undefined. Only for an undefined one.
  [[noreturn]] void fail_undefined() const;

  // As Python calls the type: "str", "int", "dict".
  std::string_view type_name() const;
  // How deep lists and dicts nest in it: 0 for what is neither.
  std::size_t depth() const;

 private:
  using TextRef = std::shared_ptr<const MarkedText>;
  using ListRef = std::shared_ptr<const List>;
  using DictRef = std::shared_ptr<const Dict>;
  using Held = std::variant<Undefined, None, bool, std::int64_t, double, TextRef, ListRef, DictRef,
                            Namespace*, const Loop*, Function>;

  explicit Value(Held held) : held_(std::move(held)) {}
  template <typename T>
  bool holds() const {
    return std::holds_alternative<T>(held_);
  }
  template <typename T>
  T get_or_null() const {
    const T* found = std::get_if<T>(&held_);
    return found == nullptr ? nullptr : *found;
  }

  Held held_;
};

struct List {
  std::vector<Value> items;
  Value::ListForm form = Value::ListForm::kList;
  std::size_t depth = 1;
};

// Keys in the order of their first mention.
class Dict {
 public:
  using Entry = std::pair<Value, Value>;

  const std::vector<Entry>& entries() const { return entries_; }
  std::size_t depth() const { return depth_; }

  // Throws Failure for keys other than text, numbers, booleans and none, and where it would nest
  // too deep.
  void set(Value key, Value value);
  // Null if absent.
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;

 private:
  std::size_t index_of(std::string_view key) const;  // entries_.size() if absent
  std::size_t index_of(const Value& key) const;

  std::vector<Entry> entries_;
  // Of the text keys, once there are many. The views are into the keys, which are shared and stay.
  std::unordered_map<std::string_view, std::size_t> by_text_;
  std::size_t depth_ = 1;
};

// namespace(): the one thing that templates change.
struct Namespace {
  std::map<std::string, Value, std::less<>> attributes;
};

// The variable `loop` of a running for.
struct Loop {
  std::shared_ptr<const List> items;  // null when the loop is over
  std::size_t index = 0;
};

// What a call, a filter or a test is given beside its first value.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// Arguments in the places of a signature.
class Bound {
 public:
  // Throws Failure naming `function` for arguments that the signature does not have.
  Bound(std::string_view function, const Arguments& arguments,
        std::initializer_list<std::string_view> names);

  // Null if not given.
  const Value* operator[](std::size_t index) const { return values_[index]; }
  // Throw Failure for values of another type; a missing one without a default fails too.
  const Value& required(std::size_t index) const;
  bool boolean(std::size_t index, bool if_absent) const;  // of anything, by its truth
  std::int64_t integer(std::size_t index, std::int64_t if_absent) const;
  const MarkedText& text(std::size_t index) const;

 private:
  [[noreturn]] void fail(std::size_t index, std::string_view what) const;

  std::string function_;
  std::vector<std::string_view> names_;
  std::vector<const Value*> values_;
};

}  // namespace r1::text::jinja
