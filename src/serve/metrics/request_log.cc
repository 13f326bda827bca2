#include "serve/metrics/request_log.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/error.h"

namespace r1::serve {
namespace {

using Json = nlohmann::ordered_json;

double rounded_ms(double seconds) { return std::round(seconds * 1e6) / 1e3; }

// "2026-11-28T10:15:02.123Z"
std::string rfc3339(WallTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)),
                     (time - seconds).count());
}

void add_text(Json& line, const char* name, const std::string& value) {
  if (!value.empty()) line[name] = value;
}
void add_time(Json& line, const char* name, std::optional<double> seconds) {
  if (seconds) line[name] = rounded_ms(*seconds);
}

Json describe(const RequestRecord& record, bool texts) {
  Json line;
  line["request_id"] = record.id;
  add_text(line, "key", record.key_id);
  line["endpoint"] = record.endpoint;
  add_text(line, "model", record.model);
  line["status"] = record.status;
  add_text(line, "finish_reason", record.finish_reason);
  add_text(line, "error", record.error);
  if (record.usage.total_tokens() > 0) {
    line["prompt_tokens"] = record.usage.prompt_tokens();
    line["cache_hit_tokens"] = record.usage.cache_hit_tokens;
    line["completion_tokens"] = record.usage.completion_tokens;
    line["reasoning_tokens"] = record.usage.reasoning_tokens;
  }
  if (record.choices > 1) line["choices"] = record.choices;
  add_time(line, "queue_ms", record.queue);
  add_time(line, "prefill_ms", record.prefill);
  add_time(line, "decode_ms", record.decode);
  add_time(line, "first_token_ms", record.time_to_first_token);
  add_time(line, "total_ms", record.total);
  if (texts) {
    add_text(line, "prompt", record.prompt.substr(0, RequestLog::kMaxLoggedText));
    add_text(line, "reply", record.reply.substr(0, RequestLog::kMaxLoggedText));
  }
  return line;
}

}  // namespace

RequestLog::RequestLog(RequestLogSettings settings, Clock clock)
    : settings_(std::move(settings)), clock_(std::move(clock)), fd_(STDERR_FILENO) {
  if (settings_.file.empty()) return;
  fd_ = ::open(settings_.file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd_ < 0) {
    throw Error(settings_.file.native(),
                fmt::format("cannot write: {}", std::generic_category().message(errno)));
  }
}

RequestLog::~RequestLog() {
  if (fd_ != STDERR_FILENO) ::close(fd_);
}

void RequestLog::write(const RequestRecord& record) {
  Json line = {{"time", rfc3339(clock_.wall())}};
  line.update(describe(record, settings_.texts));
  // A text that was cut inside a character, or that never was UTF-8, shows U+FFFD there.
  const std::string text = line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  const std::lock_guard guard(mutex_);
  ssize_t written;
  do {
    written = ::write(fd_, text.data(), text.size());
  } while (written < 0 && errno == EINTR);
}

}  // namespace r1::serve
