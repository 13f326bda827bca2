#include "tasks/needle.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "text/tokenizer_json.h"

namespace r1::tasks {
namespace {

std::int64_t count_words(std::string_view text) { return std::ranges::count(text, ' '); }

// "FIRST SURNAME came." of every fact in a text.
std::vector<Fact> facts_in(std::string_view text) {
  constexpr std::string_view kAfter = " came.";
  std::vector<Fact> facts;
  for (std::size_t at = text.find(kAfter); at != text.npos; at = text.find(kAfter, at + 1)) {
    const std::size_t surname = text.rfind(' ', at - 1) + 1;
    const std::size_t first = text.rfind(' ', surname - 2) + 1;
    facts.push_back({std::string(text.substr(first, surname - 1 - first)),
                     std::string(text.substr(surname, at - surname))});
  }
  return facts;
}

TEST(Needle, TheSameCoordinatesGiveTheSameHaystack) {
  const auto make = [](std::uint64_t seed, std::uint64_t index) {
    return make_haystack(Split::kHeldOut, seed, index, 400, {0.5, 0.1}, count_words);
  };
  EXPECT_EQ(make(1, 2).text, make(1, 2).text);
  EXPECT_EQ(make(1, 2).facts, make(1, 2).facts);
  EXPECT_NE(make(1, 2).text, make(1, 3).text);
  EXPECT_NE(make(1, 2).text, make(2, 2).text);
}

TEST(Needle, FactsLieWhereTheyShould) {
  const std::vector<double> depths = {1.0, 0.0, 0.5, 0.25};
  for (const std::int64_t tokens : {200, 5000}) {
    const Haystack haystack = make_haystack(Split::kHeldOut, 1, 0, tokens, depths, count_words);
    const std::int64_t length = count_words(haystack.text);
    EXPECT_LE(length, tokens);
    EXPECT_GT(length, tokens - 20);
    ASSERT_EQ(haystack.facts.size(), depths.size());
    for (std::size_t i = 0; i < depths.size(); ++i) {
      const std::size_t at = haystack.text.find(" " + haystack.facts[i].first_name + " ");
      ASSERT_NE(at, haystack.text.npos);
      const double before =
          static_cast<double>(count_words(std::string_view(haystack.text).substr(0, at)));
      // Within a sentence or two and the other facts.
      EXPECT_NEAR(before, depths[i] * static_cast<double>(length), 40.0) << i;
    }
    EXPECT_TRUE(haystack.text.starts_with(" " + haystack.facts[1].first_name));
    EXPECT_TRUE(haystack.text.ends_with(haystack.facts[0].surname + " came."));
  }
}

TEST(Needle, NothingElseInTheTextLooksLikeAFact) {
  const Haystack haystack =
      make_haystack(Split::kHeldOut, 3, 1, 20000, {0.2, 0.4, 0.6}, count_words);
  EXPECT_EQ(facts_in(haystack.text), haystack.facts);
  // Of words with a capital letter within sentences there are only the names.
  std::size_t names = 0;
  for (std::size_t at = 2; at < haystack.text.size(); ++at) {
    const bool begins = haystack.text[at - 1] == ' ' && haystack.text[at - 2] != '.';
    names += begins && haystack.text[at] >= 'A' && haystack.text[at] <= 'Z';
  }
  EXPECT_EQ(names, 3u);  // surnames: the first names begin their sentences
  EXPECT_FALSE(verify_needle(haystack.facts[0], haystack.text.substr(0, 3000)).correct);
}

// Facts lie in the order of their depths, and room is counted with a real tokenizer's tokens.
TEST(Needle, TokensOfSentencesAddUp) {
  const text::Tokenizer tokenizer = text::load_tokenizer("models/r1-zero-nano");
  const auto count = [&](std::string_view text) { return std::ssize(tokenizer.encode(text)); };
  for (const std::int64_t tokens : {300, 2000}) {
    const Haystack haystack = make_haystack(Split::kTrain, 5, 0, tokens, {0.3, 0.9}, count);
    EXPECT_LE(count(haystack.text), tokens);
    EXPECT_GT(count(haystack.text), tokens - 60);
    EXPECT_EQ(facts_in(haystack.text), haystack.facts);
  }
}

TEST(Needle, TrainingNeverStatesWhatIsHeldOut) {
  const NeedleCorpus corpus(1, {}, 1000);
  std::set<std::string> stated;
  for (std::uint64_t i = 0; i < 300; ++i) {
    for (const Fact& fact : facts_in(corpus.document(i, count_words).front().text)) {
      EXPECT_FALSE(is_held_out(fact)) << fact.first_name << " " << fact.surname;
      stated.insert(fact.first_name + " " + fact.surname);
    }
  }
  EXPECT_GT(stated.size(), 1000u);
  for (std::uint64_t i = 0; i < 100; ++i) {
    for (const Fact& fact :
         make_haystack(Split::kHeldOut, 1, i, 300, {0.0, 0.5, 1.0}, count_words).facts) {
      EXPECT_TRUE(is_held_out(fact));
      EXPECT_FALSE(stated.contains(fact.first_name + " " + fact.surname));
    }
  }
}

TEST(Needle, TrainingDocumentsAskForEachOfTheirFacts) {
  const NeedleMixture mixture{.min_length = 80, .max_facts = 10};
  const NeedleCorpus corpus(2, mixture, 1500);
  std::size_t shortest = 100000, longest = 0, most = 0, least = 100;
  for (std::uint64_t i = 0; i < 300; ++i) {
    const std::vector<Passage> passages = corpus.document(i, count_words);
    const std::vector<Fact> facts = facts_in(passages.front().text);
    EXPECT_FALSE(passages.front().learned);
    ASSERT_EQ(passages.size(), 2 * facts.size());  // as many questions as facts
    std::size_t length = 0;
    for (const Passage& passage : passages) {
      length += static_cast<std::size_t>(count_words(passage.text));
    }
    shortest = std::min(shortest, length);
    longest = std::max(longest, length);
    most = std::max(most, facts.size());
    least = std::min(least, facts.size());
    for (std::size_t q = 0; q < passages.size(); q += 2) {
      EXPECT_FALSE(passages[q].learned);
      EXPECT_TRUE(passages[q + 1].learned);
      const auto asked = std::ranges::find_if(facts, [&](const Fact& fact) {
        return passages[q].text.ends_with(needle_question(fact));
      });
      ASSERT_NE(asked, facts.end()) << passages[q].text;
      if (q > 0) {
        EXPECT_EQ(passages[q].text, needle_question(*asked));
      }
      EXPECT_EQ(passages[q + 1].text, " " + asked->surname);
    }
    EXPECT_EQ(passages[0].text, corpus.document(i, count_words)[0].text);
  }
  EXPECT_LE(longest, 1500u);
  EXPECT_GT(longest, 1300u);
  EXPECT_LT(shortest, 120u);
  EXPECT_EQ(most, 10u);
  EXPECT_EQ(least, 1u);
}

TEST(Needle, TheFirstSurnameOfAnAnswerCounts) {
  const Fact fact{"Martin", "Keller"};
  for (const char* right : {" Keller", "Keller.", "Martin Keller came.", "Keller, not Webb"}) {
    EXPECT_TRUE(verify_needle(fact, right).correct) << right;
  }
  for (const char* wrong : {"", "keller", "Kellerman", "Webb, or Keller", "McKeller", "Martin"}) {
    EXPECT_FALSE(verify_needle(fact, wrong).correct) << wrong;
  }
  EXPECT_EQ(verify_needle(fact, " Webb").reason, "Webb is not Keller");
}

}  // namespace
}  // namespace r1::tasks
