#include "cli/terminal.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/progress_text.h"
#include "text/utf8.h"

namespace r1::cli {
namespace {

// Where the signal handler notes a Ctrl-C: it can reach nothing but what lives as long as the
// program.
std::atomic<int> interrupt_event{-1};
static_assert(std::atomic<int>::is_always_lock_free);

void note_interrupt(int) {
  const int kept = errno;
  eventfd_write(interrupt_event, 1);
  errno = kept;
}

constexpr const char* kByteUnits[] = {"kB", "MB", "GB", "TB", "PB"};

}  // namespace

bool stdin_is_terminal() { return isatty(STDIN_FILENO) == 1; }
bool stdout_is_terminal() { return isatty(STDOUT_FILENO) == 1; }

bool stdout_has_styles() {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return stdout_is_terminal() && (no_color == nullptr || *no_color == '\0') &&
         (term == nullptr || std::string_view(term) != "dumb");
}

std::string printable(std::string_view text) {
  std::string out;
  for (;;) {
    const std::size_t end = text.find('\n');
    out += fit_to_width(text.substr(0, end), std::numeric_limits<std::size_t>::max());
    if (end == text.npos) return out;
    out += '\n';
    text.remove_prefix(end + 1);
  }
}

std::string quoted(std::string_view bytes) {
  std::string out = "\"";
  while (!bytes.empty()) {
    const text::Utf8Step step = text::next_utf8(bytes);
    const std::string_view character = bytes.substr(0, step.length);
    if (character == "\n") {
      out += "\\n";
    } else if (character == "\"" || character == "\\") {
      out += '\\';
      out += character;
    } else if (step.kind == text::Utf8Kind::kValid && printable(character) == character) {
      out += character;
    } else {
      for (const char byte : character) {
        out += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
      }
    }
    bytes.remove_prefix(step.length);
  }
  return out + '"';
}

std::string format_bytes(std::int64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1000;
  const char* const* unit = std::begin(kByteUnits);
  while (value >= 999.95 && unit + 1 != std::end(kByteUnits)) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", value, value < 10 ? 2 : 1, *unit);
}

std::string read_stdin() {
  std::string text;
  char buffer[65536];
  for (;;) {
    const std::size_t count = std::fread(buffer, 1, sizeof buffer, stdin);
    text.append(buffer, count);
    if (text.size() > kMaxInputBytes) {
      throw Error("standard input", fmt::format("is longer than {} bytes", kMaxInputBytes));
    }
    if (count < sizeof buffer) break;
  }
  if (std::ferror(stdin) != 0) throw Error("standard input", "cannot be read");
  return text;
}

void show(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

LineReader::Result LineReader::read(std::string& line) {
  for (;;) {
    const std::size_t end = buffer_.find('\n');
    if (end != buffer_.npos || buffer_.size() >= kMaxInputBytes) {
      line = buffer_.substr(0, end);
      buffer_.erase(0, end == buffer_.npos ? end : end + 1);
      return Result::kLine;
    }
    if (interrupt_ != nullptr) {
      pollfd waiting[] = {{interrupt_->descriptor(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
      while (poll(waiting, std::size(waiting), -1) < 0 && errno == EINTR) {
      }
      if (waiting[0].revents != 0) {
        buffer_.clear();
        return Result::kInterrupted;
      }
    }
    char bytes[4096];
    const ssize_t count = ::read(STDIN_FILENO, bytes, sizeof bytes);
    if (count > 0) {
      buffer_.append(bytes, static_cast<std::size_t>(count));
    } else {
      line = std::exchange(buffer_, {});
      return line.empty() ? Result::kEnd : Result::kLine;
    }
  }
}

Interrupt::Interrupt() : noted_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (noted_ < 0) throw Error("Ctrl-C", fmt::format("cannot be noted: {}", std::strerror(errno)));
  interrupt_event = noted_;
  struct sigaction action {};
  action.sa_handler = note_interrupt;
  action.sa_flags = SA_RESTART;  // what is being written meanwhile is written whole
  sigaction(SIGINT, &action, nullptr);
}

Interrupt::~Interrupt() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  sigaction(SIGINT, &action, nullptr);
  interrupt_event = -1;
  close(noted_);
}

bool Interrupt::requested() const {
  pollfd noted{noted_, POLLIN, 0};
  return poll(&noted, 1, 0) == 1;
}

void Interrupt::clear() {
  eventfd_t count;
  eventfd_read(noted_, &count);
}

}  // namespace r1::cli
