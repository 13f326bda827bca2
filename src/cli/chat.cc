#include "cli/chat.h"

#include <fmt/format.h>

#include <charconv>
#include <random>

#include "base/error.h"
#include "cli/answer_printer.h"
#include "cli/terminal.h"
#include "tasks/grade.h"

namespace r1::cli {
namespace {

constexpr std::string_view kHelp =
    "A line is for the model. A line that begins with / is a command:\n"
    "  /new              begin a new conversation\n"
    "  /problem [TASK]   a held-out problem, whose answer is then verified\n"
    "  /tasks            the families of problems\n"
    "  /seed N           draw other answers\n"
    "  /temperature T    0 always takes the most probable token\n"
    "  /top-k K, /top-p P, /min-p P, /max-tokens N\n"
    "  /verbose          timings after each answer, on or off\n"
    "  /help, /exit\n"
    "Ctrl-C stops an answer.\n";

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

template <typename Number>
Number parse(std::string_view command, std::string_view text, Number low, Number high) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= low) ||
      !(value <= high)) {
    throw Error(command, fmt::format("needs a number from {} to {}", low, high));
  }
  return value;
}

std::uint64_t fresh_seed() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

}  // namespace

double prompt_tokens_per_second(const reasoning::Answer& answer) {
  if (answer.first_token_seconds <= 0.0) return 0.0;
  return static_cast<double>(answer.prompt.size()) / answer.first_token_seconds;
}

double tokens_per_second(const reasoning::Answer& answer) {
  const double seconds = answer.seconds - answer.first_token_seconds;
  if (seconds <= 0.0) return 0.0;
  return static_cast<double>(answer.tokens.size() - 1) / seconds;
}

std::string timing_line(const reasoning::Answer& answer) {
  return fmt::format(
      "prompt {} tokens, {:.0f} tokens/s; answer {} tokens, {:.0f} tokens/s; first token after "
      "{:.1f} ms; {}",
      answer.prompt.size(), prompt_tokens_per_second(answer), answer.tokens.size(),
      tokens_per_second(answer), 1e3 * answer.first_token_seconds,
      reasoning::name_of(answer.finish));
}

Chat::Chat(Backend& backend, const reasoning::ReasoningModel& model,
           std::vector<text::ChatMessage> turns, reasoning::AskOptions options,
           const EngineOptions& engine_options, bool verbose)
    : backend_(backend),
      model_(model),
      turns_(std::move(turns)),
      first_turns_(turns_.size()),
      options_(std::move(options)),
      verbose_(verbose),
      styles_(stdout_has_styles()),
      engine_(backend, *model.model, engine_options),
      problems_(fresh_seed()) {}

void Chat::run() {
  greet();
  LineReader reader(&interrupt_);
  std::string line;
  bool warned = false;  // the last thing was a Ctrl-C at the prompt
  for (bool going_on = true; going_on;) {
    show(styles_ ? "\x1b[1m>\x1b[0m " : "> ");
    const LineReader::Result result = reader.read(line);
    if (result == LineReader::Result::kEnd) {
      show("\n");
      return;
    }
    if (result == LineReader::Result::kInterrupted) {
      interrupt_.clear();
      show("\n");
      if (warned) return;
      warned = true;
      show("Ctrl-C once more or /exit leaves.\n");
      continue;
    }
    warned = false;
    const std::string_view typed = trim(line);
    if (typed.empty()) continue;
    try {
      if (typed.starts_with('/')) {
        going_on = obey(typed);
      } else {
        take_turn(typed);
      }
    } catch (const Error& error) {
      show(fmt::format("error: {}\n", printable(error.what())));
    }
    interrupt_.clear();
  }
}

void Chat::greet() const {
  const ModelConfig& config = model_.model->config();
  const ParameterCount count = count_parameters(config);
  std::filesystem::path path = model_.directory.lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  show(
      printable(fmt::format("{}: {:.2f} M parameters, {:.2f} M active; context of {} tokens; {}, "
                            "{} threads",
                            path.filename().string(), static_cast<double>(count.total) / 1e6,
                            static_cast<double>(count.active) / 1e6, config.max_position_embeddings,
                            name_of(backend_.isa()), backend_.threads())));
  if (model_.form.is_chat()) {
    show("\n/new begins a new conversation, ");
  } else if (model_.form.completion() == text::CompletionForm::kTagged) {
    show(
        "\nEvery line is a new problem: an R1-Zero model knows no earlier ones.\n"
        "/problem poses one, ");
  } else {
    show("\nEvery line is a text to go on with. ");
  }
  show("/help tells more, /exit leaves.\n\n");
}

bool Chat::obey(std::string_view line) {
  const std::size_t space = line.find_first_of(" \t");
  const std::string_view command = line.substr(0, space);
  const std::string_view argument = space == line.npos ? "" : trim(line.substr(space));
  SamplingParams& sampling = options_.sampling;
  if (command == "/exit" || command == "/quit") return false;
  if (command == "/help") {
    show(kHelp);
  } else if (command == "/new") {
    turns_.resize(first_turns_);
  } else if (command == "/problem") {
    pose_problem(argument);
  } else if (command == "/tasks") {
    for (const auto& task : tasks::all_tasks()) {
      show(fmt::format("{:<12} {}\n", task->name(), task->description()));
    }
  } else if (command == "/seed") {
    sampling.seed = parse<std::uint64_t>(command, argument, 0, UINT64_MAX);
    sampling.sample = 0;
  } else if (command == "/temperature") {
    sampling.temperature = parse(command, argument, 0.0f, 100.0f);
  } else if (command == "/top-k") {
    sampling.top_k = parse<std::int64_t>(command, argument, 0, INT64_MAX);
  } else if (command == "/top-p") {
    sampling.top_p = parse(command, argument, 1e-6f, 1.0f);
  } else if (command == "/min-p") {
    sampling.min_p = parse(command, argument, 0.0f, 1.0f);
  } else if (command == "/max-tokens") {
    options_.max_tokens = parse<std::int64_t>(command, argument, 1, INT64_MAX);
  } else if (command == "/verbose") {
    verbose_ = !verbose_;
  } else {
    throw Error(command, "there is no such command", "/help lists them");
  }
  return true;
}

void Chat::pose_problem(std::string_view task_name) {
  const auto& all = tasks::all_tasks();
  const tasks::Task& task = task_name.empty()
                                ? *all[problems_.below(static_cast<std::uint32_t>(all.size()))]
                                : tasks::find_task(task_name);
  const tasks::Problem problem =
      task.generate(tasks::Split::kHeldOut, problems_.next_u64(), problems_.next_u32());
  show(problem.question + "\n\n");
  const reasoning::Answer answer = ask(model_.pose(problem.question));
  if (answer.finish == FinishReason::cancelled) return;
  const tasks::RewardParts parts =
      tasks::grade(problem, model_.graded_text(answer.text, answer.starts_in));
  show(parts.correct ? "Verified: the answer is right.\n\n"
                     : fmt::format("Verified: not right ({}). One right answer is {}.\n\n",
                                   printable(parts.reason), problem.gold));
}

void Chat::take_turn(std::string_view text) {
  if (!model_.form.is_chat()) {
    ask(reasoning::question(text));
    return;
  }
  turns_.push_back({"user", std::string(text)});
  std::optional<text::ChatMessage> reply;
  try {
    const reasoning::Answer answer = ask(turns_);
    reply = model_.form.remembered(answer.text, answer.starts_in);
  } catch (const Error&) {
    turns_.pop_back();
    if (turns_.size() > first_turns_) show("(/new begins a new conversation)\n");
    throw;
  }
  if (reply) {
    turns_.push_back(std::move(*reply));
  } else {  // templates want a reply to every question
    turns_.pop_back();
  }
}

reasoning::Answer Chat::ask(std::span<const text::ChatMessage> turns) {
  AnswerPrinter printer(styles_, model_.form.completion());
  const reasoning::Answer answer = reasoning::ask(
      engine_, model_, turns, options_,
      [&](const text::SectionEvent& event) { printer.print(event); },
      [this] { return interrupt_.requested(); });
  printer.finish();
  ++options_.sampling.sample;
  if (answer.finish == FinishReason::cancelled) show("(stopped)\n");
  if (answer.finish == FinishReason::length) show("(cut off: no more tokens are allowed)\n");
  if (verbose_) show(timing_line(answer) + "\n");
  show("\n");
  return answer;
}

}  // namespace r1::cli
