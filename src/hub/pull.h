#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>
#include <vector>

#include "hub/client.h"

namespace r1::hub {

struct PullResult {
  std::string commit;
  std::filesystem::path path;  // what commands take: the directory, or the GGUF file
  std::vector<RemoteFile> files;
  std::int64_t bytes = 0;  // of all these files
};

// Called with the bytes that are here, of all that are wanted, and the file that is coming.
using PullProgress = std::function<void(std::int64_t, std::int64_t, std::string_view)>;

// Brings what a name stands for into the cache (hub/cache.h); what is there already is kept. Throws
// Error; what has come until then stays for the next time.
PullResult pull(const Settings& settings, const ModelName& name, const PullProgress& progress,
                const Notice& notice);

}  // namespace r1::hub
