#include "text/json_field.h"

#include <vector>

#include "base/error.h"

namespace r1::text {
namespace {

const Json kAbsent;  // null

}  // namespace

std::string JsonField::where() const {
  return path_.empty() ? file_ : fmt::format("{}: {}", file_, path_);
}

void JsonField::fail(std::string_view what, std::string_view advice) const {
  throw Error(where(), what, advice);
}

JsonField JsonField::member(std::string_view key) const {
  const auto& members = object();
  const auto found = members.find(std::string(key));
  return JsonField(found == members.end() ? kAbsent : found->second, file_,
                   path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key));
}

void JsonField::for_each(const std::function<void(const JsonField&)>& element) const {
  const auto& elements = array();
  for (std::size_t i = 0; i < elements.size(); ++i) {
    element(JsonField(elements[i], file_, fmt::format("{}[{}]", path_, i)));
  }
}

const Json::object_t& JsonField::object() const {
  if (!value_->is_object()) fail(is_null() ? "is missing" : "must be an object");
  return value_->get_ref<const Json::object_t&>();
}

const Json::array_t& JsonField::array() const {
  if (!value_->is_array()) fail(is_null() ? "is missing" : "must be an array");
  return value_->get_ref<const Json::array_t&>();
}

const std::string& JsonField::string() const {
  if (!value_->is_string()) fail(is_null() ? "is missing" : "must be a string");
  return value_->get_ref<const std::string&>();
}

bool JsonField::boolean(bool if_absent) const {
  if (is_null()) return if_absent;
  if (!value_->is_boolean()) fail("must be true or false");
  return value_->get<bool>();
}

std::size_t JsonField::index(std::size_t limit) const {
  if (is_null()) fail("is missing");
  if (!value_->is_number_unsigned() || value_->get<std::uint64_t>() >= limit) {
    fail(fmt::format("must be a whole number from 0 to {}", limit - 1));
  }
  return value_->get<std::size_t>();
}

Json parse_json(std::string_view text, std::string_view file, std::size_t max_depth) {
  std::vector<std::size_t> keys;  // how many each open object has had
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    switch (event) {
      case Json::parse_event_t::object_start:
      case Json::parse_event_t::array_start:
        if (static_cast<std::size_t>(depth) >= max_depth) {
          throw Error(file, fmt::format("nested deeper than {} levels", max_depth));
        }
        if (event == Json::parse_event_t::object_start) keys.push_back(0);
        break;
      case Json::parse_event_t::key:
        ++keys.back();
        break;
      case Json::parse_event_t::object_end:
        if (parsed.size() != keys.back()) throw Error(file, "an object repeats a key");
        keys.pop_back();
        break;
      default:
        break;
    }
    return true;
  };
  try {
    return Json::parse(text, watch);
  } catch (const Json::parse_error& error) {
    throw Error(file, fmt::format("not valid JSON at byte {}", error.byte),
                "the file may be cut off or damaged");
  } catch (const Json::exception&) {  // a number out of range
    throw Error(file, "not valid JSON");
  }
}

}  // namespace r1::text
