#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/safetensors.h"

namespace r1 {

// What model.safetensors.index.json says: the shards, in the order in which it first names them,
// and which of them holds each weight.
struct ShardIndex {
  std::vector<std::string> shards;                           // plain file names
  std::map<std::string, std::size_t, std::less<>> shard_of;  // tensor name -> shard
};

// Throws Error with `where` (a file name): not such an index, too many shards, or a shard whose
// name could lead out of the directory.
ShardIndex parse_shard_index(std::string_view text, std::string_view where);

// A model directory in Hugging Face's layout: config.json, and the weights either in
// model.safetensors or in shards that model.safetensors.index.json lists.
class HfDirectory {
 public:
  // Reads the configs and maps every shard. Throws Error naming the file: one that is missing, or a
  // weight that the index places in a shard that lacks it.
  static HfDirectory open(const std::filesystem::path& directory);

  bool has(std::string_view name) const { return shard_of_.contains(name); }
  const TensorInfo& tensor(std::string_view name) const;  // throws Error if there is none
  std::vector<std::string> names() const;                 // sorted

  // The text of config.json, and of generation_config.json where there is one.
  const std::string& config() const { return config_; }
  const std::optional<std::string>& generation_config() const { return generation_config_; }

  const std::filesystem::path& path() const { return path_; }

 private:
  void open_index(const std::filesystem::path& file);

  std::filesystem::path path_;
  std::string config_;
  std::optional<std::string> generation_config_;
  std::vector<SafetensorsFile> shards_;
  std::map<std::string, std::size_t, std::less<>> shard_of_;  // tensor name -> shard
};

}  // namespace r1
