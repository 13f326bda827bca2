#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serve/http/message.h"
#include "serve/http/transport.h"
#include "serve/limits.h"

namespace r1::serve {

// Writes the reply to one request: whole, or begun and written on in chunks.
class ReplyWriter {
 public:
  struct Options {
    bool keep_alive = true;
    bool is_1_0 = false;   // has no chunks: the end of the connection is that of the body
    bool is_head = false;  // the body is left out
    std::vector<std::pair<std::string, std::string>> headers;  // of every reply
  };
  ReplyWriter(Transport& transport, const Limits& limits, Options options)
      : transport_(transport), limits_(limits), options_(std::move(options)) {}

  // False when the client is gone.
  asio::awaitable<bool> send(const HttpReply& reply);
  asio::awaitable<bool> begin(std::string_view type,
                              const std::vector<std::pair<std::string, std::string>>& headers);
  asio::awaitable<bool> write(std::string_view bytes);
  asio::awaitable<bool> end();

  bool begun() const { return begun_; }
  int status() const { return status_; }  // 0: nothing was sent
  // Whether another request may follow on this connection.
  bool keep_alive() const { return options_.keep_alive && ended_; }

 private:
  std::string head(int status, std::string_view type,
                   const std::vector<std::pair<std::string, std::string>>& headers) const;
  asio::awaitable<bool> put(std::string_view bytes);

  Transport& transport_;
  const Limits& limits_;
  Options options_;
  bool begun_ = false, ended_ = false;
  int status_ = 0;
};

}  // namespace r1::serve
