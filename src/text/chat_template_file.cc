#include "text/chat_template_file.h"

#include "base/file.h"
#include "text/json_field.h"
#include "text/tokenizer_json.h"

namespace r1::text {
namespace {

namespace fs = std::filesystem;

}  // namespace

std::optional<ChatTemplateSource> chat_template_of_config(std::string_view json,
                                                          std::string_view where) {
  const Json document = parse_json(json, std::string(where), kMaxTokenizerDepth);
  const JsonField field = JsonField(document, std::string(where), "").member("chat_template");
  if (field.is_null()) return {};
  if (!field.json().is_array()) return ChatTemplateSource{field.string(), field.where()};
  std::optional<ChatTemplateSource> found;
  field.for_each([&](const JsonField& named) {
    if (named.member("name").string() != "default") return;
    const JsonField text = named.member("template");
    found = {text.string(), text.where()};
  });
  if (!found) field.fail("lists no template named \"default\"");
  return found;
}

std::optional<ChatTemplateSource> read_chat_template(const fs::path& folder) {
  const fs::path own = folder / "chat_template.jinja";
  if (fs::exists(own)) {
    return ChatTemplateSource{read_text_file(own, kMaxChatTemplateBytes), own.string()};
  }
  const fs::path config = folder / "tokenizer_config.json";
  if (!fs::exists(config)) return {};
  return chat_template_of_config(read_text_file(config, kMaxTokenizerBytes), config.string());
}

}  // namespace r1::text
