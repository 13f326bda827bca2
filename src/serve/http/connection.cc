#include "serve/http/connection.h"

#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <utility>

#include "base/error.h"
#include "serve/http/call_driver.h"
#include "serve/http/origin.h"
#include "serve/http/request_reader.h"

namespace r1::serve {
namespace {

using SteadyClock = std::chrono::steady_clock;

std::string new_request_id(ServerState& server) {
  return fmt::format("req-{:x}-{:x}",
                     std::chrono::system_clock::now().time_since_epoch().count() / 1000,
                     ++server.requests);
}

std::string_view token_of(const HttpRequest& request) {
  constexpr std::string_view kBearer = "bearer ";
  std::string_view value = request.header("authorization");
  if (value.size() > kBearer.size()) {
    const bool bearer = std::equal(kBearer.begin(), kBearer.end(), value.begin(),
                                   [](char a, char b) { return a == (b | 0x20); });
    if (bearer) return value.substr(kBearer.size());
  }
  return request.header("x-api-key");
}

HttpReply preflight(const HttpRequest& request, const std::string& methods) {
  HttpReply reply;
  reply.status = 204;
  reply.headers = {{"Allow", methods},
                   {"Access-Control-Allow-Methods", methods},
                   {"Access-Control-Max-Age", "600"}};
  if (const auto wanted = request.header("access-control-request-headers"); !wanted.empty()) {
    reply.headers.emplace_back("Access-Control-Allow-Headers", std::string(wanted));
  }
  return reply;
}

void add_error_headers(HttpReply& reply, const ApiError& error) {
  if (error.retry_after > 0) {
    reply.headers.emplace_back("Retry-After", std::to_string(error.retry_after));
  }
  if (error.kind == ApiError::Kind::unauthorized) {
    reply.headers.emplace_back("WWW-Authenticate", "Bearer");
  }
}

ApiError to_error(const Refusal& refusal) {
  ApiError error(ApiError::Kind::unauthorized, refusal.message, {}, refusal.code);
  return error;
}

// Answers one request.
asio::awaitable<void> answer(const HttpRequest& request, const OriginVerdict& origin,
                             Transport& transport, ReplyWriter& reply, ServerState& server) {
  const SteadyClock::time_point start = SteadyClock::now();
  RequestRecord record;
  record.id = request.id;
  std::optional<HttpReply> refusal;
  ErrorWriter error_writer = server.router.error_writer(request);
  try {
    if (!origin.allowed) throw ApiError(ApiError::Kind::forbidden, origin.reason);
    if (request.method == "OPTIONS") {
      co_await reply.send(preflight(request, server.router.methods(request.path)));
      co_return;
    }
    const Route& route = server.router.find(request);
    record.endpoint = route.pattern;
    error_writer = route.error;
    Key key;
    if (!route.open) {
      auto found = server.services.accounts.authenticate(token_of(request));
      if (const auto* refused = std::get_if<Refusal>(&found)) throw to_error(*refused);
      key = std::get<Key>(std::move(found));
      record.key_id = key.id;
    }
    HandlerResult result = route.handler(request, key, server.services);
    if (auto* whole = std::get_if<HttpReply>(&result)) {
      co_await reply.send(*whole);
    } else if (auto* load = std::get_if<LoadCall>(&result)) {
      co_await drive_load(std::move(*load), reply, server);
    } else {
      co_await drive_call(std::move(std::get<Call>(result)), request, key, transport, reply, server,
                          record);
    }
  } catch (const ApiError& error) {
    refusal = error_writer(error, request);
    add_error_headers(*refusal, error);
    record.error = error.code.empty() ? error.what() : error.code;
  } catch (const std::exception& error) {
    refusal = error_writer(ApiError(ApiError::Kind::internal, error.what()), request);
    record.error = error.what();
  }
  if (refusal && !reply.begun()) co_await reply.send(*refusal);
  record.status = reply.status();
  record.total = std::chrono::duration<double>(SteadyClock::now() - start).count();
  server.services.metrics.finished(record);
  server.log.write(record);
}

}  // namespace

asio::awaitable<void> serve_connection(std::unique_ptr<Transport> transport, ServerState& server) {
  const Limits& limits = server.services.config.limits;
  transport->expires_after(limits.header_time);
  const ErrorCode failed = co_await transport->handshake();
  if (failed) co_return;
  RequestReader reader(*transport, limits);
  bool first = true;
  for (;;) {
    RequestReader::Result read = co_await reader.next(first);
    first = false;
    if (read.kind == RequestReader::Result::Kind::ended) break;
    HttpRequest& request = read.request;
    request.id = new_request_id(server);
    ReplyWriter::Options options{.keep_alive = read.keep_alive && !server.stopping,
                                 .is_1_0 = read.is_1_0,
                                 .is_head = request.method == "HEAD",
                                 .headers = {{"x-request-id", request.id}}};
    if (read.kind == RequestReader::Result::Kind::refused) {
      options.keep_alive = false;
      ReplyWriter reply(*transport, limits, std::move(options));
      HttpReply words{
          .status = read.status,
          .body = fmt::format("{{\"error\":{{\"message\":\"{}\",\"type\":"
                              "\"invalid_request_error\",\"param\":null,\"code\":null}}}}",
                              read.message)};
      co_await reply.send(words);
      break;
    }
    const OriginVerdict origin = judge_origin(request, server.services.config);
    if (!origin.allow_origin.empty()) {
      options.headers.emplace_back("Access-Control-Allow-Origin", origin.allow_origin);
      options.headers.emplace_back("Access-Control-Expose-Headers", "x-request-id, Retry-After");
      options.headers.emplace_back("Vary", "Origin");
    }
    ReplyWriter reply(*transport, limits, std::move(options));
    ++server.answering;
    co_await answer(request, origin, *transport, reply, server);
    --server.answering;
    if (!reply.keep_alive() || server.stopping) break;
  }
  co_await transport->close();
}

}  // namespace r1::serve
