#include "serve/dialects/fields.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <random>

#include "base/error.h"
#include "formats/json.h"

namespace r1::serve {
namespace {

bool is_json(std::string_view type) {
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ')) type.remove_suffix(1);
  // Without a type, or with the one that curl -d sends, the body is taken for what it must be;
  // pages of other origins cannot do harm by it (http/origin.h).
  return type.empty() || type == "application/json" || type == "text/json" ||
         type == "application/x-www-form-urlencoded" || type == "text/plain";
}

}  // namespace

nlohmann::json read_body(const HttpRequest& request, const Limits& limits) {
  if (!is_json(request.header("content-type"))) {
    throw ApiError(ApiError::Kind::bad_type, "the body must be application/json");
  }
  nlohmann::json body;
  try {
    body = parse_json(request.body, "body",
                      {.max_depth = limits.json_depth,
                       .max_bytes = limits.body_bytes,
                       .max_values = limits.json_values});
  } catch (const Error& error) {
    throw ApiError(ApiError::Kind::invalid, error.what());
  }
  if (!body.is_object()) throw ApiError(ApiError::Kind::invalid, "body: must be an object");
  return body;
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string sse_data(const Json& json) { return "data: " + dump(json) + "\n\n"; }

std::string sse_event(std::string_view event, const Json& json) {
  return fmt::format("event: {}\ndata: {}\n\n", event, dump(json));
}

std::int64_t unix_time() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string rfc3339(std::int64_t seconds, std::int64_t nanoseconds) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:09}Z", fmt::gmtime(static_cast<std::time_t>(seconds)),
                     nanoseconds);
}

std::string rfc3339_now() {
  const std::int64_t now = std::chrono::duration_cast<std::chrono::nanoseconds>(
                               std::chrono::system_clock::now().time_since_epoch())
                               .count();
  return rfc3339(now / 1'000'000'000, now % 1'000'000'000);
}

std::string random_id() {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
  thread_local std::mt19937_64 generator{[] {
    std::random_device device;
    return (std::uint64_t{device()} << 32) | device();
  }()};
  std::uniform_int_distribution<std::size_t> letter(0, kLetters.size() - 1);
  std::string id;
  for (int i = 0; i < 24; ++i) id += kLetters[letter(generator)];
  return id;
}

Fields::Fields(const nlohmann::json& object, std::string path)
    : object_(&object), path_(std::move(path)) {
  if (!object.is_object()) refuse(path_, fmt::format("'{}' must be an object", path_));
}

std::string Fields::name(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

const nlohmann::json* Fields::find(std::string_view key) const {
  known_.emplace(key);
  const auto found = object_->find(key);
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

const nlohmann::json& Fields::require(std::string_view key) const {
  const nlohmann::json* found = find(key);
  if (found == nullptr) {
    refuse(name(key), fmt::format("you must provide the parameter '{}'", name(key)));
  }
  return *found;
}

void Fields::mistyped(std::string_view key, std::string_view expected) const {
  const nlohmann::json& value = *find(key);
  refuse(name(key),
         fmt::format("'{}' must be {}, not {}", name(key), expected,
                     excerpt(value.dump(-1, ' ', true, Json::error_handler_t::replace))));
}

std::optional<bool> Fields::flag(std::string_view key) const {
  const nlohmann::json* found = find(key);
  if (found == nullptr) return {};
  if (!found->is_boolean()) mistyped(key, "true or false");
  return found->get<bool>();
}

std::optional<std::string> Fields::text(std::string_view key) const {
  const nlohmann::json* found = find(key);
  if (found == nullptr) return {};
  if (!found->is_string()) mistyped(key, "a string");
  return found->get<std::string>();
}

std::optional<std::int64_t> Fields::integer(std::string_view key, std::int64_t low,
                                            std::int64_t high) const {
  const nlohmann::json* found = find(key);
  if (found == nullptr) return {};
  const std::string expected = fmt::format("a whole number from {} to {}", low, high);
  std::int64_t value = 0;
  if (found->is_number_unsigned()) {
    if (found->get<std::uint64_t>() > static_cast<std::uint64_t>(std::max<std::int64_t>(high, 0))) {
      mistyped(key, expected);
    }
    value = found->get<std::int64_t>();
  } else if (found->is_number_integer()) {
    value = found->get<std::int64_t>();
  } else {
    // Some clients write whole numbers as 1024.0.
    if (!found->is_number_float()) mistyped(key, expected);
    const auto real = found->get<double>();
    if (!(std::abs(real) < 0x1p53) || real != std::floor(real)) mistyped(key, expected);
    value = static_cast<std::int64_t>(real);
  }
  if (value < low || value > high) mistyped(key, expected);
  return value;
}

std::optional<double> Fields::number(std::string_view key, double low, double high) const {
  const nlohmann::json* found = find(key);
  if (found == nullptr) return {};
  if (!found->is_number() || !(found->get<double>() >= low && found->get<double>() <= high)) {
    mistyped(key, fmt::format("a number from {} to {}", low, high));
  }
  return found->get<double>();
}

std::optional<Fields> Fields::object(std::string_view key) const {
  const nlohmann::json* found = find(key);
  if (found == nullptr) return {};
  if (!found->is_object()) mistyped(key, "an object");
  return Fields(*found, name(key));
}

const nlohmann::json* Fields::array(std::string_view key) const {
  const nlohmann::json* found = find(key);
  if (found != nullptr && !found->is_array()) mistyped(key, "a list");
  return found;
}

std::vector<std::string> Fields::texts(std::string_view key, std::size_t most) const {
  const nlohmann::json* found = find(key);
  if (found == nullptr) return {};
  if (found->is_string()) return {found->get<std::string>()};
  if (!found->is_array()) mistyped(key, "a string or a list of strings");
  if (found->size() > most) {
    refuse(name(key), fmt::format("'{}' has {} items, at most {} are possible", name(key),
                                  found->size(), most));
  }
  std::vector<std::string> texts;
  for (const nlohmann::json& item : *found) {
    if (!item.is_string()) mistyped(key, "a string or a list of strings");
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

void Fields::refuse_others(std::initializer_list<std::string_view> keys) const {
  for (const std::string_view key : keys) {
    const nlohmann::json* found = find(key);
    if (found == nullptr) continue;
    const bool nothing = (found->is_array() && found->empty()) ||
                         (found->is_boolean() && !found->get<bool>()) ||
                         (found->is_object() && found->empty()) ||
                         (found->is_number() && found->get<double>() == 0.0);
    if (!nothing) refuse_unsupported(name(key), fmt::format("'{}'", name(key)));
  }
}

void Fields::check_unknown(bool strict) const {
  if (!strict) return;
  for (const auto& [key, value] : object_->items()) {
    if (!known_.contains(key)) {
      refuse(name(key), fmt::format("unknown parameter: '{}'", excerpt(name(key))));
    }
  }
}

}  // namespace r1::serve
