#include "base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <tuple>
#include <utility>

#include "base/error.h"

namespace r1 {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kWriteBuffer = std::size_t{256} << 10;

std::string reason(int code) { return std::generic_category().message(code); }

[[noreturn]] void throw_read_error(const fs::path& path, int code) {
  throw Error(path.native(), fmt::format("cannot read: {}", reason(code)),
              code == ENOENT ? "check the path" : "");
}

[[noreturn]] void throw_write_error(const fs::path& path, int code) {
  std::string_view advice;
  if (code == ENOSPC || code == EDQUOT) advice = "free disk space; what was there is unchanged";
  if (code == ENOENT) advice = "create its directory first";
  throw Error(path.native(), fmt::format("cannot write: {}", reason(code)), advice);
}

// A file descriptor closed at the end of its scope.
class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_;
};

fs::path directory_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

// "dir/" and "dir" name the same directory.
fs::path without_trailing_slash(fs::path path) {
  return path.has_filename() ? path : path.parent_path();
}

void sync_path(const fs::path& path, const fs::path& shown) {
  const Descriptor fd(path, O_RDONLY);
  if (!fd.valid() || ::fsync(fd.get()) != 0) throw_write_error(shown, errno);
}

// Temporary files and directories are named ".NAME.tmp-PID-N" and their writer holds a lock on
// them. One that can be locked belongs to nobody any more.
std::string temporary_prefix(const fs::path& path) {
  return "." + path.filename().native() + ".tmp-";
}

void remove_abandoned(const fs::path& path) {
  const std::string prefix = temporary_prefix(path);
  std::error_code ignored;
  for (auto it = fs::directory_iterator(directory_of(path), ignored);
       it != fs::directory_iterator(); it.increment(ignored)) {
    if (!it->path().filename().native().starts_with(prefix)) continue;
    const Descriptor fd(it->path(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (fd.valid() && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
      fs::remove_all(it->path(), ignored);
    }
  }
}

// Calls `create` with fresh names until it gives a descriptor that we could lock; `create` returns
// -1 with errno set. Returns {name, descriptor}.
template <class Create>
std::pair<fs::path, int> create_temporary(const fs::path& path, Create create) {
  if (!path.has_filename()) throw Error(path.native(), "cannot write: it names no file");
  remove_abandoned(path);
  for (int n = 0;; ++n) {
    const fs::path name =
        directory_of(path) / fmt::format("{}{}-{}", temporary_prefix(path), ::getpid(), n);
    const int fd = create(name);
    if (fd < 0 && errno == EEXIST) continue;
    if (fd < 0) throw_write_error(path, errno);
    // Between creation and lock another writer may have taken it for abandoned.
    struct stat status {};
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0 && ::fstat(fd, &status) == 0 && status.st_nlink > 0) {
      return {name, fd};
    }
    ::close(fd);
  }
}

}  // namespace

MappedFile::MappedFile(fs::path path) : path_(std::move(path)) {
  const Descriptor fd(path_, O_RDONLY | O_NONBLOCK);
  struct stat status {};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0) throw_read_error(path_, errno);
  if (S_ISDIR(status.st_mode)) throw_read_error(path_, EISDIR);
  if (!S_ISREG(status.st_mode)) throw Error(path_.native(), "cannot read: not a regular file");
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return;
  void* memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (memory == MAP_FAILED) throw_read_error(path_, errno);
  bytes_ = {static_cast<const std::byte*>(memory), size};
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

namespace {

// Whole pages only: of neighbours in the first and last page nothing is known, so those stay.
void advise_inner_pages(std::span<const std::byte> mapped, int advice) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(mapped.data());
  const std::uintptr_t first = (begin + page - 1) / page * page;
  const std::uintptr_t last = (begin + mapped.size()) / page * page;
  if (first < last) (void)::madvise(reinterpret_cast<void*>(first), last - first, advice);
}

}  // namespace

void will_read(std::span<const std::byte> mapped) { advise_inner_pages(mapped, MADV_WILLNEED); }
void have_read(std::span<const std::byte> mapped) { advise_inner_pages(mapped, MADV_DONTNEED); }

std::string read_text_file(const fs::path& path, std::size_t max_bytes) {
  const Descriptor fd(path, O_RDONLY);
  if (!fd.valid()) throw_read_error(path, errno);
  std::string text;
  struct stat status {};
  if (::fstat(fd.get(), &status) == 0 && S_ISREG(status.st_mode)) {
    text.reserve(std::min(static_cast<std::size_t>(status.st_size), max_bytes));
  }
  char block[std::size_t{64} << 10];
  for (;;) {
    const ssize_t got = ::read(fd.get(), block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_read_error(path, errno);
    if (got == 0) return text;
    if (static_cast<std::size_t>(got) > max_bytes - text.size()) {
      throw Error(path.native(), fmt::format("larger than the limit of {} bytes", max_bytes));
    }
    text.append(block, static_cast<std::size_t>(got));
  }
}

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)) {
  // A device or pipe must not be replaced by a file.
  std::error_code ignored;
  const fs::file_status existing = fs::status(path_, ignored);
  if (fs::is_directory(existing)) throw_write_error(path_, EISDIR);
  if (fs::exists(existing) && !fs::is_regular_file(existing)) {
    throw Error(path_.native(), "cannot write: not a regular file");
  }
  std::tie(temporary_, fd_) = create_temporary(path_, [](const fs::path& name) {
    return ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  });
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::unlink(temporary_.c_str());
  ::close(fd_);
}

void AtomicFile::append(std::span<const std::byte> bytes) {
  R1_CHECK(fd_ >= 0, "{} was committed", path_.native());
  if (buffer_.size() + bytes.size() > kWriteBuffer) flush();
  if (bytes.size() >= kWriteBuffer) {
    write_all(bytes);
  } else {
    buffer_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  size_ += bytes.size();
}

void AtomicFile::append(std::string_view text) { append(std::as_bytes(std::span(text))); }

void AtomicFile::flush() {
  write_all(std::as_bytes(std::span(buffer_)));
  buffer_.clear();
}

void AtomicFile::write_all(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_write_error(path_, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void AtomicFile::commit() {
  R1_CHECK(fd_ >= 0, "{} was committed", path_.native());
  flush();
  if (::fsync(fd_) != 0) throw_write_error(path_, errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw_write_error(path_, errno);
  ::close(std::exchange(fd_, -1));
  sync_path(directory_of(path_), path_);
}

void write_file_atomically(const fs::path& path, std::span<const std::byte> bytes) {
  AtomicFile file(path);
  file.append(bytes);
  file.commit();
}

void write_file_atomically(const fs::path& path, std::string_view text) {
  write_file_atomically(path, std::as_bytes(std::span(text)));
}

void write_file_atomically(const fs::path& path, const std::function<void(AtomicFile&)>& write) {
  AtomicFile file(path);
  write(file);
  file.commit();
}

AtomicDirectory::AtomicDirectory(fs::path final_path)
    : final_path_(without_trailing_slash(std::move(final_path))) {
  std::error_code ignored;
  const fs::file_status existing = fs::symlink_status(final_path_, ignored);
  if (fs::exists(existing) && !fs::is_directory(existing)) throw_write_error(final_path_, ENOTDIR);
  std::tie(temporary_, fd_) = create_temporary(final_path_, [](const fs::path& name) {
    if (::mkdir(name.c_str(), 0777) != 0) return -1;
    return ::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  });
}

AtomicDirectory::~AtomicDirectory() {
  if (fd_ < 0) return;
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);
  ::close(fd_);
}

void AtomicDirectory::commit() {
  R1_CHECK(fd_ >= 0, "{} was committed", final_path_.native());
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(temporary_, error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    if (it->is_regular_file(error) || it->is_directory(error)) sync_path(it->path(), final_path_);
  }
  if (error) throw_write_error(final_path_, error.value());
  if (::fsync(fd_) != 0) throw_write_error(final_path_, errno);

  const fs::path parent = directory_of(final_path_);
  fs::path old;
  if (fs::exists(fs::symlink_status(final_path_, error))) {
    // Exchanging the names leaves no instant without a directory of the final name. A file system
    // that cannot do it gets two renames.
    if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, final_path_.c_str(), RENAME_EXCHANGE) ==
        0) {
      old = temporary_;
    } else {
      old = parent / fmt::format(".{}.old-{}", final_path_.filename().native(), ::getpid());
      fs::remove_all(old, error);
      if (::rename(final_path_.c_str(), old.c_str()) != 0) throw_write_error(final_path_, errno);
      if (::rename(temporary_.c_str(), final_path_.c_str()) != 0) {
        const int code = errno;
        ::rename(old.c_str(), final_path_.c_str());
        throw_write_error(final_path_, code);
      }
    }
  } else if (::rename(temporary_.c_str(), final_path_.c_str()) != 0) {
    throw_write_error(final_path_, errno);
  }
  ::close(std::exchange(fd_, -1));
  sync_path(parent, final_path_);
  // The new directory is safe; an old one that cannot be removed is only untidy.
  if (!old.empty()) fs::remove_all(old, error);
}

}  // namespace r1
