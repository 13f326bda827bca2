#include "text/jinja/functions.h"

#include <fmt/format.h>

#include <array>

#include "text/jinja/convert.h"

namespace r1::text::jinja {
namespace {

constexpr std::size_t kMaxTimeFormat = 256;  // bytes

Value make_range(Budget& budget, const Arguments& arguments) {
  const bool from_zero = arguments.positional.size() < 2;
  const Bound bound = from_zero ? Bound("range", arguments, {"stop"})
                                : Bound("range", arguments, {"start", "stop", "step"});
  const std::int64_t start = from_zero ? 0 : bound.integer(0, 0);
  const std::int64_t stop =
      from_zero ? (bound.required(0), bound.integer(0, 0)) : bound.integer(1, 0);
  const std::int64_t step = from_zero ? 1 : bound.integer(2, 1);
  if (step == 0) throw Failure("range() has the step 0");
  std::vector<Value> items;
  std::int64_t at = start;
  while (step > 0 ? at < stop : at > stop) {
    budget.make(sizeof(Value));
    items.push_back(Value::integer(at));
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  return Value::list(std::move(items));
}

// dict(a=1, **more), or that on top of a copy of another dict.
Value make_dict(Budget& budget, const Arguments& arguments) {
  Dict dict;
  if (arguments.positional.size() > 1) throw Failure("dict() takes one dict");
  if (!arguments.positional.empty()) {
    if (!arguments.positional[0].is_dict()) throw Failure("dict() takes a dict");
    dict = arguments.positional[0].dict();
    budget.make(dict.entries().size(), sizeof(Dict::Entry));
  }
  for (const auto& [name, value] : arguments.named) {
    budget.make(name.size() + sizeof(Dict::Entry));
    dict.set(Value::text(name), value);
  }
  return Value::dict(std::move(dict));
}

[[noreturn]] void raise_exception(Budget& budget, const Arguments& arguments) {
  const Bound bound("raise_exception", arguments, {"message"});
  throw Failure("the template refuses: " + to_text(budget, bound.required(0)).bytes());
}

Value strftime_now(const Arguments& arguments, std::optional<std::time_t> now) {
  const Bound bound("strftime_now", arguments, {"format"});
  const MarkedText& format = bound.text(0);
  if (format.empty()) return Value::text("");
  if (format.size() > kMaxTimeFormat) throw Failure("strftime_now(): the format is too long");
  const std::time_t time = now ? *now : std::time(nullptr);
  std::tm local{};
  if (localtime_r(&time, &local) == nullptr) throw Failure("strftime_now(): there is no time");
  std::array<char, 8192> buffer{};
  const std::size_t size =
      std::strftime(buffer.data(), buffer.size(), format.bytes().c_str(), &local);
  return Value::text(format.remade(std::string(buffer.data(), size)));
}

}  // namespace

bool is_global_function(std::string_view name) {
  static constexpr std::string_view kNames[] = {"dict", "namespace", "raise_exception", "range",
                                                "strftime_now"};
  for (const std::string_view known : kNames) {
    if (known == name) return true;
  }
  return false;
}

Value call_function(Budget& budget, std::string_view name, const Arguments& arguments,
                    std::optional<std::time_t> now) {
  if (name == "range") return make_range(budget, arguments);
  if (name == "dict") return make_dict(budget, arguments);
  if (name == "strftime_now") return strftime_now(arguments, now);
  if (name == "raise_exception") raise_exception(budget, arguments);
  throw Failure(fmt::format("calls {}(), which is a method", name));
}

}  // namespace r1::text::jinja
