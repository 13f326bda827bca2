#include "hub/download.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "hub/digest.h"

namespace r1::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kReadBytes = std::size_t{1} << 20;

[[noreturn]] void throw_failed(const fs::path& path, std::string_view action, int code) {
  const bool full = code == ENOSPC || code == EDQUOT;
  throw Error(path.string(),
              fmt::format("cannot {}: {}", action, std::generic_category().message(code)),
              full ? "free disk space and pull again: it goes on where it stopped" : "");
}

// An open file, closed at the end of its scope.
class File {
 public:
  explicit File(fs::path path) : path_(std::move(path)) {
    std::error_code failed;
    fs::create_directories(path_.parent_path(), failed);
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd_ < 0) throw_failed(path_, "write", errno);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { ::close(fd_); }

  const fs::path& path() const { return path_; }

  bool try_lock() { return ::flock(fd_, LOCK_EX | LOCK_NB) == 0; }
  void lock() {
    while (::flock(fd_, LOCK_EX) != 0) {
      if (errno != EINTR) throw_failed(path_, "lock", errno);
    }
  }

  std::int64_t size() const {
    struct stat status {};
    if (::fstat(fd_, &status) != 0) throw_failed(path_, "read", errno);
    return status.st_size;
  }
  void truncate(std::int64_t size) {
    if (::ftruncate(fd_, size) != 0) throw_failed(path_, "write", errno);
  }
  std::span<std::byte> read_at(std::int64_t offset, std::span<std::byte> into) {
    for (;;) {
      const ssize_t got = ::pread(fd_, into.data(), into.size(), offset);
      if (got >= 0) return into.first(static_cast<std::size_t>(got));
      if (errno != EINTR) throw_failed(path_, "read", errno);
    }
  }
  void write_at(std::int64_t offset, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::pwrite(fd_, bytes.data(), bytes.size(), offset);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw_failed(path_, "write", errno);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
      offset += written;
    }
  }
  void sync() {
    if (::fsync(fd_) != 0) throw_failed(path_, "write", errno);
  }

 private:
  fs::path path_;
  int fd_ = -1;
};

bool has_size(const fs::path& path, std::int64_t size) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_size == size;
}

// A file that grows, with the hash of what it has so far.
class Arrival {
 public:
  Arrival(File& file, const RemoteFile& remote) : file_(file), remote_(remote), digest_(start()) {
    if (file_.size() > remote.size) file_.truncate(0);
    std::vector<std::byte> buffer(kReadBytes);
    for (;;) {
      const std::span<std::byte> part = file_.read_at(done_, buffer);
      if (part.empty()) break;
      digest_.update(part);
      done_ += std::ssize(part);
    }
  }

  std::int64_t done() const { return done_; }

  void start_over() {
    file_.truncate(0);
    digest_ = start();
    done_ = 0;
  }
  void append(std::span<const std::byte> bytes) {
    if (std::ssize(bytes) > remote_.size - done_) {
      throw Error(remote_.path,
                  fmt::format("more comes than the {} bytes that were announced", remote_.size));
    }
    file_.write_at(done_, bytes);
    digest_.update(bytes);
    done_ += std::ssize(bytes);
  }
  std::string finish() { return digest_.finish(); }

 private:
  Digest start() const { return Digest::for_etag(remote_.etag, remote_.size); }

  File& file_;
  const RemoteFile& remote_;
  Digest digest_;
  std::int64_t done_ = 0;
};

}  // namespace

void download(HubClient& client, const Cache& cache, const std::string& repo,
              const std::string& commit, const RemoteFile& file,
              const std::function<void(std::int64_t)>& progress, const Notice& notice) {
  const fs::path blob = cache.blob(repo, file.etag);
  if (has_size(blob, file.size)) return progress(file.size);
  File lock(cache.lock(repo, file.etag));
  if (!lock.try_lock()) {
    notice(fmt::format("{}: waiting for another program that pulls it", file.path));
    lock.lock();
    if (has_size(blob, file.size)) return progress(file.size);
  }

  File incomplete(blob.string() + ".incomplete");
  Arrival arrival(incomplete, file);
  progress(arrival.done());
  const auto attempt = [&] {
    if (arrival.done() == file.size) return;
    client.read(
        repo, commit, file, arrival.done(),
        [&](std::int64_t begin) {
          if (begin != arrival.done()) arrival.start_over();
        },
        [&](std::span<const std::byte> bytes) {
          arrival.append(bytes);
          progress(arrival.done());
        });
    if (arrival.done() < file.size) {
      throw TransientError(
          fmt::format("{}:{}", repo, file.path),
          fmt::format("the connection ended after {} of {} bytes", arrival.done(), file.size));
    }
  };
  client.retrying(attempt, [&] { return arrival.done(); });

  if (const std::string hash = arrival.finish(); hash != file.etag) {
    std::error_code ignored;
    fs::remove(incomplete.path(), ignored);
    throw Error(fmt::format("{}:{}", repo, file.path),
                fmt::format("what came has the hash {}, not {}", hash, file.etag),
                "it was removed; pull again, and if it repeats, do not use this hub");
  }
  incomplete.sync();
  std::error_code failed;
  fs::rename(incomplete.path(), blob, failed);
  if (failed) throw_failed(blob, "write", failed.value());
}

}  // namespace r1::hub
