#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "formats/json.h"

namespace {

template <class T>
void convert(const nlohmann::json& value) {
  try {
    r1::convert_json<T>(value, "value", "fuzz");
  } catch (const r1::Error&) {
  }
}

}  // namespace

// Whatever the text is, it parses to a document that survives being written and read again, or to
// an Error whose message can be printed as JSON.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const nlohmann::json document = r1::parse_json(text, "fuzz", {.max_bytes = 1 << 20});
    R1_CHECK(r1::parse_json(document.dump(), "fuzz") == document, "{}", document.dump());
    for (const auto& [key, value] : document.items()) {
      convert<bool>(value);
      convert<std::int8_t>(value);
      convert<std::int64_t>(value);
      convert<std::uint64_t>(value);
      convert<float>(value);
      convert<std::string>(value);
      convert<std::vector<std::vector<std::uint32_t>>>(value);
      (void)r1::excerpt(key);
    }
  } catch (const r1::Error& error) {
    (void)nlohmann::json(error.what()).dump();  // throws on broken UTF-8
  }
  return 0;
}
