#pragma once

#include <memory>

#include "serve/http/transport.h"

namespace r1::serve {

struct ServerState;

// Answers the requests of one connection until it ends.
asio::awaitable<void> serve_connection(std::unique_ptr<Transport> transport, ServerState& server);

}  // namespace r1::serve
