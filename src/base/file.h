#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace r1 {

// A regular file mapped read-only. Movable. Pages are read as they are touched; a file that another
// program shortens meanwhile faults, which is why our own writers never change a file in place.
class MappedFile {
 public:
  // Throws Error naming the path.
  explicit MappedFile(std::filesystem::path path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return bytes_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::span<const std::byte> bytes_;
};

// Advice about bytes of a mapped file: they are read soon; they were read, and their pages may
// leave the process (what it reads of them again comes from the system's cache, or the disk).
void will_read(std::span<const std::byte> mapped);
void have_read(std::span<const std::byte> mapped);

// The whole content; throws Error if the file cannot be read or has more than `max_bytes`.
std::string read_text_file(const std::filesystem::path& path, std::size_t max_bytes);

// Writes a file under a temporary name beside its final one and renames it into place at commit():
// whoever opens the final name sees the old content or the whole new one. Without commit() (an
// exception on the way, a full disk) the temporary file is removed and the final name is untouched;
// one that a killed process left behind is removed by the next writer of the same name.
class AtomicFile {
 public:
  // Throws Error, as do append and commit, naming the final path and the reason.
  explicit AtomicFile(std::filesystem::path path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  void append(std::span<const std::byte> bytes);
  void append(std::string_view text);
  // Bytes appended so far.
  std::uint64_t size() const { return size_; }
  // Flushes to the disk, renames, flushes the directory. At most once, and last.
  void commit();

 private:
  void flush();
  void write_all(std::span<const std::byte> bytes);

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int fd_ = -1;
  std::string buffer_;
  std::uint64_t size_ = 0;
};

void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes);
void write_file_atomically(const std::filesystem::path& path, std::string_view text);
void write_file_atomically(const std::filesystem::path& path,
                           const std::function<void(AtomicFile&)>& write);

// The same for a directory: fill path(), then commit(). A directory that has the final name is
// replaced in one step and then removed. Used for checkpoints.
class AtomicDirectory {
 public:
  explicit AtomicDirectory(std::filesystem::path final_path);
  AtomicDirectory(const AtomicDirectory&) = delete;
  AtomicDirectory& operator=(const AtomicDirectory&) = delete;
  ~AtomicDirectory();

  // Where to write until commit().
  const std::filesystem::path& path() const { return temporary_; }
  // Flushes every file and directory below, renames, flushes the parent. At most once, and last.
  void commit();

 private:
  std::filesystem::path final_path_;
  std::filesystem::path temporary_;
  int fd_ = -1;
};

}  // namespace r1
