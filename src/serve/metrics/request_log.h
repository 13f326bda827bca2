#pragma once

#include <filesystem>
#include <mutex>
#include <string>

#include "serve/accounts/clock.h"
#include "serve/metrics/request_record.h"

namespace r1::serve {

struct RequestLogSettings {
  std::filesystem::path file =
      {};              // appended to, created for its owner alone; empty: standard error
  bool texts = false;  // keep what was asked and answered
};

// One JSON object per request and line:
//
//   {"time":"2026-11-28T10:15:02.123Z","request_id":"req-1","key":"sk-r1-a1b2c3d4",
//    "endpoint":"/v1/chat/completions","model":"nano","status":200,"finish_reason":"stop",
//    "prompt_tokens":30,"cache_hit_tokens":0,"completion_tokens":64,"reasoning_tokens":40,
//    "queue_ms":0.1,"prefill_ms":3.2,"decode_ms":80.5,"first_token_ms":4.5,"total_ms":90.2}
//
// What has no value is left out. Prompt and reply appear only with `texts`, each cut at
// kMaxLoggedText bytes.
class RequestLog {
 public:
  static constexpr std::size_t kMaxLoggedText = 16 << 10;

  // Throws Error if the file cannot be written.
  explicit RequestLog(RequestLogSettings settings = {}, Clock clock = {});
  ~RequestLog();
  RequestLog(const RequestLog&) = delete;
  RequestLog& operator=(const RequestLog&) = delete;

  // Thread-safe; one write() per line. A full disk loses lines, not requests.
  void write(const RequestRecord& record);

 private:
  RequestLogSettings settings_;
  Clock clock_;
  int fd_ = -1;
  std::mutex mutex_;
};

}  // namespace r1::serve
