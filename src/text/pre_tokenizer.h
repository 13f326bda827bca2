#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/regex.h"

namespace r1::text {

// What becomes of the stretches a split finds (names of Hugging Face's tokenizers).
enum class SplitBehavior {
  kIsolated,            // each match is a piece
  kRemoved,             // matches are dropped
  kMergedWithPrevious,  // a match ends the piece before it
  kMergedWithNext,      // a match begins the piece after it
  kContiguous,          // neighbouring matches make one piece
};

struct SplitRule {
  enum class Kind { kRegex, kLiteral, kDigits };
  Kind kind = Kind::kRegex;
  std::string pattern;  // of kRegex and kLiteral
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;  // what does not match counts as the match
};

struct PreTokenizerSpec {
  std::vector<SplitRule> splits;  // each cuts the pieces of the one before
  bool add_prefix_space = false;  // a space before every piece that does not begin with one
  bool gpt2_split = false;        // ByteLevel's use_regex: one more split, GPT-2's own
};

// The splitting rules of the nano family: those of DeepSeek-V3, numbers in groups of up to three
// digits included, so that a number of the nano problems is one token.
PreTokenizerSpec nano_pre_tokenizer();

// Cuts text into the pieces that BPE merges within. Safe from many threads.
class PreTokenizer {
 public:
  // Throws Error naming `where` for a pattern that does not compile.
  PreTokenizer(PreTokenizerSpec spec, std::string_view where);

  // Calls `piece` for each non-empty piece, in order. Runs of invalid UTF-8 are pieces of their
  // own, and the text on either side is split as if it stood alone.
  void for_each_piece(std::string_view text,
                      const std::function<void(std::string_view)>& piece) const;

  const PreTokenizerSpec& spec() const { return spec_; }

 private:
  struct Step {
    std::optional<Regex> regex;  // without one: the literal
    std::string literal;
    SplitBehavior behavior = SplitBehavior::kIsolated;
    bool invert = false;
  };
  struct Span {
    std::size_t begin, end;
    bool match;
  };
  class Pass;

  PreTokenizerSpec spec_;
  std::vector<Step> steps_;
  std::vector<Step> byte_level_;  // ByteLevel's own split, if wanted
};

}  // namespace r1::text
