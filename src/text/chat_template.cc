#include "text/chat_template.h"

#include <array>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "text/jinja/evaluator.h"
#include "text/jinja/json.h"
#include "text/jinja/parser.h"

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

using OrderedJson = nlohmann::ordered_json;

// Adds the members of an object, replacing those that are there.
void add_variables(const OrderedJson& json, bool from_user, jinja::Dict& variables) {
  if (!json.is_object()) throw jinja::Failure("the variables of a template must be an object");
  for (const auto& [name, value] : json.items()) {
    variables.set(jinja::Value::text(name), jinja::from_json(value, from_user));
  }
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

std::string r1_zero_chat_template(TemplateKind kind) {
  return "{{ bos_token }}" + render_r1_zero(kind, "{{ messages[-1]['content'] }}");
}

std::string render_r1_zero(std::string_view name, std::string_view question) {
  return render_r1_zero(template_kind(name), question);
}

ChatTemplate ChatTemplate::compile(std::string_view source, std::string_view where) {
  return ChatTemplate(std::make_shared<const jinja::Program>(jinja::parse_program(source, where)));
}

std::string ChatTemplate::render(const OrderedJson& context) const {
  return joined_text(render_segments(context, OrderedJson::object()));
}

std::vector<PromptSegment> ChatTemplate::render_segments(const OrderedJson& user,
                                                         const OrderedJson& own,
                                                         std::optional<std::time_t> now) const {
  jinja::Dict variables;
  try {
    add_variables(user, true, variables);
    add_variables(own, false, variables);
  } catch (const jinja::Failure& failure) {
    throw Error(program_->where, failure.what());
  }
  return jinja::evaluate(*program_, jinja::Value::dict(std::move(variables)), now).segments();
}

std::vector<PromptSegment> render_chat(const ChatTemplate& chat_template,
                                       const OrderedJson& messages, const ChatOptions& options) {
  OrderedJson user = options.variables == nullptr ? OrderedJson::object() : *options.variables;
  if (!user.is_object()) throw Error("template variables", "must be an object");
  user["messages"] = messages;
  user["tools"] = options.tools == nullptr ? OrderedJson() : *options.tools;
  if (!user.contains("documents")) user["documents"] = OrderedJson();
  user["add_generation_prompt"] = options.add_generation_prompt;
  OrderedJson own;
  own["bos_token"] = options.bos_token;
  own["eos_token"] = options.eos_token;
  return chat_template.render_segments(user, own, options.now);
}

std::string joined_text(const std::vector<PromptSegment>& segments) {
  std::string text;
  for (const PromptSegment& segment : segments) text += segment.text;
  return text;
}

}  // namespace r1::text
