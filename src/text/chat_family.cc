#include "text/chat_family.h"

#include <array>

namespace r1::text {
namespace {

struct KnownFamily {
  std::array<std::string_view, 3> tokens;  // all are needed; the last may be empty
  ChatFamily family;
};

// What the families' published templates do with system, user and assistant turns.
constexpr std::array kFamilies = std::to_array<KnownFamily>({
    {{"<｜User｜>", "<｜Assistant｜>", "</think>"},
     {"DeepSeek-R1",
      "{{ bos_token }}"
      "{% for message in messages if message.role == 'system' %}{{ message.content }}{% endfor %}"
      "{% for message in messages %}"
      "{% if message.role == 'user' %}{{ '<｜User｜>' + message.content }}"
      "{% elif message.role == 'assistant' %}"
      "{{ '<｜Assistant｜>' + message.content.split('</think>')[-1] + eos_token }}"
      "{% endif %}{% endfor %}"
      "{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\\n' }}{% endif %}"}},
    {{"<｜User｜>", "<｜Assistant｜>", ""},
     {"DeepSeek",
      "{{ bos_token }}"
      "{% for message in messages if message.role == 'system' %}{{ message.content }}{% endfor %}"
      "{% for message in messages %}"
      "{% if message.role == 'user' %}{{ '<｜User｜>' + message.content }}"
      "{% elif message.role == 'assistant' %}"
      "{{ '<｜Assistant｜>' + message.content + eos_token }}"
      "{% endif %}{% endfor %}"
      "{% if add_generation_prompt %}{{ '<｜Assistant｜>' }}{% endif %}"}},
    {{"<|im_start|>", "<|im_end|>", ""},
     {"ChatML",
      "{% for message in messages %}"
      "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
      "{% endfor %}"
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"}},
    {{"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"},
     {"Llama 3",
      "{{ bos_token }}"
      "{% for message in messages %}"
      "{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' }}"
      "{{ message.content | trim }}{{ '<|eot_id|>' }}"
      "{% endfor %}"
      "{% if add_generation_prompt %}"
      "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"}},
});

}  // namespace

std::optional<ChatFamily> chat_family_of(const Tokenizer& tokenizer) {
  const auto has = [&](std::string_view token) {
    if (token.empty()) return true;
    const auto id = tokenizer.id_of(token);
    return id && tokenizer.added_token(*id) != nullptr;
  };
  for (const KnownFamily& known : kFamilies) {
    bool all = true;
    for (const std::string_view token : known.tokens) all = all && has(token);
    if (all) return known.family;
  }
  return {};
}

}  // namespace r1::text
