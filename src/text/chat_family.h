#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "text/tokenizer.h"

namespace r1::text {

// A form of conversation that several models share.
struct ChatFamily {
  std::string_view name;           // "DeepSeek", "ChatML", "Llama 3"
  std::string_view chat_template;  // as a chat_template
};

// The family whose turns a vocabulary has tokens for: how to ask a model whose files carry no
// template. Only a guess, for base models may have the tokens without having learned them.
std::optional<ChatFamily> chat_family_of(const Tokenizer& tokenizer);

}  // namespace r1::text
