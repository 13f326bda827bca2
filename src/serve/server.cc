#include "serve/server.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <utility>

#include "base/error.h"
#include "serve/dialects/fields.h"
#include "serve/http/connection.h"
#include "serve/http/server_state.h"

namespace r1::serve {
namespace {

using asio::ip::tcp;

// As many open files as connections need, as far as the system lets us.
void raise_file_limit(std::size_t connections) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = connections + 256;
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

AccountsSettings accounts_settings(const ServerConfig& config) {
  AccountsSettings settings;
  settings.file = config.keys.value_or("");
  settings.require_keys = config.keys.has_value();
  settings.prices = config.prices;
  return settings;
}

constexpr std::string_view kTooMany =
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    "Content-Length: 0\r\n\r\n";

}  // namespace

class Server::Impl {
 public:
  explicit Impl(ServerConfig config)
      : config_(std::move(config)),
        catalog_(config_),
        accounts_(accounts_settings(config_)),
        log_({.file = config_.log.value_or(""), .texts = config_.log_prompts}),
        engines_(catalog_, config_, metrics_),
        router_(all_routes()) {
    if (config_.tls_certificate.has_value() != config_.tls_key.has_value()) {
      throw Error("tls", "a certificate and its key are needed, both or none");
    }
    if (config_.tls_certificate) load_certificate();
  }

  void run(const std::function<void(const std::string&)>& ready) {
    raise_file_limit(config_.limits.connections);
    listen();
    asio::signal_set signals(io_, SIGINT, SIGTERM);
    asio::co_spawn(io_, accept(), asio::detached);
    asio::co_spawn(io_, heed(signals), asio::detached);
    const tcp::endpoint at = acceptor_.local_endpoint();
    const std::string host = at.address().is_v6() ? fmt::format("[{}]", at.address().to_string())
                                                  : at.address().to_string();
    ready(fmt::format("{}://{}:{}", tls_ ? "https" : "http", host, at.port()));
    io_.run();
    engines_.stop();  // whoever is still waiting waits on this network
  }

  void stop() {
    asio::post(io_, [this] { begin_to_stop(); });
  }

 private:
  void load_certificate() {
    tls_.emplace(asio::ssl::context::tls_server);
    tls_->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                      asio::ssl::context::no_tlsv1_1);
    ErrorCode error;
    tls_->use_certificate_chain_file(config_.tls_certificate->string(), error);
    if (error) throw Error(config_.tls_certificate->string(), error.message());
    tls_->use_private_key_file(config_.tls_key->string(), asio::ssl::context::pem, error);
    if (error) throw Error(config_.tls_key->string(), error.message());
  }

  void listen() {
    const std::string where = fmt::format("{}:{}", config_.host, config_.port);
    ErrorCode error;
    tcp::resolver resolver(io_);
    const auto found = resolver.resolve(config_.host, std::to_string(config_.port), error);
    if (error || found.empty()) throw Error(where, "there is no such address", "see --host");
    const tcp::endpoint endpoint = *found.begin();
    acceptor_.open(endpoint.protocol());
    acceptor_.set_option(tcp::acceptor::reuse_address(true));
    acceptor_.bind(endpoint, error);
    if (error) {
      throw Error(where, fmt::format("cannot listen here: {}", error.message()),
                  "choose another --port, or 0 for any that is free");
    }
    acceptor_.listen(4096);
  }

  asio::awaitable<void> accept() {
    asio::steady_timer pause(io_);
    while (acceptor_.is_open()) {
      ErrorCode error;
      tcp::socket socket =
          co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (error == asio::error::operation_aborted) co_return;
      if (error) {  // out of files: those that are open will end
        pause.expires_after(std::chrono::milliseconds(100));
        ErrorCode ignored;
        co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        continue;
      }
      if (state_.connections >= config_.limits.connections) {
        socket.non_blocking(true, error);
        socket.write_some(asio::buffer(kTooMany), error);
        continue;
      }
      socket.set_option(tcp::no_delay(true), error);
      socket.set_option(asio::socket_base::keep_alive(true), error);
      asio::co_spawn(io_, serve(std::move(socket)), asio::detached);
    }
  }

  asio::awaitable<void> serve(tcp::socket socket) {
    metrics_.connections(static_cast<std::int64_t>(++state_.connections));
    try {
      std::unique_ptr<Transport> transport =
          tls_ ? tls_transport(std::move(socket), *tls_) : plain_transport(std::move(socket));
      co_await serve_connection(std::move(transport), state_);
    } catch (const std::exception&) {
      // A connection's end is its own matter.
    }
    metrics_.connections(static_cast<std::int64_t>(--state_.connections));
  }

  asio::awaitable<void> heed(asio::signal_set& signals) {
    for (;;) {
      ErrorCode error;
      co_await signals.async_wait(asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return;
      // At once: what the ledger needs is on the disk.
      if (state_.stopping) std::_Exit(1);
      begin_to_stop();
    }
  }

  void begin_to_stop() {
    if (std::exchange(state_.stopping, true)) return;
    ErrorCode error;
    acceptor_.close(error);
    engines_.refuse_new();
    asio::co_spawn(io_, end_when_answered(), asio::detached);
  }

  asio::awaitable<void> end_when_answered() {
    asio::steady_timer timer(io_);
    while (state_.answering > 0) {
      ErrorCode error;
      timer.expires_after(std::chrono::milliseconds(20));
      co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
    }
    io_.stop();
  }

  const ServerConfig config_;
  Catalog catalog_;
  Metrics metrics_;
  Accounts accounts_;
  RequestLog log_;
  EngineService engines_;
  Router router_;
  std::optional<asio::ssl::context> tls_;
  Services services_{config_, catalog_, engines_, accounts_, metrics_, unix_time()};
  ServerState state_{services_, router_, log_};
  asio::io_context io_{1};
  tcp::acceptor acceptor_{io_};
};

Server::Server(ServerConfig config) : impl_(std::make_unique<Impl>(std::move(config))) {}
Server::~Server() = default;
void Server::run(const std::function<void(const std::string&)>& ready) { impl_->run(ready); }
void Server::stop() { impl_->stop(); }

}  // namespace r1::serve
