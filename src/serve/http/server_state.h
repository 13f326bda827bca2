#pragma once

#include <cstdint>

#include "serve/dialect.h"
#include "serve/metrics/request_log.h"
#include "serve/router.h"

namespace r1::serve {

// What the connections of a server share. The counts belong to the network's thread.
struct ServerState {
  const Services& services;
  const Router& router;
  RequestLog& log;
  std::uint64_t requests = 0;  // since the start
  std::size_t connections = 0;
  std::size_t answering = 0;  // requests that are being answered
  bool stopping = false;      // connections end after the answer that is under way
};

}  // namespace r1::serve
