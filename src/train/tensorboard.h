#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "train/run_directory.h"

// TensorBoard's event files: TFRecord framing (u64 length, masked CRC-32C of it, data, masked
// CRC-32C of the data, all little-endian) around Event protobufs (tensorflow/core/util/event.proto,
// tensorflow/core/framework/summary.proto).
namespace r1::train {

// CRC-32C (Castagnoli).
std::uint32_t crc32c(std::string_view bytes);

// The serialised Event messages that a run needs; wall_time in seconds since 1970.
std::string version_event(double wall_time);
std::string scalar_event(double wall_time, std::int64_t step,
                         std::span<const std::pair<std::string, float>> scalars);
// Shown in the TEXT tab as Markdown.
std::string text_event(double wall_time, std::int64_t step, std::string_view tag,
                       std::string_view text);

// One TFRecord with `data` as content.
std::string tf_record(std::string_view data);

// Appends events to a file, which begins with a version event.
class EventWriter {
 public:
  EventWriter(const std::filesystem::path& path, double wall_time);

  void append(std::string_view event) { file_.append(tf_record(event)); }
  void sync() { file_.sync(); }

 private:
  AppendFile file_;
};

// Cuts an event file down, atomically, to the records up to the first that is torn, damaged or
// later than `last_step`. A file that does not exist stays so.
void keep_events_up_to(const std::filesystem::path& path, std::int64_t last_step);

}  // namespace r1::train
