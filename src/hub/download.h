#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "hub/cache.h"
#include "hub/client.h"

namespace r1::hub {

// Brings one file into the cache as a blob, if it is not there yet. What was interrupted goes on
// where it stopped; size and hash are verified before the blob gets its name, and what fails that
// is removed. `progress` is told the bytes of this file that are here. Throws Error.
void download(HubClient& client, const Cache& cache, const std::string& repo,
              const std::string& commit, const RemoteFile& file,
              const std::function<void(std::int64_t)>& progress, const Notice& notice);

}  // namespace r1::hub
