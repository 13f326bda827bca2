#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace r1::text {

// Bound on a chat template. Published ones stay below 20 kB.
inline constexpr std::size_t kMaxChatTemplateBytes = std::size_t{1} << 20;

// The source of a chat template and the file, or the field of a file, that it stands in.
struct ChatTemplateSource {
  std::string text;
  std::string where;
};

// What a model's folder says its conversations look like: chat_template.jinja, which goes first, or
// "chat_template" in tokenizer_config.json, a text or a list of {name, template} of which the one
// named "default" counts. Nothing where it says nothing. Throws Error naming file and field.
std::optional<ChatTemplateSource> read_chat_template(const std::filesystem::path& folder);

// The same of the text of a tokenizer_config.json.
std::optional<ChatTemplateSource> chat_template_of_config(std::string_view json,
                                                          std::string_view where);

}  // namespace r1::text
