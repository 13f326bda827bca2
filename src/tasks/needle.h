#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/task.h"

// A needle in a haystack (Kamradt 2023; with several needles in one haystack as in RULER, Hsieh et
// al. 2024): facts in a long text of other sentences, asked for at its end. The difficulty is the
// text's length in tokens and the fact's depth in it. Apart from the families of task.h, which fit
// a few hundred tokens and have worked solutions; here there is nothing to work out. English.
namespace r1::tasks {

// "Martin Keller came." Guessing finds one surname in 64.
struct Fact {
  std::string first_name, surname;
  bool operator==(const Fact&) const = default;
};
inline constexpr std::int64_t kMostFacts = 64;  // of different people

// One fact in kHeldOutModulus is held out: no training text states it.
bool is_held_out(const Fact& fact);

// What ends a prompt, the beginning of the fact's own words: " Martin". The text is to be gone on
// with, so that models need no form of question.
std::string needle_question(const Fact& fact);
// Whether the first surname in an answer is the fact's.
Verdict verify_needle(const Fact& fact, std::string_view answer);

// Tokens of a text without anything in front; of sentences one after another it is their sum.
using CountTokens = std::function<std::int64_t(std::string_view text)>;

struct Haystack {
  std::string text;
  std::vector<Fact> facts;  // of different people, in the order of `depths`
};
// Text number `index` of the stream (split, seed): at most `tokens` tokens, and less than a
// sentence below that where the facts leave room. A fact of depth 0 comes first, one of depth 1
// last. All facts are of the split.
Haystack make_haystack(Split split, std::uint64_t seed, std::uint64_t index, std::int64_t tokens,
                       const std::vector<double>& depths, const CountTokens& count);

// A stretch of a training document.
struct Passage {
  std::string text;
  bool learned = false;  // else it is read only
};

struct NeedleMixture {
  std::int64_t min_length = 64;  // tokens of the shortest document
  std::int64_t max_facts = 64;   // in a document
  bool operator==(const NeedleMixture&) const = default;
};

// Training documents: a haystack and then a question for each of its facts, in random order, of
// which the answers are learned. Lengths are spread evenly over their logarithm, so that most
// documents are short and teach what the long ones need. Half of the documents have as many facts
// as they hold, the others from one up.
class NeedleCorpus {
 public:
  // Lengths are from min_length to max_length. Throws Error if the shortest has no room for a fact.
  NeedleCorpus(std::uint64_t seed, NeedleMixture mixture, std::int64_t max_length);

  // Document number `index`, of at most its length in tokens.
  std::vector<Passage> document(std::uint64_t index, const CountTokens& count) const;

 private:
  std::uint64_t seed_;
  NeedleMixture mixture_;
  std::int64_t max_length_;
};

}  // namespace r1::tasks
