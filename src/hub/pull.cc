#include "hub/pull.h"

#include <algorithm>
#include <system_error>

#include "hub/cache.h"
#include "hub/download.h"
#include "hub/selection.h"

namespace r1::hub {
namespace {

namespace fs = std::filesystem;

// Of a file, those that are in the cache already.
std::int64_t bytes_here(const Cache& cache, const std::string& repo, const RemoteFile& file) {
  std::error_code failed;
  for (const char* ending : {"", ".incomplete"}) {
    const auto size = fs::file_size(cache.blob(repo, file.etag).string() + ending, failed);
    if (!failed) return static_cast<std::int64_t>(size);
  }
  return 0;
}

void check_space(const Cache& cache, const std::string& repo,
                 const std::vector<RemoteFile>& files) {
  std::int64_t missing = 0;
  for (const RemoteFile& file : files) {
    missing += std::max<std::int64_t>(0, file.size - bytes_here(cache, repo, file));
  }
  std::error_code failed;
  const fs::space_info space = fs::space(cache.folder(repo), failed);
  if (failed || missing <= static_cast<std::int64_t>(space.available)) return;
  throw Error(
      cache.root().string(),
      fmt::format("{:.1f} MB are to come, but the disk has room for {:.1f} MB",
                  static_cast<double>(missing) * 1e-6, static_cast<double>(space.available) * 1e-6),
      "free disk space, or set HF_HOME to a folder on another disk");
}

}  // namespace

PullResult pull(const Settings& settings, const ModelName& name, const PullProgress& progress,
                const Notice& notice) {
  const Cache cache(settings.cache);
  HubClient client(settings, notice);
  const RepoInfo info = client.repo(name.repo, name.revision);
  const std::vector<std::string> paths = files_to_pull(info.files, name);

  PullResult result;
  result.commit = info.commit;
  for (const std::string& path : paths) {
    result.files.push_back(client.look_up(name.repo, info.commit, path));
    result.bytes += result.files.back().size;
  }
  std::error_code failed;
  fs::create_directories(cache.folder(name.repo), failed);
  if (failed) {
    throw Error(cache.folder(name.repo).string(),
                fmt::format("cannot be made: {}", failed.message()),
                "set HF_HOME to a folder that can be written");
  }
  check_space(cache, name.repo, result.files);

  std::int64_t before = 0;
  for (const RemoteFile& file : result.files) {
    download(
        client, cache, name.repo, info.commit, file,
        [&](std::int64_t done) { progress(before + done, result.bytes, file.path); }, notice);
    cache.link(name.repo, info.commit, file.path, file.etag);
    before += file.size;
  }
  // Last, so that a revision never stands for half a model.
  cache.set_revision(name.repo, name.revision, info.commit);
  result.path = cache.snapshot(name.repo, info.commit);
  const bool whole_model = name.file.empty() && has_safetensors(paths);
  if (!whole_model) result.path /= paths.front();
  return result;
}

}  // namespace r1::hub
