#include "text/chat_template.h"

#include <array>

#include "base/error.h"

namespace r1::text {
namespace {

struct Template {
  TemplateKind kind;
  std::string_view name;
  std::string_view before, after;  // around the question
};

// Models are trained on these very words: they are data, not prose to be improved.
constexpr std::array<Template, 2> kTemplates = {{
    {TemplateKind::kR1Zero, "r1-zero",
     "A conversation between User and Assistant. The user asks a question, and the Assistant "
     "solves "
     "it. The assistant first thinks about the reasoning process in the mind and then provides the "
     "user with the answer. The reasoning process and answer are enclosed within <think> </think> "
     "and <answer> </answer> tags, respectively, i.e., <think> reasoning process here </think> "
     "<answer> answer here </answer>. User: ",
     ". Assistant:"},
    {TemplateKind::kR1ZeroNano, "r1-zero-nano", "User: ", "\nAssistant:"},
}};

const Template& find(TemplateKind kind) {
  for (const Template& entry : kTemplates) {
    if (entry.kind == kind) return entry;
  }
  R1_CHECK(false, "template kind {}", static_cast<int>(kind));
}

}  // namespace

std::string_view template_name(TemplateKind kind) { return find(kind).name; }

TemplateKind template_kind(std::string_view name) {
  std::string known;
  for (const Template& entry : kTemplates) {
    if (entry.name == name) return entry.kind;
    known += known.empty() ? "" : ", ";
    known += entry.name;
  }
  throw Error("template", fmt::format("\"{}\" is unknown", name), "known are: " + known);
}

std::string render_r1_zero(TemplateKind kind, std::string_view question) {
  const Template& entry = find(kind);
  return fmt::format("{}{}{}", entry.before, question, entry.after);
}

std::string render_r1_zero(std::string_view name, std::string_view question) {
  return render_r1_zero(template_kind(name), question);
}

}  // namespace r1::text
