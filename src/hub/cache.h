#pragma once

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hub/model_name.h"

namespace r1::hub {

// One repository in the cache.
struct CachedModel {
  struct Snapshot {
    std::string commit;
    std::vector<std::string> revisions;  // the names that stand for it: "main"
    std::vector<std::string> files;      // paths, sorted
  };
  std::string repo;
  std::vector<Snapshot> snapshots;
  std::int64_t bytes = 0;   // on the disk, what is incomplete too
  bool incomplete = false;  // a download was interrupted
  std::time_t last_used = 0;

  // "safetensors", "GGUF Q4_K_M", ...; empty where there are no weights.
  static std::string format_of(const Snapshot& snapshot);
};

// Models on the disk as Hugging Face's tools lay them out, which may share the folder:
//
//   models--ORG--NAME/blobs/HASH                       the bytes
//                    /refs/REVISION                    a commit
//                    /snapshots/COMMIT/PATH            links to ../../blobs/HASH
//   .locks/models--ORG--NAME/HASH.lock                 held while a blob is written
class Cache {
 public:
  explicit Cache(std::filesystem::path root) : root_(std::move(root)) {}

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path folder(std::string_view repo) const;
  std::filesystem::path blob(std::string_view repo, std::string_view hash) const;
  std::filesystem::path lock(std::string_view repo, std::string_view hash) const;
  std::filesystem::path snapshot(std::string_view repo, std::string_view commit) const;

  // The commit that a revision stands for here; nothing if it was not pulled.
  std::optional<std::string> commit_of(std::string_view repo, std::string_view revision) const;
  // Paths of a snapshot whose bytes are there, sorted; empty if there is no such snapshot.
  std::vector<std::string> files_of(std::string_view repo, std::string_view commit) const;

  // Makes `path` of a snapshot stand for a blob, and a revision for a commit.
  void link(std::string_view repo, std::string_view commit, const std::string& path,
            std::string_view hash) const;
  void set_revision(std::string_view repo, std::string_view revision,
                    std::string_view commit) const;

  // All of them, by name; folders that are no model's are passed over.
  std::vector<CachedModel> models() const;
  std::optional<CachedModel> find(std::string_view repo) const;
  // Removes a repository with everything of it. Throws Error if it is not there, or a link to
  // elsewhere.
  void remove(std::string_view repo) const;

 private:
  std::filesystem::path root_;
};

// What commands take as MODEL: a path that exists as it is; else the directory or GGUF file in the
// cache that ORG/NAME[@REVISION][:FILE] names. Throws Error where the name is not in the cache,
// with the command that gets it. What could not be such a name is returned as it is.
std::filesystem::path resolve_model(const std::string& name);

}  // namespace r1::hub
