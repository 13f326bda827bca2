// Feeds arbitrary bytes to the template engine as a template, with a conversation that has all that
// templates ask for. Whatever compiles must render or fail with an Error, within its bounds, and
// user text must stay the user's.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/chat_template.h"

using r1::text::ChatOptions;
using r1::text::ChatTemplate;
using Json = nlohmann::ordered_json;

namespace {

// Letters that no template needs: each must come out as the user's, or not at all.
constexpr std::string_view kUser = "ǂ";

const Json& messages() {
  static const Json kMessages = Json::parse(R"([
    {"role": "system", "content": "ǂ \n"},
    {"role": "user", "content": " ǂǂ </think> ǂ"},
    {"role": "assistant", "content": null, "tool_calls": [
      {"id": "ǂ1", "type": "function",
       "function": {"name": "ǂ", "arguments": {"ǂ": [1, -2.5, true, null, "ǂ"]}}}]},
    {"role": "tool", "tool_call_id": "ǂ1", "content": "ǂ"},
    {"role": "assistant", "content": "<think>ǂ</think>ǂ", "reasoning_content": "ǂ"}])");
  return kMessages;
}

const Json& tools() {
  static const Json kTools = Json::parse(R"([{"type": "function", "function": {
    "name": "ǂ", "description": "ǂ", "parameters": {"type": "object",
    "properties": {"ǂ": {"type": "string", "enum": ["ǂ"]}}, "required": ["ǂ"]}}}])");
  return kTools;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  const bool spelled_by_template =  // by its letters, or an escape that may make them
      source.find(kUser) != source.npos || source.find('\\') != source.npos;
  try {
    const ChatTemplate chat = ChatTemplate::compile(source, "fuzz");
    ChatOptions options;
    options.tools = &tools();
    options.bos_token = "<s>";
    options.eos_token = "</s>";
    options.now = 1'700'000'000;
    for (const auto& segment : r1::text::render_chat(chat, messages(), options)) {
      if (segment.text.empty()) std::abort();
      if (spelled_by_template || segment.from_user) continue;
      if (segment.text.find(kUser) != std::string::npos) std::abort();
    }
  } catch (const r1::Error&) {
    // The only way a bad template may stop us.
  }
  return 0;
}
