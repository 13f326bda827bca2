#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace r1::serve {

// What one client may take from the server. Every bound of the service is here; those that an
// operator may want otherwise are keys of serve.yaml (docs/serving.md).
struct Limits {
  using Seconds = std::chrono::seconds;

  std::size_t connections = 16384;
  std::size_t header_bytes = std::size_t{16} << 10;
  std::size_t header_fields = 100;
  std::size_t body_bytes = std::size_t{16} << 20;
  Seconds header_time{10};  // from the first byte of a request to the end of its header
  Seconds body_time{60};    // from there to the end of its body
  Seconds idle_time{120};   // between requests
  Seconds write_time{30};   // until a reader takes what is sent
  Seconds request_time{1800};
  Seconds quiet_time{10};  // a waiting client is told after so long that it is not forgotten

  std::size_t json_depth = 64;
  std::size_t json_values = std::size_t{1} << 20;

  std::int64_t queued_sequences = 512;              // that wait or run, over all models
  std::int64_t running_sequences = 64;              // of one model at once
  std::int64_t choices = 128;                       // "n" and "best_of" of one request
  std::size_t unread_bytes = std::size_t{8} << 20;  // of one answer whose reader is slow
};

}  // namespace r1::serve
