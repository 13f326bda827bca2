#include "base/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/progress_text.h"

namespace r1 {
namespace {

constexpr double kBarInterval = 0.1;   // seconds between redraws
constexpr double kLineInterval = 5;    // seconds between plain lines
constexpr double kRateWindow = 60;     // seconds over which the rate is measured
constexpr double kMarkInterval = 0.5;  // seconds between the points it is measured from
constexpr std::size_t kBarWidth = 24;  // columns
constexpr std::size_t kDefaultWidth = 80;

double steady_seconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

std::string format_rate(double rate, std::string_view unit) {
  if (rate <= 0) return fmt::format("-- {}/s", unit);
  if (rate >= 1) return fmt::format("{:.{}f} {}/s", rate, rate < 100 ? 1 : 0, unit);
  // Below one per second the time of one says more; "steps" in the singular.
  if (unit.ends_with('s')) unit.remove_suffix(1);
  return fmt::format("{:.1f} s/{}", 1 / rate, unit);
}

}  // namespace

std::string format_duration(double seconds) {
  constexpr double kMaxSeconds = 999.0 * 86400;
  if (!(seconds >= 0) || seconds > kMaxSeconds) return "--:--";
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  const std::int64_t days = whole / 86400, hours = whole / 3600 % 24;
  const std::int64_t minutes = whole / 60 % 60, rest = whole % 60;
  if (days > 0) return fmt::format("{}d {:02}:{:02}:{:02}", days, hours, minutes, rest);
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, rest);
  return fmt::format("{}:{:02}", minutes, rest);
}

Progress::Progress(std::string label, std::int64_t total, ProgressOptions options)
    : label_(std::move(label)),
      total_(std::max<std::int64_t>(total, 0)),
      options_(std::move(options)),
      terminal_(options_.terminal.value_or(::isatty(options_.fd) == 1)),
      done_(options_.start) {
  if (!options_.clock) options_.clock = steady_seconds;
  const double now = options_.clock();
  marks_.push_back({now, done_});
  next_draw_ = now + (terminal_ ? 0 : kLineInterval);
}

Progress::~Progress() {
  if (!drawn_ && done_ > options_.start) draw();
  if (terminal_ && drawn_) write("\n");
}

void Progress::update(std::int64_t done, std::string_view metrics) {
  done_ = done;
  metrics_ = metrics;
  drawn_ = false;
  const double now = options_.clock();
  if (now - marks_.back().time >= kMarkInterval) marks_.push_back({now, done});
  while (marks_.size() > 2 && now - marks_[1].time > kRateWindow) marks_.pop_front();
  if (now < next_draw_) return;
  next_draw_ = now + (terminal_ ? kBarInterval : kLineInterval);
  draw();
}

void Progress::print(std::string_view text) {
  std::string out = terminal_ ? "\r\x1b[K" : "";
  out += text;
  if (!text.ends_with('\n')) out += '\n';
  write(out);
  if (terminal_ && drawn_) draw();
}

double Progress::rate() const {
  const Mark& first = marks_.front();
  const double elapsed = options_.clock() - first.time;
  return elapsed > 0 ? static_cast<double>(done_ - first.done) / elapsed : 0;
}

std::string Progress::plain_line() const {
  const double speed = rate();
  std::string line = fmt::format("{}: {}/{} {}", label_, done_, total_, options_.unit);
  if (total_ > 0)
    line += fmt::format(" ({}%)", 100 * std::clamp(done_, std::int64_t{0}, total_) / total_);
  line += fmt::format(", {}", format_rate(speed, options_.unit));
  if (done_ < total_) {
    line += fmt::format(
        ", {} left",
        format_duration(speed > 0 ? static_cast<double>(total_ - done_) / speed : -1.0));
  }
  if (!metrics_.empty()) line += ", " + metrics_;
  return line;
}

std::string Progress::bar_line() const {
  std::size_t width = options_.width;
  winsize size{};
  if (width == 0 && ::ioctl(options_.fd, TIOCGWINSZ, &size) == 0) width = size.ws_col;
  if (width == 0) width = kDefaultWidth;

  const std::int64_t shown = std::clamp(done_, std::int64_t{0}, total_);
  const double part = total_ > 0 ? static_cast<double>(shown) / static_cast<double>(total_) : 1;
  const auto full = static_cast<std::size_t>(part * static_cast<double>(kBarWidth));
  std::string bar;
  for (std::size_t i = 0; i < kBarWidth; ++i) bar += i < full ? "━" : "─";

  const double speed = rate();
  const double left = speed > 0 ? static_cast<double>(total_ - shown) / speed : -1.0;
  std::string line = fmt::format("{} {} {:3.0f}% {}/{} · {}", label_, bar, std::floor(100 * part),
                                 done_, total_, format_rate(speed, options_.unit));
  if (done_ < total_) line += fmt::format(" · {} left", format_duration(left));
  if (!metrics_.empty()) line += " · " + metrics_;
  // One column stays free, for terminals that wrap when the last one is written.
  return fit_to_width(line, width - 1);
}

void Progress::draw() {
  drawn_ = true;
  write(terminal_ ? "\r\x1b[K" + bar_line() : plain_line() + "\n");
}

void Progress::write(std::string_view text) const {
  while (!text.empty()) {
    const ssize_t written = ::write(options_.fd, text.data(), text.size());
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace r1
