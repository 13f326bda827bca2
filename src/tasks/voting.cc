#include "tasks/voting.h"

#include <map>

#include "tasks/answer_text.h"

namespace r1::tasks {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// "= 7" and "x = 7" are "7".
std::string_view drop_equals_sign(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == text.npos) return text;
  std::size_t letters = 0;
  for (const char c : text.substr(0, equals)) {
    if (is_letter(c)) {
      ++letters;
    } else if (!is_space(c)) {
      return text;
    }
  }
  return letters <= 1 ? text.substr(equals + 1) : text;
}

}  // namespace

std::string canonical_answer(std::string_view answer) {
  const std::optional<std::string> normal = normalized_answer(answer);
  if (!normal) return {};
  const std::string_view text = drop_equals_sign(*normal);
  if (const auto number = parse_integer(text)) return std::to_string(*number);
  if (const auto list = parse_integer_list(text)) return join(*list, ",");
  std::string compact;
  for (const char c : text) {
    if (!is_space(c)) compact += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return compact;
}

std::optional<std::size_t> majority(std::span<const std::string> answers) {
  struct Votes {
    std::size_t first, count;
  };
  std::map<std::string_view, Votes> votes;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (!answers[i].empty()) ++votes.try_emplace(answers[i], Votes{i, 0}).first->second.count;
  }
  std::optional<Votes> best;
  for (const auto& [answer, found] : votes) {
    if (!best || found.count > best->count ||
        (found.count == best->count && found.first < best->first)) {
      best = found;
    }
  }
  if (!best) return std::nullopt;
  return best->first;
}

}  // namespace r1::tasks
