#include "serve/http/call_driver.h"

#include <poll.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>
#include <exception>
#include <optional>
#include <utility>

#include "base/error.h"
#include "serve/http/signal.h"

namespace r1::serve {
namespace {

// Looks, while an answer is under way, whether its reader is still there.
struct Watch {
  bool done = false;  // the answer has ended
  bool gone = false;  // the reader has
};

struct EndOfWatch {
  std::shared_ptr<Watch> watch;
  ~EndOfWatch() { watch->done = true; }
};

bool has_hung_up(int socket) {
  pollfd state{socket, POLLRDHUP, 0};
  return ::poll(&state, 1, 0) > 0 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

asio::awaitable<void> watch_reader(Transport& transport, std::shared_ptr<Watch> watch,
                                   std::shared_ptr<Signal> signal) {
  constexpr auto kBetween = std::chrono::milliseconds(50);
  asio::steady_timer timer(co_await asio::this_coro::executor);
  while (!watch->done) {
    // Not woken by the socket itself: the next request may have come already and would do so for
    // ever.
    if (has_hung_up(transport.socket().native_handle())) {
      watch->gone = true;
      signal->set();
      co_return;
    }
    ErrorCode error;
    timer.expires_after(kBetween);
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
}

[[noreturn]] void throw_refusal(const Refusal& refusal) {
  using Reason = Refusal::Reason;
  using Kind = ApiError::Kind;
  const auto kind = [&] {
    switch (refusal.reason) {
      case Reason::missing_key:
      case Reason::invalid_key:
        return Kind::unauthorized;
      case Reason::model_not_allowed:
        return Kind::forbidden;
      case Reason::balance:
        return Kind::no_balance;
      case Reason::requests_per_minute:
      case Reason::tokens_per_minute:
      case Reason::concurrency:
      case Reason::daily_tokens:
        return Kind::rate_limited;
      case Reason::too_large:
      case Reason::duplicate:
        return Kind::invalid;
      case Reason::no_price:
        return Kind::internal;
      case Reason::ledger:
        return Kind::overloaded;
    }
    R1_CHECK(false, "refusal {}", static_cast<int>(refusal.reason));
  };
  ApiError error(kind(), refusal.message, {}, refusal.code);
  error.retry_after = static_cast<int>(refusal.retry_after.value_or(0));
  throw error;
}

// The requests of a call under way. Gone, they are given up.
struct Flight {
  ~Flight() { abandon(); }
  void abandon() {
    for (const auto& queue : queues) queue->abandon();
    if (!queues.empty()) engines.look_for_abandoned();
  }
  EngineService& engines;
  std::vector<std::shared_ptr<AnswerQueue>> queues = {};  // one per prompt
  std::vector<Answer> answers = {};
  bool complete() const {
    for (const Answer& answer : answers) {
      if (!answer.complete()) return false;
    }
    return true;
  }
  bool started() const {
    for (const Answer& answer : answers) {
      if (!answer.has_started()) return false;
    }
    return true;
  }
};

std::vector<PreparedRequest> prepare_all(const Call& call, const CatalogEntry& model,
                                         const ServerConfig& config) {
  std::vector<PreparedRequest> prepared;
  for (const GenerationRequest& request : call.requests) {
    prepared.push_back(prepare(request, model, config));
    prepared.back().keep_alive = call.keep_alive;
  }
  return prepared;
}

Admission admit(const std::vector<PreparedRequest>& prepared, const HttpRequest& request,
                const Key& key, Accounts& accounts) {
  AdmissionRequest wish{.request_id = request.id, .model = prepared.front().model->name};
  for (const PreparedRequest& part : prepared) {
    wish.prompt_tokens += std::ssize(part.prompt);
    wish.max_output_tokens += part.max_output_tokens();
  }
  std::variant<Admission, Refusal> admitted = accounts.admit(key, wish);
  if (const auto* refusal = std::get_if<Refusal>(&admitted)) throw_refusal(*refusal);
  return std::move(std::get<Admission>(admitted));
}

Usage usage_so_far(const std::vector<Answer>& answers) {
  // What was not begun costs nothing.
  std::vector<Answer> begun;
  for (const Answer& answer : answers) {
    if (answer.has_started()) begun.push_back(answer);
  }
  return sum(begun);
}

void record_outcome(const std::vector<Answer>& answers, RequestRecord& record) {
  record.usage = usage_so_far(answers);
  const Answer& first = answers.front();
  record.model = first.model().name;
  if (!first.has_started()) return;
  const AnswerStarted& started = first.started();
  record.queue = started.queue_seconds + started.load_seconds;
  record.prefill = started.prefill_seconds;
  record.time_to_first_token = *record.queue + started.prefill_seconds;
  record.decode = first.seconds() - *record.time_to_first_token;
}

// The usage is on the disk when this returns; throws if it cannot be written.
asio::awaitable<void> settle(Admission admission, const Usage& usage, Accounts& accounts,
                             const std::string& model, Metrics& metrics) {
  const auto signal = std::make_shared<Signal>(co_await asio::this_coro::executor);
  struct Result {
    Charge charge;
    std::exception_ptr failure;
  };
  const auto result = std::make_shared<Result>();
  accounts.settle(std::move(admission), usage, Outcome::finished,
                  [signal, result](const Charge& charge, std::exception_ptr failure) {
                    result->charge = charge;
                    result->failure = std::move(failure);
                    signal->set();
                  });
  while (!co_await signal->wait(std::chrono::hours(1))) {
  }
  if (result->failure) {
    throw ApiError(ApiError::Kind::overloaded, "the usage of this request cannot be recorded");
  }
  metrics.model(model).charged(result->charge.amount, result->charge.currency);
}

void submit_all(std::vector<PreparedRequest> prepared, const std::shared_ptr<Signal>& signal,
                std::size_t unread_bytes, Flight& flight) {
  std::size_t choices = 0;
  for (PreparedRequest& part : prepared) {
    flight.answers.emplace_back(part, choices);
    choices += static_cast<std::size_t>(part.choices);
    const auto queue = std::make_shared<AnswerQueue>(unread_bytes, [signal] { signal->set(); });
    flight.queues.push_back(queue);
    flight.engines.submit(std::move(part), queue);
  }
}

// How a call is answered.
struct Delivery {
  AnswerWriter& writer;
  ReplyWriter& reply;
  bool stream;
  std::vector<std::pair<std::string, std::string>> headers;  // of the rate limits

  std::string type() const {
    return stream ? std::string(writer.stream_type()) : std::string("application/json");
  }
  // A stream's next bytes; false when the client is gone.
  asio::awaitable<bool> write(std::string bytes) {
    if (!reply.begun()) {
      const bool begun = co_await reply.begin(type(), headers);
      if (!begun) co_return false;
    }
    co_return co_await reply.write(bytes);
  }
};

// Takes what comes until all has come, and sends it on where it is streamed. False when the reader
// is gone, or reads too slowly. Throws the ApiError of a request that failed.
asio::awaitable<bool> follow(Flight& flight, Delivery& delivery, Signal& signal, const Watch& watch,
                             std::chrono::seconds quiet_time) {
  bool written_begin = false;
  struct Seen {
    std::size_t prompt;
    AnswerProgress progress;
  };
  std::vector<Seen> seen;  // and not yet written
  for (;;) {
    const bool complete = flight.complete();
    if (complete && (written_begin || !delivery.stream)) co_return true;
    if (!complete) {
      const bool news = co_await signal.wait(quiet_time);
      if (watch.gone) co_return false;
      if (!news) {
        // DeepSeek's way to keep proxies and clients from giving up.
        std::string sign = delivery.stream ? delivery.writer.keep_alive() : std::string("\n");
        const bool there = co_await delivery.write(std::move(sign));
        if (!there) co_return false;
        continue;
      }
    }
    for (std::size_t i = 0; i < flight.queues.size(); ++i) {
      if (flight.queues[i]->overflowed()) co_return false;
      for (AnswerItem& item : flight.queues[i]->take()) {
        flight.answers[i].add(item);
        auto* progress = std::get_if<AnswerProgress>(&item);
        if (delivery.stream && progress != nullptr) seen.push_back({i, std::move(*progress)});
      }
    }
    if (!delivery.stream || !flight.started()) continue;
    std::string out;
    if (!std::exchange(written_begin, true)) out = delivery.writer.begin(flight.answers);
    for (const Seen& item : seen) {
      out += delivery.writer.progress(flight.answers[item.prompt], item.progress);
    }
    seen.clear();
    if (out.empty()) continue;
    const bool there = co_await delivery.write(std::move(out));
    if (!there) co_return false;
  }
}

asio::awaitable<void> send_end(const std::vector<Answer>& answers, Delivery& delivery) {
  if (delivery.stream) {
    const bool there = co_await delivery.write(delivery.writer.end(answers));
    if (there) co_await delivery.reply.end();
    co_return;
  }
  HttpReply whole = delivery.writer.whole(answers);
  if (delivery.reply.begun()) {  // after blank lines
    const bool there = co_await delivery.write(std::move(whole.body));
    if (there) co_await delivery.reply.end();
    co_return;
  }
  whole.headers.insert(whole.headers.end(), delivery.headers.begin(), delivery.headers.end());
  co_await delivery.reply.send(whole);
}

// A failure after the reply's status was sent.
asio::awaitable<void> send_failure(const ApiError& error, Delivery& delivery) {
  std::string last = delivery.writer.error(error);
  const bool there = co_await delivery.write(std::move(last));
  if (there) co_await delivery.reply.end();
}

std::string_view finish_reason(const Answer& answer) {
  const bool stopped =
      !answer.choices().empty() && answer.choices()[0].ending.reason == FinishReason::stop;
  return stopped ? "stop" : "length";
}

}  // namespace

asio::awaitable<void> drive_call(Call call, const HttpRequest& request, const Key& key,
                                 Transport& transport, ReplyWriter& reply, ServerState& server,
                                 RequestRecord& record) {
  const Services& services = server.services;
  const Limits& limits = services.config.limits;
  const CatalogEntry& model = services.catalog.find(call.requests.front().model);
  record.model = model.name;
  std::vector<PreparedRequest> prepared = prepare_all(call, model, services.config);
  record.max_tokens = prepared.front().max_output_tokens();
  record.choices = prepared.front().choices;
  Admission admission = admit(prepared, request, key, services.accounts);
  Delivery delivery{*call.writer, reply, call.stream, admission.rate_limits().headers()};

  const auto executor = co_await asio::this_coro::executor;
  const auto signal = std::make_shared<Signal>(executor);
  Flight flight{services.engines};
  submit_all(std::move(prepared), signal, limits.unread_bytes, flight);
  const auto watch = std::make_shared<Watch>();
  asio::co_spawn(executor, watch_reader(transport, watch, signal), asio::detached);
  const EndOfWatch end_of_watch{watch};

  std::optional<ApiError> failure;
  bool there = false;
  try {
    there = co_await follow(flight, delivery, *signal, *watch, limits.quiet_time);
  } catch (const ApiError& error) {
    failure = error;
  }
  record_outcome(flight.answers, record);
  if (!failure && !there) {
    flight.abandon();
    record.finish_reason = "abort";
    services.accounts.settle(std::move(admission), record.usage, Outcome::cancelled,
                             [](const Charge&, std::exception_ptr) {});
    co_return;
  }
  if (!failure) {
    try {
      co_await settle(std::move(admission), record.usage, services.accounts, model.name,
                      services.metrics);
    } catch (const ApiError& error) {
      failure = error;
    }
  }
  if (failure) {
    // The admission, unsettled, is recorded as failed and free.
    if (!reply.begun()) throw ApiError(*failure);
    record.error = failure->what();
    co_await send_failure(*failure, delivery);
    co_return;
  }
  record.finish_reason = finish_reason(flight.answers.front());
  co_await send_end(flight.answers, delivery);
}

asio::awaitable<void> drive_load(LoadCall call, ReplyWriter& reply, ServerState& server) {
  const auto signal = std::make_shared<Signal>(co_await asio::this_coro::executor);
  const auto problem = std::make_shared<std::string>();
  server.services.engines.load(*call.model, call.keep_alive,
                               [signal, problem](const std::string& text) {
                                 *problem = text;
                                 signal->set();
                               });
  while (!co_await signal->wait(std::chrono::hours(1))) {
  }
  if (!problem->empty()) throw ApiError(ApiError::Kind::overloaded, *problem);
  co_await reply.send(call.reply);
}

}  // namespace r1::serve
