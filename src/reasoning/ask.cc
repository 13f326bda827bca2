#include "reasoning/ask.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"

namespace r1::reasoning {

std::string_view name_of(FinishReason reason) {
  switch (reason) {
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
      return "length";
    case FinishReason::failed:
      return "failed";
    case FinishReason::cancelled:
      return "cancelled";
  }
  R1_CHECK(false, "finish reason {}", static_cast<int>(reason));
}

std::vector<text::ChatMessage> question(std::string_view text) {
  return {{"user", std::string(text)}};
}

Answer ask(Engine& engine, const ReasoningModel& model, std::span<const text::ChatMessage> turns,
           const AskOptions& options, const std::function<void(const text::SectionEvent&)>& show,
           const std::function<bool()>& cancelled) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };

  text::Prompt prompt = model.form.prompt(turns);
  const text::CompletionForm form = model.form.completion();
  text::CompletionStream stream(model.tokenizer, options.stops,
                                text::ThinkingParser(form, prompt.starts_in));
  const auto show_all = [&](const std::vector<text::SectionEvent>& events) {
    if (!show) return;
    for (const text::SectionEvent& event : events) show(event);
  };

  Request request;
  request.prompt = std::move(prompt.ids);
  request.sampling = options.sampling;
  request.max_tokens =
      options.max_tokens > 0 ? options.max_tokens : model.model->config().max_position_embeddings;
  request.stop_tokens = model.end_ids;

  Answer answer;
  answer.starts_in = prompt.starts_in;
  answer.prompt = request.prompt;
  const RequestId id = engine.submit(std::move(request));
  bool running = true;
  while (running) {
    const bool stop = stream.stopped();
    if (stop || (cancelled && cancelled())) {
      answer.finish = stop ? FinishReason::stop : FinishReason::cancelled;
      engine.cancel(id);
      break;
    }
    for (const Engine::Event& event : engine.step()) {
      if (event.id != id) continue;  // the end of an answer that was cancelled before
      if (stream.stopped()) break;   // a step may draw tokens beyond the stop string
      if (event.finish == FinishReason::failed && event.finished) {
        throw Error(model.directory.string(), event.error);
      }
      if (answer.tokens.empty()) answer.first_token_seconds = elapsed();
      answer.tokens.push_back(event.token);
      answer.seconds = elapsed();
      show_all(stream.push(event.token.id));
      answer.finish = event.finish;
      running = !event.finished;
    }
  }
  show_all(stream.finish());
  if (stream.stopped()) answer.finish = FinishReason::stop;

  answer.text = stream.text();
  text::Completion parts = text::split_completion(answer.text, form, prompt.starts_in);
  answer.thinking = std::move(parts.thinking);
  answer.answer = std::move(parts.answer);
  answer.well_formed = parts.well_formed;
  return answer;
}

}  // namespace r1::reasoning
