#include "tasks/corpus.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "base/error.h"
#include "tasks/drills.h"

namespace r1::tasks {
namespace {

std::string malformed(const Solution& solution, Form form, Language language) {
  const std::string think =
      solution.thinking.empty() ? " <think>" : " <think> " + solution.thinking;
  switch (form) {
    case Form::kAnswerWord:
      return fmt::format(" {} {}", language == Language::kEnglish ? "Answer:" : "答案：",
                         solution.answer);
    case Form::kBare:
      return fmt::format(" {}", solution.answer);
    case Form::kNoThinking:
      return fmt::format(" <answer> {} </answer>", solution.answer);
    case Form::kNoAnswerTag:
      return fmt::format("{} </think> {}", think, solution.answer);
    case Form::kOpenThink:
      return fmt::format("{} <answer> {} </answer>", think, solution.answer);
    case Form::kWellFormed:
      break;
  }
  R1_CHECK(false, "form {}", static_cast<int>(form));
}

}  // namespace

std::string_view form_name(Form form) {
  static constexpr std::string_view kNames[] = {"well_formed", "answer_word",   "bare",
                                                "no_thinking", "no_answer_tag", "open_think"};
  return kNames[static_cast<std::size_t>(form)];
}

std::vector<TaskShare> equal_shares() {
  std::vector<TaskShare> shares;
  for (const auto& task : all_tasks()) shares.push_back({task.get(), 1.0});
  return shares;
}

const Task& draw_task(const std::vector<TaskShare>& shares, Rng& rng) {
  R1_CHECK(!shares.empty(), "no tasks");
  double sum = 0.0;
  for (const TaskShare& share : shares) sum += share.weight;
  double u = rng.uniform() * sum;
  for (const TaskShare& share : shares) {
    if (u < share.weight) return *share.task;
    u -= share.weight;
  }
  return *shares.back().task;
}

Corpus::Corpus(std::uint64_t seed, CorpusMixture mixture, RenderPrompt render_prompt,
               std::vector<TaskShare> shares)
    : seed_(seed),
      mixture_(mixture),
      render_prompt_(std::move(render_prompt)),
      shares_(std::move(shares)) {
  const double sum =
      mixture.guess + mixture.short_steps + mixture.careful + mixture.careful_check + mixture.mixed;
  R1_CHECK(std::abs(sum - 1.0) < 1e-6, "the styles' shares add up to {}", sum);
}

Style Corpus::draw_style(Rng& rng) const {
  double u = rng.uniform();
  const std::pair<double, Style> shares[] = {{mixture_.guess, Style::kGuess},
                                             {mixture_.short_steps, Style::kShortSteps},
                                             {mixture_.careful, Style::kCareful},
                                             {mixture_.careful_check, Style::kCarefulCheck}};
  for (const auto& [share, style] : shares) {
    if (u < share) return style;
    u -= share;
  }
  return Style::kMixed;
}

Document Corpus::document(std::uint64_t index) const {
  // The problems' own streams are keyed by (task, split); this one draws what is around them.
  constexpr std::uint64_t kStream = 0x636f72707573;
  Rng rng(seed_ ^ kStream, static_cast<std::uint32_t>(index >> 32),
          static_cast<std::uint32_t>(index));
  Document document;
  if (rng.chance(mixture_.drills)) {
    document.completion = number_drill(rng);
    return document;
  }
  const Task& task = draw_task(shares_, rng);
  document.problem = task.generate(Split::kTrain, seed_, index);
  document.prompt = render_prompt_(document.problem->question);
  if (rng.chance(mixture_.malformed)) {
    document.style = rng.chance(0.6) ? Style::kGuess : Style::kShortSteps;
    document.form = static_cast<Form>(1 + rng.below(5));
    document.completion = malformed(task.solve(*document.problem, document.style, rng),
                                    document.form, document.problem->language);
  } else {
    document.style = draw_style(rng);
    document.completion = task.worked_solution(*document.problem, document.style, rng);
  }
  return document;
}

}  // namespace r1::tasks
