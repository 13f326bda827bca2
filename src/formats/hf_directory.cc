#include "formats/hf_directory.h"

#include "base/error.h"
#include "base/file.h"
#include "formats/json.h"

namespace r1 {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxConfigBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxIndexBytes = std::size_t{64} << 20;
constexpr std::size_t kMaxShards = 4096;

// A shard is a plain file name: a path could lead out of the directory.
void check_shard_name(const std::string& shard, std::string_view where) {
  if (shard.empty() || shard == "." || shard == ".." ||
      shard.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos) {
    throw Error(where, fmt::format("\"{}\" is not a plain file name", excerpt(shard)));
  }
}

}  // namespace

ShardIndex parse_shard_index(std::string_view text, std::string_view where) {
  const nlohmann::json document = parse_json(text, where, {.max_bytes = kMaxIndexBytes});
  const auto weight_map = require<nlohmann::json>(document, "weight_map", where);
  if (!weight_map.is_object()) throw Error(where, "\"weight_map\" must be an object");
  ShardIndex index;
  std::map<std::string, std::size_t> numbers;
  for (const auto& [name, value] : weight_map.items()) {
    const auto shard = convert_json<std::string>(value, excerpt(name), where);
    const auto [position, is_new] = numbers.emplace(shard, index.shards.size());
    if (is_new) {
      check_shard_name(shard, where);
      if (index.shards.size() == kMaxShards) {
        throw Error(where, fmt::format("lists more than {} shards", kMaxShards));
      }
      index.shards.push_back(shard);
    }
    index.shard_of.emplace(name, position->second);
  }
  return index;
}

HfDirectory HfDirectory::open(const fs::path& directory) {
  std::error_code ignored;
  if (!fs::is_directory(directory, ignored)) {
    throw Error(directory.native(), "is not a directory", "give the directory of a model");
  }
  HfDirectory model;
  model.path_ = directory;
  model.config_ = read_text_file(directory / "config.json", kMaxConfigBytes);
  const fs::path generation_config = directory / "generation_config.json";
  if (fs::exists(generation_config, ignored)) {
    model.generation_config_ = read_text_file(generation_config, kMaxConfigBytes);
  }
  const fs::path single = directory / "model.safetensors";
  const fs::path index = directory / "model.safetensors.index.json";
  if (fs::exists(single, ignored)) {
    model.shards_.push_back(SafetensorsFile::open(single));
    for (const TensorInfo& tensor : model.shards_[0].tensors()) {
      model.shard_of_.emplace(tensor.name, 0);
    }
  } else if (fs::exists(index, ignored)) {
    model.open_index(index);
  } else {
    throw Error(directory.native(), "has neither model.safetensors nor an index of its shards",
                "give the directory of a model in Hugging Face layout");
  }
  return model;
}

void HfDirectory::open_index(const fs::path& file) {
  const std::string where = file.native();
  ShardIndex index = parse_shard_index(read_text_file(file, kMaxIndexBytes), where);
  for (const std::string& shard : index.shards) {
    shards_.push_back(SafetensorsFile::open(path_ / shard));
  }
  for (const auto& [name, shard] : index.shard_of) {
    if (!shards_[shard].has(name)) {
      throw Error(where, fmt::format("places \"{}\" in {}, which does not have it", excerpt(name),
                                     excerpt(index.shards[shard])));
    }
  }
  shard_of_ = std::move(index.shard_of);
}

const TensorInfo& HfDirectory::tensor(std::string_view name) const {
  const auto found = shard_of_.find(name);
  if (found == shard_of_.end()) {
    throw Error(path_.native(), fmt::format("has no weight \"{}\"", name),
                "its config.json may belong to another model");
  }
  return shards_[found->second].at(name);
}

std::vector<std::string> HfDirectory::names() const {
  std::vector<std::string> names;
  names.reserve(shard_of_.size());
  for (const auto& [name, shard] : shard_of_) names.push_back(name);
  return names;
}

}  // namespace r1
