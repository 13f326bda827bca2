#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "tasks/answer_text.h"
#include "tasks/families.h"
#include "tasks/scratchpad.h"

namespace r1::tasks {
namespace {

// Knights tell the truth, knaves lie. Everybody speaks about one other person, whose kind then
// follows from the speaker's. Persons speak in turn, each about the next, so that one assumption
// about the first decides all others; the last speaks about somebody already decided, and confirms
// or refutes it.
//
// Parameters: {name of speaker 0, name of speaker 1, ..., then per speaker: kind of statement,
// person (as speaker number)}. Names count from 0 = "A".
enum Kind : std::int64_t {
  kKnight,      // x is a knight
  kKnave,       // x is a knave
  kSame,        // x and I are of one kind
  kDifferent,   // x and I are not of one kind
  kBothKnaves,  // x and I are both knaves
  kSomeKnave,   // at least one of x and me is a knave
};
constexpr std::uint32_t kKinds = 6;

struct Statement {
  Kind kind;
  std::size_t about;  // speaker number
};

struct Puzzle {
  std::vector<std::int64_t> names;
  std::vector<Statement> statements;  // one per speaker

  std::size_t people() const { return names.size(); }
  char name(std::size_t speaker) const { return static_cast<char>('A' + names[speaker]); }
};

Puzzle unpack(const Parameters& p) {
  Puzzle puzzle;
  const std::size_t people = p.size() / 3;
  puzzle.names.assign(p.begin(), p.begin() + static_cast<std::ptrdiff_t>(people));
  for (std::size_t i = people; i < p.size(); i += 2) {
    puzzle.statements.push_back({static_cast<Kind>(p[i]), static_cast<std::size_t>(p[i + 1])});
  }
  return puzzle;
}

// Whether a statement of this kind is true, given the kinds of its speaker and of the other.
bool holds(Kind kind, bool speaker_is_knight, bool other_is_knight) {
  switch (kind) {
    case kKnight:
      return other_is_knight;
    case kKnave:
      return !other_is_knight;
    case kSame:
      return speaker_is_knight == other_is_knight;
    case kDifferent:
      return speaker_is_knight != other_is_knight;
    case kBothKnaves:
      return !speaker_is_knight && !other_is_knight;
    default:
      return !speaker_is_knight || !other_is_knight;
  }
}

// What the other must be if a speaker of the given kind says this; nothing: the speaker cannot.
std::optional<bool> implied(Kind kind, bool speaker_is_knight) {
  for (const bool other : {true, false}) {
    if (holds(kind, speaker_is_knight, other) == speaker_is_knight) return other;
  }
  return std::nullopt;
}

// The only consistent assignment, or nothing if there are none or several.
std::optional<unsigned> unique_solution(const Puzzle& puzzle) {
  std::optional<unsigned> solution;
  for (unsigned knights = 0; knights < (1u << puzzle.people()); ++knights) {
    bool consistent = true;
    for (std::size_t i = 0; i < puzzle.people(); ++i) {
      const auto& [kind, about] = puzzle.statements[i];
      const bool speaker = (knights >> i) & 1u, other = (knights >> about) & 1u;
      consistent &= holds(kind, speaker, other) == speaker;
    }
    if (!consistent) continue;
    if (solution) return std::nullopt;
    solution = knights;
  }
  return solution;
}

std::string_view kind_word(bool knight, Language language) {
  if (language == Language::kEnglish) return knight ? "knight" : "knave";
  return knight ? "骑士" : "骗子";
}

// "A knight, B knave"; people in the order of their names.
std::string render_answer(const Puzzle& puzzle, unsigned knights, Language language) {
  std::string text;
  for (std::size_t name = 0; name < puzzle.people(); ++name) {
    const auto at = std::find(puzzle.names.begin(), puzzle.names.end(), std::int64_t(name));
    const bool knight = (knights >> (at - puzzle.names.begin())) & 1u;
    const bool english = language == Language::kEnglish;
    if (name > 0) text += english ? ", " : "，";
    text += fmt::format("{}{}{}", static_cast<char>('A' + name), english ? " " : "",
                        kind_word(knight, language));
  }
  return text;
}

// What `speaker` says; short forms stand in the thinking, long ones in the question.
std::string statement_text(const Puzzle& puzzle, std::size_t speaker, Language language,
                           bool brief) {
  const auto& [kind, about] = puzzle.statements[speaker];
  const char x = puzzle.name(about);
  if (language == Language::kChinese) {
    const std::string pair = brief ? std::string(1, x) : fmt::format("{}和我", x);
    switch (kind) {
      case kKnight:
        return fmt::format("{}是骑士", x);
      case kKnave:
        return fmt::format("{}是骗子", x);
      case kSame:
        return pair + "同类";
      case kDifferent:
        return pair + "不同类";
      case kBothKnaves:
        return pair + "都是骗子";
      default:
        return pair + "不都是骑士";
    }
  }
  const std::string is_a = brief ? "" : " is a";
  const std::string both_are = brief ? std::string() : " and I are";
  switch (kind) {
    case kKnight:
      return fmt::format("{}{} knight", x, is_a);
    case kKnave:
      return fmt::format("{}{} knave", x, is_a);
    case kSame:
      return fmt::format("{}{} the same", x, both_are);
    case kDifferent:
      return fmt::format("{}{} different", x, both_are);
    case kBothKnaves:
      return fmt::format("{}{} both knaves", x, both_are);
    default:
      return fmt::format("{}{} not both knights", x, both_are);
  }
}

class Knights : public Task {
 public:
  std::string_view name() const override { return "knights"; }
  std::string_view description() const override {
    return "knights and knaves: who tells the truth among two to four people";
  }

  Verdict verify(const Problem& problem, std::string_view answer) const override;

  // Renaming people makes no new puzzle.
  Parameters split_key(const Parameters& p) const override {
    return {p.begin() + static_cast<std::ptrdiff_t>(p.size() / 3), p.end()};
  }

 protected:
  Parameters draw(int difficulty, Rng& rng) const override {
    const std::size_t people = static_cast<std::size_t>(difficulty) + 1;
    for (;;) {
      Parameters p(people);
      std::iota(p.begin(), p.end(), 0);
      rng.shuffle(p);
      for (std::size_t i = 0; i < people; ++i) {
        const bool last = i + 1 == people;
        const std::size_t about = last ? rng.below(static_cast<std::uint32_t>(i)) : i + 1;
        p.insert(p.end(), {std::int64_t(rng.below(kKinds)), std::int64_t(about)});
      }
      if (unique_solution(unpack(p))) return p;
    }
  }

  std::string question(const Parameters& p, Language language, Rng& rng) const override {
    const Puzzle puzzle = unpack(p);
    const bool first = rng.chance(0.5);
    const bool english = language == Language::kEnglish;
    std::string text = english ? (first ? "Knights tell the truth, knaves lie. " : "")
                               : (first ? "骑士说真话，骗子说假话。" : "");
    for (std::size_t i = 0; i < puzzle.people(); ++i) {
      const std::string said = statement_text(puzzle, i, language, false);
      text += english ? fmt::format("{} says: {}. ", puzzle.name(i), said)
                      : fmt::format("{}说：{}。", puzzle.name(i), said);
    }
    text += english ? "Who is a knight and who is a knave?" : "谁是骑士，谁是骗子？";
    return text;
  }

  std::string gold(const Parameters& p, Language language) const override {
    const Puzzle puzzle = unpack(p);
    return render_answer(puzzle, unique_solution(puzzle).value(), language);
  }

  std::string near_miss(const Problem& problem, Rng& rng) const override {
    const Puzzle puzzle = unpack(problem.parameters);
    const unsigned flipped = rng.below((1u << puzzle.people()) - 1) + 1;
    return render_answer(puzzle, unique_solution(puzzle).value() ^ flipped, problem.language);
  }

  std::string write_steps(const Problem& problem, Scratchpad& pad) const override;
};

// Words that may stand between names and kinds without changing what is said.
bool is_filler(std::string_view word) {
  static constexpr std::string_view kFillers[] = {"is", "a", "an", "and", "the", "are"};
  return std::find(std::begin(kFillers), std::end(kFillers), word) != std::end(kFillers);
}

Verdict Knights::verify(const Problem& problem, std::string_view answer) const {
  const auto text = normalized_answer(answer);
  if (!text) return wrong("no answer, or one too long");
  const Puzzle puzzle = unpack(problem.parameters);
  std::vector<std::optional<bool>> kinds(puzzle.people());
  constexpr std::size_t kNobody = ~std::size_t{0};
  std::size_t pending = kNobody;  // a name waiting for its kind
  const auto take_name = [&](char c) {
    const auto name = static_cast<std::size_t>(c - 'A');
    if (pending != kNobody || name >= kinds.size() || kinds[name]) return false;
    pending = name;
    return true;
  };
  const auto take_kind = [&](bool knight) {
    if (pending == kNobody) return false;
    kinds[pending] = knight;
    pending = kNobody;
    return true;
  };
  static constexpr std::array<std::pair<std::string_view, int>, 4> kChinese = {
      {{"骑士", 1}, {"骗子", 0}, {"是", 2}, {"和", 2}}};
  std::string_view rest = *text;
  while (!rest.empty()) {
    const auto letters = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    std::size_t length = 0;
    while (length < rest.size() && letters(rest[length])) ++length;
    if (length > 0) {
      const std::string_view word = rest.substr(0, length);
      const bool understood = word == "knight" || word == "Knight"              ? take_kind(true)
                              : word == "knave" || word == "Knave"              ? take_kind(false)
                              : length == 1 && word[0] >= 'A' && word[0] <= 'Z' ? take_name(word[0])
                                                                                : is_filler(word);
      if (!understood) return wrong("not one kind for each name");
      rest.remove_prefix(length);
      continue;
    }
    const auto* phrase = std::find_if(kChinese.begin(), kChinese.end(), [&](const auto& entry) {
      return rest.starts_with(entry.first);
    });
    if (phrase != kChinese.end()) {
      if (phrase->second < 2 && !take_kind(phrase->second == 1)) {
        return wrong("not one kind for each name");
      }
      rest.remove_prefix(phrase->first.size());
      continue;
    }
    if (std::string_view(" \t\r\n,;:=.").find(rest.front()) == std::string_view::npos) {
      return wrong("words that are neither a name nor a kind");
    }
    rest.remove_prefix(1);
  }
  const unsigned solution = unique_solution(puzzle).value();
  for (std::size_t i = 0; i < puzzle.people(); ++i) {
    const auto& kind = kinds[static_cast<std::size_t>(puzzle.names[i])];
    if (!kind) return wrong(fmt::format("nothing is said about {}", puzzle.name(i)));
    if (*kind != (((solution >> i) & 1u) != 0)) {
      return wrong(
          fmt::format("{} is not a {}", puzzle.name(i), kind_word(*kind, Language::kEnglish)));
    }
  }
  return right();
}

std::string Knights::write_steps(const Problem& problem, Scratchpad& pad) const {
  const Puzzle puzzle = unpack(problem.parameters);
  const std::size_t last = puzzle.people() - 1;
  unsigned knights = 0;
  const auto name_is = [&](std::size_t person, bool knight) {
    pad.text(std::string(1, puzzle.name(person)));
    pad.say(knight ? " knight" : " knave", knight ? "骑士" : "骗子");
  };
  // Follows one assumption to its end; false at a contradiction.
  const auto follow = [&](bool first_is_knight) {
    knights = first_is_knight ? 1u : 0u;
    pad.say("Suppose ", "假设");
    name_is(0, first_is_knight);
    pad.next();
    for (std::size_t i = 0; i <= last; ++i) {
      const auto& [kind, about] = puzzle.statements[i];
      const bool speaker = (knights >> i) & 1u;
      if (!pad.brief()) {
        name_is(i, speaker);
        pad.text(": ");
        pad.say(statement_text(puzzle, i, Language::kEnglish, true),
                statement_text(puzzle, i, Language::kChinese, true));
        pad.say(", so ", "，");
      }
      const std::optional<bool> truth = implied(kind, speaker);
      if (!truth) {
        pad.say("impossible", "不可能").next();
        return false;
      }
      const bool other = pad.judge(*truth);
      name_is(about, other);
      if (i < last) {
        if (other) knights |= 1u << about;
        pad.next();
        continue;
      }
      const bool fits = other == (((knights >> about) & 1u) != 0);
      pad.say(fits ? ", fits" : ", no", fits ? "，成立" : "，矛盾").next();
      return fits;
    }
    return true;
  };
  if (!follow(true)) follow(false);
  return render_answer(puzzle, knights, problem.language);
}

}  // namespace

std::unique_ptr<Task> make_knights() { return std::make_unique<Knights>(); }

}  // namespace r1::tasks
