#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "serve/accounts/accounts.h"
#include "serve/answer.h"
#include "serve/api_error.h"
#include "serve/catalog.h"
#include "serve/config.h"
#include "serve/generation_request.h"
#include "serve/http/message.h"
#include "serve/metrics/metrics.h"
#include "serve/service/engine_service.h"

// A dialect is how one API words requests, answers and errors. It reads an HTTP request into our
// own terms and writes answers; it knows no sockets and no threads:
//
//   HTTP request -> Handler -> Call (what is asked, and who writes the answer)
//   Call.requests -> prepare -> EngineService -> AnswerItems -> AnswerWriter -> bytes
namespace r1::serve {

// Writes one answer. As a stream: begin(), progress() for every item, end(); or error() instead of
// what is left. Whole: whole().
class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;

  virtual std::string_view stream_type() const { return "text/event-stream"; }
  virtual std::string begin(const std::vector<Answer>& /*answers*/) { return {}; }
  // What `progress`, already added to the answer, lets a reader see; may be empty.
  virtual std::string progress(const Answer& answer, const AnswerProgress& progress) = 0;
  virtual std::string end(const std::vector<Answer>& answers) = 0;
  virtual std::string error(const ApiError& error) const = 0;
  // Tells a waiting client that it is not forgotten; a stream can do so at any time, a whole answer
  // before it begins (white space, for JSON).
  virtual std::string keep_alive() const { return ": keep-alive\n\n"; }

  virtual HttpReply whole(const std::vector<Answer>& answers) = 0;
};

// A request for completions: one per prompt.
struct Call {
  std::vector<GenerationRequest> requests;
  bool stream = false;
  std::unique_ptr<AnswerWriter> writer;
  std::optional<std::int64_t> keep_alive;  // of the model, seconds
};

// A request to have a model in memory, or not; `reply` is sent when it is.
struct LoadCall {
  const CatalogEntry* model = nullptr;
  std::optional<std::int64_t> keep_alive;
  HttpReply reply;
};

using HandlerResult = std::variant<HttpReply, Call, LoadCall>;

// What handlers may ask.
struct Services {
  const ServerConfig& config;
  const Catalog& catalog;
  EngineService& engines;
  Accounts& accounts;
  Metrics& metrics;
  std::int64_t started = 0;  // seconds since 1970
};

// Throws ApiError for a request that it refuses.
using Handler = std::function<HandlerResult(const HttpRequest& request, const Key& key,
                                            const Services& services)>;
// An error in the dialect's words.
using ErrorWriter = HttpReply (*)(const ApiError& error, const HttpRequest& request);

struct Route {
  std::string_view method;
  std::string pattern;  // "/v1/models/{id}": a name in braces stands for the rest of the path
  ErrorWriter error;
  Handler handler;
  bool open = false;  // answers without a key
};

// Of all dialects; the order does not matter.
std::vector<Route> all_routes();

}  // namespace r1::serve
