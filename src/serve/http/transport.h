#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string_view>

#include "serve/http/asio.h"

namespace r1::serve {

// A connection's bytes, plain or over TLS. Operations that take longer than the time set last fail
// with asio::error::timed_out. One thread.
class Transport {
 public:
  virtual ~Transport() = default;

  virtual asio::awaitable<ErrorCode> handshake() = 0;
  // Reads some bytes; 0 with an error at the end.
  virtual asio::awaitable<std::size_t> read_some(char* data, std::size_t size,
                                                 ErrorCode& error) = 0;
  virtual asio::awaitable<ErrorCode> write(std::string_view bytes) = 0;
  // Tells the other side that nothing more comes, and waits a little for it to do the same.
  virtual asio::awaitable<void> close() = 0;
  // From now on, for what is begun afterwards.
  virtual void expires_after(std::chrono::steady_clock::duration time) = 0;
  virtual asio::ip::tcp::socket& socket() = 0;
};

std::unique_ptr<Transport> plain_transport(asio::ip::tcp::socket socket);
std::unique_ptr<Transport> tls_transport(asio::ip::tcp::socket socket, asio::ssl::context& context);

}  // namespace r1::serve
