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

constexpr std::string_view kAdjectives[] = {
    "amber", "ancient", "brave",  "bright", "broken", "clever", "copper",  "crimson",
    "dusty", "eager",   "fancy",  "gentle", "golden", "hollow", "humble",  "ivory",
    "jolly", "lazy",    "little", "lucky",  "mighty", "narrow", "noble",   "orange",
    "pale",  "proud",   "purple", "quiet",  "rapid",  "rusty",  "scarlet", "silver"};
constexpr std::string_view kNouns[] = {
    "anchor", "badger", "basket", "beacon",  "bottle", "candle", "castle", "compass",
    "dragon", "eagle",  "engine", "falcon",  "fiddle", "fox",    "garden", "hammer",
    "harbor", "kettle", "ladder", "lantern", "mirror", "needle", "otter",  "parrot",
    "pencil", "rabbit", "ribbon", "saddle",  "turtle", "violin", "wagon",  "window"};

// What everything else is made of; no word of a fact's key.
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

constexpr std::int64_t kLowestNumber = 10, kHighestNumber = 99;

std::string filler(Rng& rng) {
  const std::string_view subject = pick(kSubjects, rng), verb = pick(kVerbs, rng);
  const std::string_view place = pick(kPlaces, rng);
  return fmt::format(" {} {} {}{}.", subject, verb, place, pick(kTimes, rng));
}

std::string statement(const Fact& fact) {
  return fmt::format(" The number of the {} is {}.", fact.key, fact.number);
}

// Facts of a split with different keys.
std::vector<Fact> draw_facts(Split split, std::size_t count, Rng& rng) {
  R1_CHECK(count <= std::size(kAdjectives) * std::size(kNouns) / 2, "{} facts", count);
  std::vector<Fact> facts;
  std::set<std::string> keys;
  while (facts.size() < count) {
    const std::string_view adjective = pick(kAdjectives, rng);
    Fact fact{fmt::format("{} {}", adjective, pick(kNouns, rng)),
              rng.between(kLowestNumber, kHighestNumber)};
    const bool belongs = is_held_out(fact) == (split == Split::kHeldOut);
    if (belongs && keys.insert(fact.key).second) facts.push_back(std::move(fact));
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
  hash.add(fact.key);
  hash.add(static_cast<std::uint64_t>(fact.number));
  return hash.value() % kHeldOutModulus == 0;
}

std::string needle_question(const Fact& fact) {
  return fmt::format("\nNow complete: The number of the {} is", fact.key);
}

Verdict verify_needle(const Fact& fact, std::string_view answer) {
  constexpr std::string_view kDigits = "0123456789";
  const std::size_t first = answer.find_first_of(kDigits);
  if (first == answer.npos) return wrong("there is no number");
  const std::string_view number =
      answer.substr(first, answer.find_first_not_of(kDigits, first) - first);
  return verdict(number == fmt::format("{}", fact.number),
                 fmt::format("{} is not {}", number.substr(0, kMaxAnswerBytes), fact.number));
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
  // As many as have room, with their questions, beside half as much filler.
  const Fact typical{"golden lantern", kHighestNumber};
  const std::int64_t tokens = count(statement(typical)) + count(needle_question(typical));
  const std::int64_t most =
      std::clamp<std::int64_t>(2 * length / (3 * tokens), 1, mixture_.max_facts);
  const std::int64_t wanted =
      rng.chance(0.5) ? most
                      : static_cast<std::int64_t>(std::pow(static_cast<double>(most),
                                                           static_cast<double>(rng.uniform())));
  const std::vector<Fact> facts = draw_facts(Split::kTrain, static_cast<std::size_t>(wanted), rng);
  std::vector<double> depths;
  for (std::size_t i = 0; i < facts.size(); ++i) {
    depths.push_back(static_cast<double>(rng.uniform()));
  }

  std::vector<std::size_t> order(facts.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  rng.shuffle(order);
  std::vector<Passage> passages;
  std::int64_t left = length;
  for (const std::size_t i : order) {
    passages.push_back({needle_question(facts[i]), false});
    passages.push_back({fmt::format(" {}", facts[i].number), true});
    left -= count(passages[passages.size() - 2].text) + count(passages.back().text);
  }
  // As a prompt has it: tokens may reach from the text into the question.
  passages.front().text.insert(0, scatter(facts, depths, left, count, rng));
  return passages;
}

}  // namespace r1::tasks
