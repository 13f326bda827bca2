#pragma once

#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace r1::text {

using Json = nlohmann::json;

// A value of a JSON document from outside that knows its place, so that every complaint names file
// and field: "tokenizer.json: model.merges[3]: must be a string". Only for .cc files: nlohmann-json
// is heavy.
class JsonField {
 public:
  JsonField(const Json& value, std::string file, std::string path)
      : value_(&value), file_(std::move(file)), path_(std::move(path)) {}

  [[noreturn]] void fail(std::string_view what, std::string_view advice = {}) const;

  const Json& json() const { return *value_; }
  bool is_null() const { return value_->is_null(); }
  // "file: path", for Errors thrown elsewhere.
  std::string where() const;

  // A member of an object; null if absent.
  JsonField member(std::string_view key) const;
  // Calls `element` for each element of an array.
  void for_each(const std::function<void(const JsonField&)>& element) const;

  // Typed access, with an Error for anything else.
  const Json::object_t& object() const;
  const Json::array_t& array() const;
  const std::string& string() const;
  bool boolean(bool if_absent) const;
  std::size_t index(std::size_t limit) const;  // an integer in [0, limit)

 private:
  const Json* value_;
  std::string file_;
  std::string path_;
};

// Parses JSON from outside: bounded depth, no repeated keys, no text after the value. Throws Error
// naming `file`.
Json parse_json(std::string_view text, std::string_view file, std::size_t max_depth);

}  // namespace r1::text
