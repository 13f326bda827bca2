#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace r1::train {

// Where a training run keeps its files.
class RunDirectory {
 public:
  explicit RunDirectory(std::filesystem::path root) : root_(std::move(root)) {}
  // Makes the directory and its parents; throws Error.
  void create() const;

  const std::filesystem::path& root() const { return root_; }
  // The resolved recipe.
  std::filesystem::path recipe() const { return root_ / "recipe.yaml"; }
  // One object per logged step; the same run gives the same bytes.
  std::filesystem::path metrics() const { return root_ / "metrics.jsonl"; }
  // One object per logged step with what a clock says, which no two runs share.
  std::filesystem::path timing() const { return root_ / "timing.jsonl"; }
  // Sample completions with their rewards.
  std::filesystem::path completions() const { return root_ / "completions.jsonl"; }
  // TensorBoard looks for "tfevents"; a fixed name lets a resumed run go on in the same file.
  std::filesystem::path events() const { return root_ / "events.out.tfevents.0.r1"; }

 private:
  std::filesystem::path root_;
};

// A file that grows by whole records: a record is written completely or, on a full disk, not at
// all. Records reach the operating system at once (they survive a kill) and the disk at sync().
class AppendFile {
 public:
  // Opens or creates the file. Throws Error naming the path, as do the calls below.
  explicit AppendFile(std::filesystem::path path);
  AppendFile(AppendFile&& other) noexcept;
  AppendFile& operator=(AppendFile&&) = delete;
  ~AppendFile();

  void append(std::string_view record);
  void sync();
  std::uint64_t size() const { return size_; }

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
};

// Cuts a JSONL file down, atomically, to the lines up to the first that is not an object with an
// integer "step" of at most `last_step` (torn lines and everything after them go too). A file that
// does not exist stays so.
void keep_lines_up_to(const std::filesystem::path& path, std::int64_t last_step);

}  // namespace r1::train
