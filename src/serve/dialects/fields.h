#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "serve/api_error.h"
#include "serve/http/message.h"
#include "serve/limits.h"

namespace r1::serve {

// Answers keep the order in which their keys are documented.
using Json = nlohmann::ordered_json;

// The body of a request as a JSON object. Throws ApiError: another content type, no JSON, no
// object, or beyond the limits.
nlohmann::json read_body(const HttpRequest& request, const Limits& limits);

// One line of JSON. What is not UTF-8 by then is repaired.
std::string dump(const Json& json);
// "data: {...}" and the empty line.
std::string sse_data(const Json& json);
std::string sse_event(std::string_view event, const Json& json);

// Seconds since 1970.
std::int64_t unix_time();
// "2026-11-28T10:15:02.123456Z"
std::string rfc3339(std::int64_t seconds, std::int64_t nanoseconds = 0);
std::string rfc3339_now();
// 24 letters and digits by chance, for ids of answers.
std::string random_id();

// Reads the fields of an object from outside. Null counts as absent. Every error is the 400 that
// names the field, with the path to it.
class Fields {
 public:
  explicit Fields(const nlohmann::json& object, std::string path = {});

  bool has(std::string_view key) const { return find(key) != nullptr; }
  const nlohmann::json* find(std::string_view key) const;
  const nlohmann::json& require(std::string_view key) const;
  std::string name(std::string_view key) const;  // with its path: "messages[0].role"

  std::optional<bool> flag(std::string_view key) const;
  std::optional<std::string> text(std::string_view key) const;
  std::optional<std::int64_t> integer(std::string_view key, std::int64_t low,
                                      std::int64_t high) const;
  std::optional<double> number(std::string_view key, double low, double high) const;
  // Another object, or nothing.
  std::optional<Fields> object(std::string_view key) const;
  const nlohmann::json* array(std::string_view key) const;
  // A text, or a list of texts.
  std::vector<std::string> texts(std::string_view key, std::size_t most) const;

  // Throws for a field that would change the answer and that we do not have.
  void refuse_others(std::initializer_list<std::string_view> keys) const;
  // Throws for a field that nobody asked for. With `strict` alone.
  void check_unknown(bool strict) const;

 private:
  [[noreturn]] void mistyped(std::string_view key, std::string_view expected) const;

  const nlohmann::json* object_;
  std::string path_;
  mutable std::set<std::string, std::less<>> known_;
};

}  // namespace r1::serve
