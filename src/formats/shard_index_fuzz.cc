#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/utf8.h"
#include "formats/hf_directory.h"

// Whatever the text is, the reader of model.safetensors.index.json gives distinct file names that
// stay inside the directory, each holding some weight, or an Error that can be printed.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const r1::ShardIndex index = r1::parse_shard_index(text, "fuzz");
    const std::filesystem::path directory = "/models/m";
    for (const std::string& shard : index.shards) {
      const std::filesystem::path file = (directory / shard).lexically_normal();
      R1_CHECK(file.parent_path() == directory && file.filename() == shard, "{}", shard);
      R1_CHECK(shard.find('\0') == shard.npos, "{}", shard);
    }
    const std::set<std::string> distinct(index.shards.begin(), index.shards.end());
    R1_CHECK(distinct.size() == index.shards.size(), "{} shards", index.shards.size());
    std::set<std::size_t> used;
    for (const auto& [name, shard] : index.shard_of) used.insert(shard);
    R1_CHECK(used.size() == index.shards.size() &&
                 (used.empty() || *used.rbegin() + 1 == index.shards.size()),
             "{} of {} shards", used.size(), index.shards.size());
  } catch (const r1::Error& error) {
    R1_CHECK(r1::is_utf8(error.what()), "{}", error.what());
  }
  return 0;
}
