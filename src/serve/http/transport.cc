#include "serve/http/transport.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <utility>

namespace r1::serve {
namespace {

using asio::ip::tcp;
using Socket = tcp::socket::lowest_layer_type;
using Time = std::chrono::steady_clock::time_point;

auto into(ErrorCode& error) { return asio::redirect_error(asio::use_awaitable, error); }

// Ends an operation on a socket when its time is over, and leaves the socket open: there may be
// something to say about it.
class Deadline {
 public:
  explicit Deadline(Socket& socket)
      : socket_(socket), state_(std::make_shared<State>(socket.get_executor())) {}
  // The timer's handler may come late.
  ~Deadline() { ++state_->operation; }

  void set(std::chrono::steady_clock::duration time) {
    at_ = std::chrono::steady_clock::now() + time;
  }
  void begin() {
    const std::uint64_t operation = ++state_->operation;
    state_->over = false;
    state_->timer.expires_at(at_);
    state_->timer.async_wait([state = state_, operation, &socket = socket_](ErrorCode error) {
      if (error || state->operation != operation) return;
      state->over = true;
      socket.cancel(error);
    });
  }
  // `error`, or that time was over.
  ErrorCode end(ErrorCode error) {
    ++state_->operation;
    state_->timer.cancel();
    return error && state_->over ? ErrorCode(asio::error::timed_out) : error;
  }

 private:
  struct State {
    explicit State(const Socket::executor_type& executor) : timer(executor) {}
    asio::steady_timer timer;
    std::uint64_t operation = 0;  // goes up when one begins or ends
    bool over = false;
  };
  Socket& socket_;
  std::shared_ptr<State> state_;
  Time at_ = Time::max();
};

// Over a socket (plain) or what encrypts it.
template <typename Stream>
class StreamTransport : public Transport {
 public:
  template <typename... Arguments>
  explicit StreamTransport(Arguments&&... arguments)
      : stream_(std::forward<Arguments>(arguments)...) {}

  asio::awaitable<std::size_t> read_some(char* data, std::size_t size, ErrorCode& error) override {
    deadline_.begin();
    const std::size_t got = co_await stream_.async_read_some(asio::buffer(data, size), into(error));
    error = deadline_.end(error);
    co_return got;
  }
  asio::awaitable<ErrorCode> write(std::string_view bytes) override {
    ErrorCode error;
    deadline_.begin();
    co_await asio::async_write(stream_, asio::buffer(bytes.data(), bytes.size()), into(error));
    co_return deadline_.end(error);
  }
  void expires_after(std::chrono::steady_clock::duration time) override { deadline_.set(time); }

 protected:
  // A close() with bytes of theirs unread would reset the connection before they have read what was
  // sent.
  asio::awaitable<void> linger() {
    ErrorCode error;
    socket().shutdown(tcp::socket::shutdown_send, error);
    char rest[1024];
    deadline_.set(std::chrono::seconds(1));
    for (int i = 0; i < 64 && !error; ++i) {
      deadline_.begin();
      co_await socket().async_receive(asio::buffer(rest), into(error));
      error = deadline_.end(error);
    }
    socket().close(error);
  }

  Stream stream_;
  Deadline deadline_{stream_.lowest_layer()};
};

class PlainTransport final : public StreamTransport<tcp::socket> {
 public:
  explicit PlainTransport(tcp::socket socket) : StreamTransport(std::move(socket)) {}

  asio::awaitable<ErrorCode> handshake() override { co_return ErrorCode(); }
  asio::awaitable<void> close() override { co_await linger(); }
  tcp::socket& socket() override { return stream_; }
};

class TlsTransport final : public StreamTransport<asio::ssl::stream<tcp::socket>> {
 public:
  TlsTransport(tcp::socket socket, asio::ssl::context& context)
      : StreamTransport(std::move(socket), context) {}

  asio::awaitable<ErrorCode> handshake() override {
    ErrorCode error;
    deadline_.begin();
    co_await stream_.async_handshake(asio::ssl::stream_base::server, into(error));
    co_return deadline_.end(error);
  }
  asio::awaitable<void> close() override {
    ErrorCode error;
    deadline_.set(std::chrono::seconds(1));
    deadline_.begin();
    co_await stream_.async_shutdown(into(error));
    deadline_.end(error);
    co_await linger();
  }
  tcp::socket& socket() override { return stream_.next_layer(); }
};

}  // namespace

std::unique_ptr<Transport> plain_transport(tcp::socket socket) {
  return std::make_unique<PlainTransport>(std::move(socket));
}

std::unique_ptr<Transport> tls_transport(tcp::socket socket, asio::ssl::context& context) {
  return std::make_unique<TlsTransport>(std::move(socket), context);
}

}  // namespace r1::serve
