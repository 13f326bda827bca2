#pragma once

#include <string>
#include <string_view>

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

}  // namespace r1::text
