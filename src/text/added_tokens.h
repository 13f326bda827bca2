#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace r1::text {

// A token that is found in the text as a whole, before any splitting (names and meanings of
// tokenizer.json).
struct AddedToken {
  std::int32_t id = -1;
  std::string content;
  bool single_word = false;  // not where it touches a word character
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // takes the white space after it along
  bool normalized = false;   // looked for after normalisation
  bool special = false;      // left out by decode(skip_special)

  // Tokens that structure a conversation. Text of a user must never become one of them. That is
  // every special token, and what is written like one: DeepSeek's `<｜User｜>` is not flagged. The
  // tags of thinking are text, however a file flags them: readers must see where it ends.
  bool is_control() const;
};

// Which added tokens a text may turn into.
enum class AddedTokenSet { kPlain, kAll };

// Finds added tokens in text, leftmost first and longest first.
class AddedTokenMatcher {
 public:
  // tokens: (content as it is looked for, the token); the pointers stay owned by the caller.
  explicit AddedTokenMatcher(const std::vector<AddedToken>& tokens,
                             const std::vector<std::string>& contents);

  // Cuts `text` at the tokens of `set`: calls `part(text, -1)` for what lies between and
  // `part(text, index)` for a token, index counting in the constructor's list; in order, no empty
  // text. Linear in the text times the longest content.
  void split(std::string_view text, AddedTokenSet set,
             const std::function<void(std::string_view part, std::int32_t index)>& part) const;

  bool empty() const { return rules_.empty(); }

 private:
  struct Node {
    std::vector<std::pair<unsigned char, std::uint32_t>> next;  // sorted by byte
    std::int32_t token = -1;
  };
  struct Rule {
    bool single_word, lstrip, rstrip, control;
  };
  struct Match {
    std::int32_t token = -1;
    std::size_t length = 0;
  };

  std::uint32_t child(std::uint32_t node, unsigned char byte) const;  // 0: none
  Match longest(std::string_view text, AddedTokenSet set) const;

  std::vector<Node> nodes_;
  std::vector<Rule> rules_;
  std::bitset<256> first_bytes_;
};

}  // namespace r1::text
