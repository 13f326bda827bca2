#include "text/added_tokens.h"

#include <algorithm>

#include "base/error.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace r1::text {
namespace {

bool begins_with_word(std::string_view text) {
  if (text.empty()) return false;
  const Utf8Step step = next_utf8(text);
  return step.kind == Utf8Kind::kValid && is_word(step.code_point);
}

bool ends_with_word(std::string_view text) {
  return begins_with_word(text.substr(last_code_point(text)));
}

bool is_space(std::string_view text) {
  const Utf8Step step = next_utf8(text);
  return step.kind == Utf8Kind::kValid && is_white_space(step.code_point);
}

// The length of `text` without the white space at its end.
std::size_t without_trailing_space(std::string_view text) {
  while (!text.empty()) {
    const std::size_t last = last_code_point(text);
    if (last == text.size() || !is_space(text.substr(last))) break;
    text = text.substr(0, last);
  }
  return text.size();
}

std::size_t leading_space(std::string_view text) {
  std::size_t length = 0;
  while (length < text.size() && is_space(text.substr(length))) {
    length += next_utf8(text.substr(length)).length;
  }
  return length;
}

}  // namespace

bool AddedToken::is_control() const {
  const std::string_view text = content;
  if (text == "<think>" || text == "</think>") return false;
  return special || (text.starts_with("<|") && text.ends_with("|>")) ||
         (text.starts_with("<｜") && text.ends_with("｜>"));
}

AddedTokenMatcher::AddedTokenMatcher(const std::vector<AddedToken>& tokens,
                                     const std::vector<std::string>& contents)
    : nodes_(1) {
  R1_CHECK(tokens.size() == contents.size(), "{} tokens, {} contents", tokens.size(),
           contents.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const AddedToken& token = tokens[i];
    rules_.push_back({token.single_word, token.lstrip, token.rstrip, token.is_control()});
    R1_CHECK(!contents[i].empty(), "added token {} is empty", token.id);
    std::uint32_t node = 0;
    for (const char c : contents[i]) {
      const auto byte = static_cast<unsigned char>(c);
      std::uint32_t next = child(node, byte);
      if (next == 0) {
        next = static_cast<std::uint32_t>(nodes_.size());
        auto& edges = nodes_[node].next;
        edges.insert(std::lower_bound(edges.begin(), edges.end(), std::pair{byte, 0u}),
                     {byte, next});
        nodes_.emplace_back();
      }
      node = next;
    }
    nodes_[node].token = static_cast<std::int32_t>(i);
    first_bytes_.set(static_cast<unsigned char>(contents[i][0]));
  }
}

std::uint32_t AddedTokenMatcher::child(std::uint32_t node, unsigned char byte) const {
  const auto& edges = nodes_[node].next;
  const auto edge = std::lower_bound(edges.begin(), edges.end(), std::pair{byte, 0u});
  return edge != edges.end() && edge->first == byte ? edge->second : 0;
}

AddedTokenMatcher::Match AddedTokenMatcher::longest(std::string_view text,
                                                    AddedTokenSet set) const {
  Match match;
  std::uint32_t node = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    node = child(node, static_cast<unsigned char>(text[i]));
    if (node == 0) break;
    const std::int32_t token = nodes_[node].token;
    if (token < 0) continue;
    if (set == AddedTokenSet::kAll || !rules_[static_cast<std::size_t>(token)].control) {
      match = {token, i + 1};
    }
  }
  return match;
}

void AddedTokenMatcher::split(
    std::string_view text, AddedTokenSet set,
    const std::function<void(std::string_view part, std::int32_t index)>& part) const {
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (!first_bytes_.test(static_cast<unsigned char>(text[at]))) {
      ++at;
      continue;
    }
    const Match match = longest(text.substr(at), set);
    if (match.token < 0) {
      ++at;
      continue;
    }
    const Rule& rule = rules_[static_cast<std::size_t>(match.token)];
    std::size_t begin = at;
    std::size_t end = at + match.length;
    at = end;
    if (rule.single_word &&
        (ends_with_word(text.substr(0, begin)) || begins_with_word(text.substr(end)))) {
      continue;
    }
    if (rule.lstrip) begin = done + without_trailing_space(text.substr(done, begin - done));
    if (rule.rstrip) at = end += leading_space(text.substr(end));
    if (done < begin) part(text.substr(done, begin - done), -1);
    part(text.substr(begin, end - begin), match.token);
    done = end;
  }
  if (done < text.size()) part(text.substr(done), -1);
}

}  // namespace r1::text
