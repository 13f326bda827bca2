#include "train/run_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/file.h"

namespace r1::train {
namespace {

// The "step" of one line, or nothing where the line is not one of ours. Lines hold flat objects, so
// a parser that stops at depth 3 reads all that we wrote.
std::optional<std::int64_t> step_of(std::string_view line) {
  constexpr int kMaxDepth = 3;
  const auto shallow = [](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    return depth <= kMaxDepth;
  };
  const auto json = nlohmann::json::parse(line, shallow, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  const auto step = json.find("step");
  if (step == json.end() || !step->is_number_integer()) return std::nullopt;
  return step->get<std::int64_t>();
}

}  // namespace

void RunDirectory::create() const {
  std::error_code error;
  std::filesystem::create_directories(root_, error);
  if (error) {
    throw Error(root_.string(), fmt::format("cannot make the directory: {}", error.message()));
  }
}

AppendFile::AppendFile(std::filesystem::path path) : path_(std::move(path)) {
  fd_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  struct stat info {};
  if (fd_ < 0 || ::fstat(fd_, &info) != 0) {
    const int reason = errno;
    if (fd_ >= 0) ::close(fd_);
    throw Error(path_.string(), fmt::format("cannot open: {}", std::strerror(reason)));
  }
  size_ = static_cast<std::uint64_t>(info.st_size);
}

AppendFile::AppendFile(AppendFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), size_(other.size_) {}

AppendFile::~AppendFile() {
  if (fd_ >= 0) ::close(fd_);
}

void AppendFile::append(std::string_view record) {
  std::string_view rest = record;
  while (!rest.empty()) {
    const ssize_t written = ::write(fd_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const int reason = written < 0 ? errno : ENOSPC;
      // Take the half-written record back.
      const int undone = ::ftruncate(fd_, static_cast<off_t>(size_));
      throw Error(path_.string(), fmt::format("cannot write: {}{}", std::strerror(reason),
                                              undone == 0 ? "" : " (and the last record is torn)"));
    }
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  size_ += record.size();
}

void AppendFile::sync() {
  if (::fsync(fd_) != 0) {
    throw Error(path_.string(), fmt::format("cannot flush to disk: {}", std::strerror(errno)));
  }
}

void keep_lines_up_to(const std::filesystem::path& path, std::int64_t last_step) {
  if (!std::filesystem::exists(path)) return;
  const MappedFile file(path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  std::size_t kept = 0;
  while (kept < text.size()) {
    const std::size_t end = text.find('\n', kept);
    if (end == std::string_view::npos) break;
    const auto step = step_of(text.substr(kept, end - kept));
    if (!step || *step > last_step) break;
    kept = end + 1;
  }
  if (kept < text.size()) write_file_atomically(path, text.substr(0, kept));
}

}  // namespace r1::train
