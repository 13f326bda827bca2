#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template.h"
#include "text/prompt_encoder.h"
#include "text/thinking_parser.h"
#include "text/tokenizer.h"

namespace r1::text {

// One turn of a conversation.
struct ChatMessage {
  std::string role;  // "system", "user" or "assistant"
  std::string content;
};

struct Prompt {
  std::vector<std::int32_t> ids;
  SectionKind starts_in = SectionKind::kOther;  // kThinking where the prompt opened it
};

// The form in which a model reads questions: the words around them as it was trained on, or none.
// Nothing that a user wrote becomes a control token. Immutable, cheap to copy.
class PromptForm {
 public:
  // The text as it is, to be gone on with.
  static PromptForm plain(Tokenizer tokenizer);
  // The plain-text prompts of R1-Zero models.
  static PromptForm r1_zero(TemplateKind kind, Tokenizer tokenizer);
  // The conversations of a chat template. Throws Error naming `where` as ChatTemplate does.
  static PromptForm chat(std::string_view source, std::string_view where, std::string_view name,
                         Tokenizer tokenizer);

  // "r1-zero-nano", "chat template", ...
  const std::string& name() const { return name_; }
  CompletionForm completion() const { return completion_; }
  // Whether there may be a system's turn and earlier turns; else a prompt is one user's turn.
  bool is_chat() const { return chat_.has_value(); }

  // The prompt that asks for the assistant's next turn. Throws Error where the template refuses the
  // conversation.
  Prompt prompt(std::span<const ChatMessage> messages) const;

  // The turn by which a chat remembers a completion: as it is for templates that deal with the
  // thinking of earlier turns (as R1's do: they drop it), else without. Nothing if the completion
  // gives no answer.
  std::optional<ChatMessage> remembered(std::string_view completion, SectionKind starts_in) const;

  // The control token with which a chat's template ends the assistant's turns, if it does.
  std::optional<std::int32_t> turn_end() const { return turn_end_; }

 private:
  struct Chat {
    ChatTemplate chat_template;
    PromptEncoder encoder;
    ChatOptions options;
    bool reads_thinking;  // the template mentions </think>
  };

  PromptForm(std::string name, CompletionForm completion, Tokenizer tokenizer)
      : name_(std::move(name)), completion_(completion), tokenizer_(std::move(tokenizer)) {}

  std::optional<std::int32_t> find_turn_end() const;

  std::string name_;
  CompletionForm completion_;
  Tokenizer tokenizer_;
  std::optional<TemplateKind> r1_zero_;
  std::optional<Chat> chat_;
  std::optional<std::int32_t> turn_end_;
};

}  // namespace r1::text
