#include "tasks/needle.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "base/error.h"
#include "tasks/answer_text.h"
#include "tasks/hash.h"

namespace r1::tasks {
namespace {

constexpr std::string_view kFirstNames[] = {
    "Agnes",  "Albert", "Alice",  "Andrew", "Anna",   "Arthur", "Barbara", "Bruno",
    "Carl",   "Clara",  "Daniel", "David",  "Dora",   "Edgar",  "Edith",   "Emil",
    "Emma",   "Erik",   "Felix",  "Flora",  "Frank",  "George", "Gloria",  "Grace",
    "Hannah", "Harold", "Helen",  "Henry",  "Hugo",   "Ida",    "Irene",   "Jack",
    "Jacob",  "Jane",   "John",   "Julia",  "Karin",  "Laura",  "Leo",     "Linda",
    "Louis",  "Lucy",   "Maria",  "Martin", "Max",    "Nina",   "Nora",    "Oscar",
    "Otto",   "Paul",   "Peter",  "Ralph",  "Robert", "Rosa",   "Ruth",    "Samuel",
    "Sarah",  "Simon",  "Susan",  "Thomas", "Ursula", "Victor", "Walter",  "William"};
constexpr std::string_view kSurnames[] = {
    "Adams",   "Archer",  "Baker",    "Barnes",  "Bennett", "Bishop", "Brooks",  "Butler",
    "Carter",  "Chapman", "Clark",    "Collins", "Cooper",  "Cross",  "Dawson",  "Dixon",
    "Evans",   "Fisher",  "Fletcher", "Ford",    "Foster",  "Fuller", "Gardner", "Gibson",
    "Graham",  "Grant",   "Harris",   "Hayes",   "Howard",  "Hughes", "Hunter",  "Jackson",
    "Jordan",  "Keller",  "Kelly",    "Knight",  "Lambert", "Lawson", "Marsh",   "Mason",
    "Miller",  "Morgan",  "Murphy",   "Nelson",  "Norton",  "Owen",   "Palmer",  "Parker",
    "Pearson", "Porter",  "Reed",     "Rogers",  "Shaw",    "Sharp",  "Spencer", "Stone",
    "Sutton",  "Taylor",  "Turner",   "Wagner",  "Walker",  "Watson", "Webb",    "Wright"};

// What everything else is made of; no name is among it.
constexpr std::string_view kSubjects[] = {
    "A cold wind",    "The old road",    "A small boat",     "The last train",
    "A thin cloud",   "The tall man",    "A young woman",    "The grey rain",
    "A distant bell", "The first light", "A slow river",     "The evening news",
    "A warm breeze",  "The white snow",  "A lost traveller", "The night"};
constexpr std::string_view kVerbs[] = {"moved",   "came",     "went",     "turned",
                                       "drifted", "wandered", "returned", "waited"};
constexpr std::string_view kPlaces[] = {
    "over the hills",     "through the village", "along the shore",     "past the mill",
    "across the valley",  "under the bridge",    "beyond the fields",   "near the station",
    "towards the forest", "behind the church",   "around the market",   "down the street",
    "into the mountains", "beside the lake",     "from the other side", "without a sound"};
constexpr std::string_view kTimes[] = {"",
                                       " before dawn",
                                       " in the morning",
                                       " at noon",
                                       " in the afternoon",
                                       " after sunset",
                                       " once again",
                                       " for a long time"};

template <std::size_t size>
std::string_view pick(const std::string_view (&words)[size], Rng& rng) {
  return words[rng.below(static_cast<std::uint32_t>(size))];
}

// Of a training document. Drawn at will: were each asked for once, the last ones could be told from
// the names that are left.
constexpr std::size_t kQuestionsPerFact = 1;

std::string filler(Rng& rng) {
  const std::string_view subject = pick(kSubjects, rng), verb = pick(kVerbs, rng);
  const std::string_view place = pick(kPlaces, rng);
  return fmt::format(" {} {} {}{}.", subject, verb, place, pick(kTimes, rng));
}

std::string statement(const Fact& fact) {
  return fmt::format("{} {} came.", needle_question(fact), fact.surname);
}

// Facts of a split, of different people.
std::vector<Fact> draw_facts(Split split, std::size_t count, Rng& rng) {
  R1_CHECK(count <= std::size(kFirstNames), "{} facts", count);
  std::vector<Fact> facts;
  std::set<std::string> names;
  while (facts.size() < count) {
    Fact fact{std::string(pick(kFirstNames, rng)), std::string(pick(kSurnames, rng))};
    const bool belongs = is_held_out(fact) == (split == Split::kHeldOut);
    if (belongs && names.insert(fact.first_name).second) facts.push_back(std::move(fact));
  }
  return facts;
}

Rng stream(std::string_view name, Split split, std::uint64_t seed, std::uint64_t index) {
  Hash hash;
  hash.add(name);
  hash.add(seed);
  hash.add(static_cast<std::uint64_t>(split));
  return Rng(hash.value(), static_cast<std::uint32_t>(index >> 32),
             static_cast<std::uint32_t>(index));
}

// The text of make_haystack, with these facts.
std::string scatter(const std::vector<Fact>& facts, const std::vector<double>& depths,
                    std::int64_t tokens, const CountTokens& count, Rng& rng) {
  std::vector<std::size_t> order(facts.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return depths[i]; });
  for (const Fact& fact : facts) tokens -= count(statement(fact));
  std::string text;
  std::int64_t used = 0;
  auto next = order.begin();
  std::string sentence = filler(rng);
  std::int64_t length = count(sentence);
  while (used + length <= tokens) {
    // Before the sentence in which its depth lies.
    while (next != order.end() &&
           depths[*next] * static_cast<double>(tokens) < static_cast<double>(used + length)) {
      text += statement(facts[*next++]);
    }
    text += sentence;
    used += length;
    sentence = filler(rng);
    length = count(sentence);
  }
  while (next != order.end()) text += statement(facts[*next++]);
  return text;
}

}  // namespace

bool is_held_out(const Fact& fact) {
  Hash hash;
  hash.add("needle");
  hash.add(fact.first_name);
  hash.add(fact.surname);
  return hash.value() % kHeldOutModulus == 0;
}

std::string needle_question(const Fact& fact) { return fmt::format(" {}", fact.first_name); }

Verdict verify_needle(const Fact& fact, std::string_view answer) {
  const auto is_letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); };
  while (!answer.empty()) {
    const auto end = std::ranges::find_if_not(answer, is_letter);
    const std::string_view word(answer.begin(), end);
    if (std::ranges::find(kSurnames, word) != std::end(kSurnames)) {
      return verdict(word == fact.surname, fmt::format("{} is not {}", word, fact.surname));
    }
    answer.remove_prefix(std::max<std::size_t>(word.size(), 1));
  }
  return wrong("there is no surname");
}

Haystack make_haystack(Split split, std::uint64_t seed, std::uint64_t index, std::int64_t tokens,
                       const std::vector<double>& depths, const CountTokens& count) {
  Rng rng = stream("haystack", split, seed, index);
  Haystack haystack;
  haystack.facts = draw_facts(split, depths.size(), rng);
  haystack.text = scatter(haystack.facts, depths, tokens, count, rng);
  return haystack;
}

NeedleCorpus::NeedleCorpus(std::uint64_t seed, NeedleMixture mixture, std::int64_t max_length)
    : seed_(seed), mixture_(mixture), max_length_(max_length) {}

std::vector<Passage> NeedleCorpus::document(std::uint64_t index, const CountTokens& count) const {
  Rng rng = stream("needle corpus", Split::kTrain, seed_, index);
  const double low = static_cast<double>(mixture_.min_length);
  const double ratio = static_cast<double>(max_length_) / low;
  const auto length =
      static_cast<std::int64_t>(low * std::pow(ratio, static_cast<double>(rng.uniform())));
  // As many as have room, with their questions, beside some filler.
  const Fact typical{"Martin", "Keller"};
  const std::int64_t tokens =
      count(statement(typical)) + std::int64_t{kQuestionsPerFact} * count(needle_question(typical));
  const std::int64_t most =
      std::clamp<std::int64_t>(3 * length / (4 * tokens), 1, mixture_.max_facts);
  const std::int64_t wanted =
      rng.chance(0.5) ? most
                      : static_cast<std::int64_t>(std::pow(static_cast<double>(most),
                                                           static_cast<double>(rng.uniform())));
  const std::vector<Fact> facts = draw_facts(Split::kTrain, static_cast<std::size_t>(wanted), rng);
  std::vector<double> depths;
  for (std::size_t i = 0; i < facts.size(); ++i) {
    depths.push_back(static_cast<double>(rng.uniform()));
  }

  std::vector<Passage> passages;
  std::int64_t left = length;
  for (std::size_t i = 0; i < kQuestionsPerFact * facts.size(); ++i) {
    const Fact& fact = facts[rng.below(static_cast<std::uint32_t>(facts.size()))];
    passages.push_back({needle_question(fact), false});
    passages.push_back({fmt::format(" {}", fact.surname), true});
    left -= count(passages[passages.size() - 2].text) + count(passages.back().text);
  }
  // As a prompt has it: tokens may reach from the text into the question.
  passages.front().text.insert(0, scatter(facts, depths, left, count, rng));
  return passages;
}

}  // namespace r1::tasks
