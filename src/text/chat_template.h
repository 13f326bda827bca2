#pragma once

#include <ctime>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/prompt_segment.h"

namespace r1::text {

// The plain-text prompts of an R1-Zero model. The completion begins with
// " <think>...</think> <answer>...</answer>".
enum class TemplateKind {
  kR1Zero,      // "r1-zero": the published paragraph (DeepSeek-R1, arXiv 2501.12948, table 1)
  kR1ZeroNano,  // "r1-zero-nano": two words, for models whose context is a few hundred
};

std::string_view template_name(TemplateKind kind);

// Throws Error listing the known names for any other.
TemplateKind template_kind(std::string_view name);

// The prompt that asks `question`, as it is: nothing in it is escaped or trimmed.
std::string render_r1_zero(TemplateKind kind, std::string_view question);
std::string render_r1_zero(std::string_view name, std::string_view question);

// The same prompt as a chat_template, for programs that know no other form.
std::string r1_zero_chat_template(TemplateKind kind);

namespace jinja {
struct Program;
}

// The chat_template of a checkpoint: Jinja as transformers runs it (trim_blocks, lstrip_blocks,
// loop controls, tojson, raise_exception, strftime_now, generation; nothing can be changed but
// namespaces). Bytes equal those of transformers. A template is trusted with nothing: what it may
// cost in time, memory and depth is bounded (jinja/budget.h).
//
// Immutable, safe from many threads, cheap to copy.
class ChatTemplate {
 public:
  // Throws Error naming `where`, the line and the construct for anything that is no Jinja, or is
  // Jinja that we do not have.
  static ChatTemplate compile(std::string_view source, std::string_view where);

  // The text for the variables of `context`, an object, whose keys come in the given order. Throws
  // Error naming the template and the line: where the template raises an exception, where the
  // variables do not fit it, and where it costs too much.
  std::string render(const nlohmann::ordered_json& context) const;

  // The same text by its authors: every string of `user` is the user's, and remains so through all
  // that the template does to it; every string of `own` is the template's own, such as bos_token.
  // Of a name in both, the one in `own` counts. `now`: the time for strftime_now, if not the
  // present.
  std::vector<PromptSegment> render_segments(const nlohmann::ordered_json& user,
                                             const nlohmann::ordered_json& own,
                                             std::optional<std::time_t> now = {}) const;

 private:
  explicit ChatTemplate(std::shared_ptr<const jinja::Program> program)
      : program_(std::move(program)) {}

  std::shared_ptr<const jinja::Program> program_;
};

// What a conversation is rendered with beside its messages.
struct ChatOptions {
  // An array of tool definitions; null: none.
  const nlohmann::ordered_json* tools = nullptr;
  // Further variables for the template, an object, such as {"enable_thinking": false}; null: none.
  // They count as the user's, and cannot replace what is named here.
  const nlohmann::ordered_json* variables = nullptr;
  bool add_generation_prompt = true;  // end where the assistant's answer begins
  std::string bos_token, eos_token;   // as the tokenizer spells them; empty: none
  std::optional<std::time_t> now;     // for templates that tell the date; nothing: the present
};

// A conversation as transformers' apply_chat_template renders it. `messages` is an array of objects
// with role and content as the template knows them. Encode the result with PromptEncoder: the
// template writes the beginning-of-sequence token itself if it wants one. Throws Error.
std::vector<PromptSegment> render_chat(const ChatTemplate& chat_template,
                                       const nlohmann::ordered_json& messages,
                                       const ChatOptions& options = {});

// The segments as one text.
std::string joined_text(const std::vector<PromptSegment>& segments);

}  // namespace r1::text
