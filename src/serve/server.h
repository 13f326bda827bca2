#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "serve/config.h"

namespace r1::serve {

// The whole server: models, accounts and the network. Reads every model's files but the weights
// when it is made, so that what cannot be served is found before it listens.
class Server {
 public:
  // Throws Error: a model, a certificate, the accounts' file.
  explicit Server(ServerConfig config);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Listens and serves until SIGTERM, SIGINT or stop(): then takes nothing new, ends what is under
  // way and returns. A second signal ends at once. `ready` is told the address that it listens at,
  // "http://127.0.0.1:8080". Throws Error when it cannot listen.
  void run(const std::function<void(const std::string& url)>& ready);
  // Any thread, at any time after `ready`.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace r1::serve
