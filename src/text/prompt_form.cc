#include "text/prompt_form.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace r1::text {
namespace {

constexpr std::string_view kThink = "<think>", kThinkEnd = "</think>";
constexpr std::string_view kWhiteSpace = " \t\r\n";

nlohmann::ordered_json to_json(std::span<const ChatMessage> messages) {
  nlohmann::ordered_json array = nlohmann::ordered_json::array();
  for (const ChatMessage& message : messages) {
    array.push_back({{"role", message.role}, {"content", message.content}});
  }
  return array;
}

std::string text_of(const Tokenizer& tokenizer, const std::optional<std::int32_t>& id) {
  return id ? std::string(tokenizer.token_bytes(*id)) : std::string();
}

// Whether what the template itself wrote last is an open <think>.
bool opens_thinking(const std::vector<PromptSegment>& segments) {
  if (segments.empty() || segments.back().from_user) return false;
  const std::string_view text = segments.back().text;
  const std::size_t last = text.find_last_not_of(kWhiteSpace);
  return last != text.npos && text.substr(0, last + 1).ends_with(kThink);
}

}  // namespace

PromptForm PromptForm::plain(Tokenizer tokenizer) {
  return {"none", CompletionForm::kPlain, std::move(tokenizer)};
}

PromptForm PromptForm::r1_zero(TemplateKind kind, Tokenizer tokenizer) {
  PromptForm form{std::string(template_name(kind)), CompletionForm::kTagged, std::move(tokenizer)};
  form.r1_zero_ = kind;
  return form;
}

PromptForm PromptForm::chat(std::string_view source, std::string_view where, std::string_view name,
                            Tokenizer tokenizer) {
  PromptForm form{std::string(name), CompletionForm::kChat, std::move(tokenizer)};
  ChatOptions options;
  options.bos_token = text_of(form.tokenizer_, form.tokenizer_.bos_id());
  options.eos_token = text_of(form.tokenizer_, form.tokenizer_.eos_id());
  form.chat_ = Chat{ChatTemplate::compile(source, where), PromptEncoder(form.tokenizer_),
                    std::move(options), source.find(kThinkEnd) != source.npos};
  form.turn_end_ = form.find_turn_end();
  return form;
}

Prompt PromptForm::prompt(std::span<const ChatMessage> messages) const {
  R1_CHECK(!messages.empty(), "no message");
  if (chat_) {
    const std::vector<PromptSegment> segments =
        render_chat(chat_->chat_template, to_json(messages), chat_->options);
    return {chat_->encoder.encode(segments),
            opens_thinking(segments) ? SectionKind::kThinking : SectionKind::kOther};
  }
  R1_CHECK(messages.size() == 1, "{} turns for the form {}", messages.size(), name_);
  const std::string& question = messages[0].content;
  return {tokenizer_.encode(r1_zero_ ? render_r1_zero(*r1_zero_, question) : question,
                            {.add_bos = true}),
          SectionKind::kOther};
}

std::optional<ChatMessage> PromptForm::remembered(std::string_view completion,
                                                  SectionKind starts_in) const {
  R1_CHECK(chat_.has_value(), "the form {} has no earlier turns", name_);
  Completion parts = split_completion(completion, completion_, starts_in);
  if (parts.answer.empty()) return {};
  if (chat_->reads_thinking) return ChatMessage{"assistant", std::string(completion)};
  return ChatMessage{"assistant", std::move(parts.answer)};
}

std::optional<std::int32_t> PromptForm::find_turn_end() const {
  constexpr std::string_view kAnswer = "answer-of-the-assistant";
  const std::vector<ChatMessage> turns = {{"user", "question"},
                                          {"assistant", std::string(kAnswer)}};
  ChatOptions options = chat_->options;
  options.add_generation_prompt = false;
  try {
    const std::vector<PromptSegment> segments =
        render_chat(chat_->chat_template, to_json(turns), options);
    for (std::size_t i = 0; i + 1 < segments.size(); ++i) {
      if (!segments[i].from_user || !segments[i].text.ends_with(kAnswer)) continue;
      // Some templates put white space before the token.
      for (const std::int32_t id : chat_->encoder.encode(std::span(segments).subspan(i + 1))) {
        if (tokenizer_.is_control(id)) return id;
        if (tokenizer_.token_bytes(id).find_first_not_of(kWhiteSpace) != std::string_view::npos) {
          break;
        }
      }
    }
  } catch (const Error&) {
    // A template that takes no such conversation is asked in vain, not used wrongly.
  }
  return {};
}

}  // namespace r1::text
