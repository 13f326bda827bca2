#include "hub/cache.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/progress_text.h"
#include "hub/selection.h"
#include "hub/settings.h"

namespace r1::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFolderPrefix = "models--";
constexpr std::size_t kMaxRefBytes = 256;
constexpr std::size_t kMaxEntries = 200'000;  // of a folder in the cache
constexpr int kMaxDepth = 32;

std::string folder_name(std::string_view repo) {
  const std::size_t slash = repo.find('/');
  R1_CHECK(slash != repo.npos, "repo {}", repo);
  return fmt::format("{}{}--{}", kFolderPrefix, repo.substr(0, slash), repo.substr(slash + 1));
}

std::optional<std::string> repo_of_folder(std::string_view folder) {
  if (!folder.starts_with(kFolderPrefix)) return std::nullopt;
  folder.remove_prefix(kFolderPrefix.size());
  const std::size_t dashes = folder.find("--");
  if (dashes == folder.npos) return std::nullopt;
  const std::string repo =
      fmt::format("{}/{}", folder.substr(0, dashes), folder.substr(dashes + 2));
  const std::optional<ModelName> name = try_parse_model_name(repo);
  return name && name->repo == repo ? std::optional(repo) : std::nullopt;
}

// Files below a folder, without entering links to folders.
std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code failed;
  std::size_t entries = 0;
  for (auto it = fs::recursive_directory_iterator(folder, failed);
       !failed && it != fs::recursive_directory_iterator(); it.increment(failed)) {
    if (++entries > kMaxEntries || it.depth() > kMaxDepth) {
      throw Error(folder.string(), "has more in it than a model", "remove it by hand");
    }
    std::error_code ignored;
    if (fs::is_regular_file(it->path(), ignored)) files.push_back(it->path());
  }
  return files;
}

// Throws Error for a path that the cache could not be written at.
[[noreturn]] void throw_cannot_write(const fs::path& path, const std::error_code& code) {
  throw Error(path.string(), fmt::format("cannot write: {}", code.message()),
              "set HF_HOME to a folder that can be written");
}

void create_folders(const fs::path& folder) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) throw_cannot_write(folder, failed);
}

std::optional<std::string> read_ref(const fs::path& file) {
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored)) return std::nullopt;
  std::string commit = read_text_file(file, kMaxRefBytes);
  while (commit.ends_with('\n')) commit.pop_back();
  return is_commit(commit) ? std::optional(std::move(commit)) : std::nullopt;
}

void read_blobs(const fs::path& folder, CachedModel& model) {
  for (const fs::path& file : files_below(folder)) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) continue;  // removed meanwhile
    model.bytes += status.st_size;
    model.last_used = std::max(model.last_used, status.st_atime);
    if (file.extension() == ".incomplete") model.incomplete = true;
  }
}

}  // namespace

fs::path Cache::folder(std::string_view repo) const { return root_ / folder_name(repo); }

fs::path Cache::blob(std::string_view repo, std::string_view hash) const {
  return folder(repo) / "blobs" / hash;
}

fs::path Cache::lock(std::string_view repo, std::string_view hash) const {
  return root_ / ".locks" / folder_name(repo) / fmt::format("{}.lock", hash);
}

fs::path Cache::snapshot(std::string_view repo, std::string_view commit) const {
  return folder(repo) / "snapshots" / commit;
}

std::optional<std::string> Cache::commit_of(std::string_view repo,
                                            std::string_view revision) const {
  if (is_commit(revision)) {
    std::error_code ignored;
    if (fs::is_directory(snapshot(repo, revision), ignored)) return std::string(revision);
  }
  return read_ref(folder(repo) / "refs" / revision);
}

std::vector<std::string> Cache::files_of(std::string_view repo, std::string_view commit) const {
  const fs::path folder = snapshot(repo, commit);
  std::vector<std::string> files;
  for (const fs::path& file : files_below(folder)) {
    files.push_back(file.lexically_relative(folder).string());
  }
  std::ranges::sort(files);
  return files;
}

void Cache::link(std::string_view repo, std::string_view commit, const std::string& path,
                 std::string_view hash) const {
  R1_CHECK(is_safe_path(path) && is_commit(commit), "path {} commit {}", path, commit);
  const fs::path link = snapshot(repo, commit) / path;
  create_folders(link.parent_path());
  fs::path target = "../../blobs";
  for (auto depth = std::ranges::count(path, '/'); depth > 0; --depth) target = ".." / target;
  target /= hash;
  std::error_code failed;
  if (fs::read_symlink(link, failed) == target) return;
  const fs::path temporary = fmt::format("{}.r1-{}", link.string(), ::getpid());
  fs::remove(temporary, failed);
  failed.clear();
  fs::create_symlink(target, temporary, failed);
  if (!failed) fs::rename(temporary, link, failed);
  if (failed) throw_cannot_write(link, failed);
}

void Cache::set_revision(std::string_view repo, std::string_view revision,
                         std::string_view commit) const {
  if (revision == commit) return;
  const fs::path file = folder(repo) / "refs" / revision;
  create_folders(file.parent_path());
  write_file_atomically(file, commit);
}

std::optional<CachedModel> Cache::find(std::string_view repo) const {
  const fs::path top = folder(repo);
  std::error_code ignored;
  if (!fs::is_directory(top, ignored)) return std::nullopt;
  CachedModel model;
  model.repo = repo;
  read_blobs(top / "blobs", model);
  std::map<std::string, std::vector<std::string>> revisions;
  for (const fs::path& ref : files_below(top / "refs")) {
    if (auto commit = read_ref(ref)) {
      revisions[*std::move(commit)].push_back(ref.lexically_relative(top / "refs").string());
    }
  }
  for (auto it = fs::directory_iterator(top / "snapshots", ignored);
       !ignored && it != fs::directory_iterator(); it.increment(ignored)) {
    const std::string commit = it->path().filename().string();
    if (!is_commit(commit)) continue;
    std::vector<std::string> names = revisions[commit];
    std::ranges::sort(names);
    model.snapshots.push_back({commit, std::move(names), files_of(repo, commit)});
  }
  std::ranges::sort(model.snapshots, {}, &CachedModel::Snapshot::commit);
  return model;
}

std::vector<CachedModel> Cache::models() const {
  std::vector<CachedModel> models;
  std::error_code failed;
  for (auto it = fs::directory_iterator(root_, failed); !failed && it != fs::directory_iterator();
       it.increment(failed)) {
    const std::optional<std::string> repo = repo_of_folder(it->path().filename().string());
    if (!repo) continue;
    if (std::optional<CachedModel> model = find(*repo)) models.push_back(*std::move(model));
  }
  std::ranges::sort(models, {}, &CachedModel::repo);
  return models;
}

void Cache::remove(std::string_view repo) const {
  const fs::path top = folder(repo);
  std::error_code failed;
  const fs::file_status status = fs::symlink_status(top, failed);
  if (fs::is_symlink(status)) {
    throw Error(top.string(), "is a link to elsewhere", "remove it by hand");
  }
  if (!fs::is_directory(status)) {
    throw Error(repo, "is not in the cache", "see r1 list");
  }
  // Renamed first: nobody finds half a model.
  const fs::path doomed = root_ / fmt::format(".removed-{}-{}", folder_name(repo), ::getpid());
  failed.clear();
  fs::rename(top, doomed, failed);
  if (!failed) fs::remove_all(doomed, failed);
  if (failed) throw Error(top.string(), fmt::format("cannot remove: {}", failed.message()));
  fs::remove_all(root_ / ".locks" / folder_name(repo), failed);
}

std::string CachedModel::format_of(const Snapshot& snapshot) {
  if (has_safetensors(snapshot.files)) return "safetensors";
  std::string format;
  for (const GgufChoice& choice : gguf_choices(snapshot.files)) {
    // The quantisation is by custom the last part of the name.
    const std::string_view name = std::string_view(choice.name).substr(choice.name.rfind('/') + 1);
    const std::size_t mark = name.find_last_of("-.");
    const std::string_view type = mark == name.npos ? name : name.substr(mark + 1);
    format += fmt::format("{}{}", format.empty() ? "GGUF " : ", ", fit_to_width(type, 24));
  }
  return format;
}

fs::path resolve_model(const std::string& text) {
  std::error_code ignored;
  const std::optional<ModelName> name = try_parse_model_name(text);
  if (!name || fs::exists(text, ignored)) return text;
  const Cache cache(cache_from_environment());
  const std::optional<std::string> commit = cache.commit_of(name->repo, name->revision);
  if (!commit) {
    throw Error(text, "is neither a path nor a model in the cache",
                fmt::format("to get it: r1 pull {}", text));
  }
  const fs::path folder = cache.snapshot(name->repo, *commit);
  const std::vector<std::string> files = cache.files_of(name->repo, *commit);
  if (name->file.empty() && has_safetensors(files)) return folder;
  try {
    return folder / choose_gguf(files, name->file, text).parts.front();
  } catch (const Error& error) {
    if (!gguf_choices(files).empty() && name->file.empty()) throw;
    throw Error(text, "is not in the cache, though other files of it are",
                fmt::format("to get it: r1 pull {}", text));
  }
}

}  // namespace r1::hub
