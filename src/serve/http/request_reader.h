#pragma once

#include <optional>
#include <string>

#include "serve/http/message.h"
#include "serve/http/transport.h"
#include "serve/limits.h"

namespace r1::serve {

// Reads the requests of one connection, one after another, each within its bounds.
class RequestReader {
 public:
  RequestReader(Transport& transport, const Limits& limits)
      : transport_(transport), limits_(limits) {}

  struct Result {
    // ended: between two requests, or without having sent a whole one in time.
    enum class Kind { request, refused, ended } kind = Kind::ended;
    HttpRequest request;
    bool keep_alive = true;  // further requests may follow
    bool is_1_0 = false;
    int status = 400;     // of a refusal
    std::string message;  // why
  };
  // first: no request has come yet on this connection.
  asio::awaitable<Result> next(bool first);

 private:
  // Reads on; false at the end or when time is up.
  asio::awaitable<bool> read_more(ErrorCode& error);
  asio::awaitable<bool> read_head(bool first, Result& result, std::size_t& head_size);

  Transport& transport_;
  const Limits& limits_;
  std::string buffer_;  // not yet parsed
};

}  // namespace r1::serve
