#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "tasks/answer_text.h"
#include "tasks/families.h"
#include "tasks/scratchpad.h"

namespace r1::tasks {
namespace {

// Parameters: {operation, numbers...}; the numbers are distinct.
enum Operation : std::int64_t {
  kSortUp,
  kSortDown,
  kReverse,
  kKeepEven,
  kSum,
  kRange,  // largest minus smallest
  kCountEven,
};
constexpr std::uint32_t kOperations = 7;
constexpr std::int64_t kMaxNumber = 40;
constexpr std::int64_t kMaxSummand = 20;  // keeps sums to small numbers

using Numbers = std::vector<std::int64_t>;

Numbers numbers_of(const Parameters& p) { return {p.begin() + 1, p.end()}; }
bool is_even(std::int64_t n) { return n % 2 == 0; }
bool has_list_answer(std::int64_t operation) { return operation <= kKeepEven; }

// The answer as a list; a single number where the operation gives one.
Numbers answer_of(const Parameters& p) {
  Numbers numbers = numbers_of(p);
  switch (p[0]) {
    case kSortUp:
      std::sort(numbers.begin(), numbers.end());
      return numbers;
    case kSortDown:
      std::sort(numbers.rbegin(), numbers.rend());
      return numbers;
    case kReverse:
      std::reverse(numbers.begin(), numbers.end());
      return numbers;
    case kKeepEven:
      std::erase_if(numbers, [](std::int64_t n) { return !is_even(n); });
      return numbers;
    case kSum:
      return {std::accumulate(numbers.begin(), numbers.end(), std::int64_t{0})};
    case kRange: {
      const auto [smallest, largest] = std::minmax_element(numbers.begin(), numbers.end());
      return {*largest - *smallest};
    }
    default:
      return {std::count_if(numbers.begin(), numbers.end(), is_even)};
  }
}

// The number that sorting or reversing takes next.
Numbers::iterator next_pick(std::int64_t operation, Numbers& left) {
  if (operation == kSortUp) return std::min_element(left.begin(), left.end());
  if (operation == kSortDown) return std::max_element(left.begin(), left.end());
  return left.end() - 1;
}

class List : public Task {
 public:
  std::string_view name() const override { return "list"; }
  std::string_view description() const override {
    return "sorting, reversing, filtering, adding up and counting short lists of numbers";
  }

  Verdict verify(const Problem& problem, std::string_view answer) const override {
    const Numbers expected = answer_of(problem.parameters);
    if (!has_list_answer(problem.parameters[0])) return verify_integer(answer, expected[0]);
    const auto text = normalized_answer(answer);
    if (!text) return wrong("no answer, or one too long");
    const auto numbers = parse_integer_list(*text);
    if (!numbers) return wrong("not a list of whole numbers");
    return verdict(*numbers == expected,
                   fmt::format("{} is not {}", join(*numbers, ","), join(expected, ",")));
  }

  // Picking one number after another solves the same for what is left.
  std::vector<Parameters> contained_problems(const Parameters& p) const override {
    if (p[0] > kReverse) return {};
    std::vector<Parameters> contained;
    Numbers left = numbers_of(p);
    while (left.size() > 2) {
      left.erase(next_pick(p[0], left));
      Parameters inner = {p[0]};
      inner.insert(inner.end(), left.begin(), left.end());
      contained.push_back(std::move(inner));
    }
    return contained;
  }

 protected:
  Parameters draw(int difficulty, Rng& rng) const override {
    for (;;) {
      const std::int64_t operation = rng.below(kOperations);
      const std::size_t count =
          static_cast<std::size_t>(difficulty) + (operation <= kReverse ? 2 : 3);
      Parameters p = {operation};
      while (p.size() < count + 1) {
        const std::int64_t number = rng.between(1, operation == kSum ? kMaxSummand : kMaxNumber);
        if (std::find(p.begin() + 1, p.end(), number) == p.end()) p.push_back(number);
      }
      const bool some_even = std::any_of(p.begin() + 1, p.end(), is_even);
      if (some_even || operation != kKeepEven) return p;
    }
  }

  std::string question(const Parameters& p, Language language, Rng& rng) const override {
    const bool first = rng.chance(0.5);
    const bool english = language == Language::kEnglish;
    const std::string list = join(numbers_of(p), english ? ", " : "、");
    const auto phrase = [&](std::string_view en_a, std::string_view en_b, std::string_view zh_a,
                            std::string_view zh_b) {
      const std::string_view form = english ? (first ? en_a : en_b) : (first ? zh_a : zh_b);
      return fmt::format(fmt::runtime(form), list);
    };
    switch (p[0]) {
      case kSortUp:
        return phrase("Sort {} in ascending order.", "Sort from smallest to largest: {}.",
                      "把{}从小到大排序。", "从小到大排列：{}。");
      case kSortDown:
        return phrase("Sort {} in descending order.", "Sort from largest to smallest: {}.",
                      "把{}从大到小排序。", "从大到小排列：{}。");
      case kReverse:
        return phrase("Reverse the list {}.", "Write in reverse order: {}.", "把{}倒序写出。",
                      "倒序排列：{}。");
      case kKeepEven:
        return phrase("Keep only the even numbers of {}.", "Which numbers are even: {}?",
                      "从{}中选出偶数。", "哪些数是偶数：{}？");
      case kSum:
        return phrase("What is the sum of {}?", "Add up {}.", "求{}的和。", "{}加起来是多少？");
      case kRange:
        return phrase("What is the largest minus the smallest of {}?",
                      "Find the difference between the largest and the smallest of {}.",
                      "{}中最大的数减去最小的数是多少？", "求{}中最大数与最小数的差。");
      default:
        return phrase("How many even numbers are in {}?", "Count the even numbers of {}.",
                      "{}中有几个偶数？", "数一数{}中的偶数。");
    }
  }

  std::string gold(const Parameters& p, Language) const override { return join(answer_of(p), ","); }

  std::string near_miss(const Problem& problem, Rng& rng) const override {
    Numbers answer = answer_of(problem.parameters);
    if (answer.size() == 1) {
      answer[0] = near_number(answer[0], rng);
    } else {
      const std::uint32_t at = rng.below(static_cast<std::uint32_t>(answer.size() - 1));
      std::swap(answer[at], answer[at + 1]);
    }
    return join(answer, ",");
  }

  std::string write_steps(const Problem& problem, Scratchpad& pad) const override {
    const std::int64_t operation = problem.parameters[0];
    const Numbers numbers = numbers_of(problem.parameters);
    switch (operation) {
      case kKeepEven:
      case kCountEven:
        return write_even(numbers, operation == kCountEven, pad);
      case kSum:
        return write_sum(numbers, pad);
      case kRange:
        return write_range(numbers, pad);
      default:
        return write_picking(operation, numbers, pad);
    }
  }

 private:
  // Sorting and reversing: pick one number after another, writing what is left.
  static std::string write_picking(std::int64_t operation, Numbers left, Scratchpad& pad) {
    Numbers picked;
    while (!left.empty()) {
      auto pick = next_pick(operation, left);
      // A slip picks a neighbour.
      if (!pad.judge(true) && left.size() > 1) pick += pick == left.begin() ? 1 : -1;
      picked.push_back(*pick);
      left.erase(pick);
      if (pad.brief()) {
        pad.number(picked.back());
      } else {
        if (operation == kSortUp) pad.say("smallest ", "最小");
        if (operation == kSortDown) pad.say("largest ", "最大");
        if (operation == kReverse) pad.say("last ", "末尾");
        pad.number(picked.back());
        if (!left.empty()) pad.say(", left ", "，剩").text(join(left, ","));
      }
      pad.next();
    }
    if (pad.checks()) {
      pad.say("Check: ", "检验：").number(std::int64_t(picked.size())).say(" numbers", "个数");
    }
    return join(picked, ",");
  }

  static std::string write_even(const Numbers& numbers, bool count, Scratchpad& pad) {
    Numbers kept;
    for (const std::int64_t n : numbers) {
      const bool even = pad.judge(is_even(n));
      if (even) kept.push_back(n);
      if (!even && pad.brief()) continue;
      pad.number(n);
      if (even) {
        pad.say(" even", "偶");
      } else {
        pad.say(" odd", "奇");
      }
      if (count && even && !pad.brief()) pad.text(fmt::format(", {}", kept.size()));
      pad.next();
    }
    if (count) return fmt::format("{}", kept.size());
    return kept.empty() ? "0" : join(kept, ",");
  }

  static std::string write_sum(const Numbers& numbers, Scratchpad& pad) {
    std::int64_t sum = numbers[0];
    for (std::size_t i = 1; i < numbers.size(); ++i) {
      const std::int64_t before = sum;
      sum = pad.calculate(fmt::format("{}+{}", before, numbers[i]), before + numbers[i]);
      pad.next();
      if (i + 1 == numbers.size() && pad.checks()) {
        pad.say("Check: ", "检验：").text(fmt::format("{}-{}={}", sum, numbers[i], before));
      }
    }
    return fmt::format("{}", sum);
  }

  static std::string write_range(Numbers numbers, Scratchpad& pad) {
    std::sort(numbers.begin(), numbers.end());
    // A slip takes the second best.
    const std::int64_t largest = numbers[numbers.size() - (pad.judge(true) ? 1 : 2)];
    if (!pad.brief()) pad.say("largest ", "最大").number(largest).next();
    const std::int64_t smallest = numbers[pad.judge(true) ? 0 : 1];
    if (!pad.brief()) pad.say("smallest ", "最小").number(smallest).next();
    const std::int64_t difference =
        pad.calculate(fmt::format("{}-{}", largest, smallest), largest - smallest);
    pad.next();
    if (pad.checks()) {
      pad.say("Check: ", "检验：").text(fmt::format("{}+{}={}", smallest, difference, largest));
    }
    return fmt::format("{}", difference);
  }
};

}  // namespace

std::unique_ptr<Task> make_list() { return std::make_unique<List>(); }

}  // namespace r1::tasks
