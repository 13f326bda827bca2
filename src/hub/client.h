#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hub/http.h"
#include "hub/model_name.h"
#include "hub/settings.h"

// The endpoints of a Hugging Face-compatible hub that reading needs.
namespace r1::hub {

// One revision of a repository.
struct RepoInfo {
  std::string commit;
  std::vector<std::string> files;  // safe paths, as the hub orders them
};

struct RemoteFile {
  std::string path;
  std::string etag;  // its hash (hub/digest.h)
  std::int64_t size = 0;
};

// Told in one line what went wrong before another attempt is made.
using Notice = std::function<void(std::string_view)>;

class HubClient {
 public:
  HubClient(Settings settings, Notice notice);

  // What a repository holds. Throws Error for one that is not there or not open to the user, and
  // for file names that would leave the folder they are put into.
  RepoInfo repo(const std::string& repo, const std::string& revision);

  // Hash and size of a file. Throws Error where the hub tells none, or another commit.
  RemoteFile look_up(const std::string& repo, const std::string& commit, const std::string& path);

  // The file's bytes from `offset` on, once: a cut connection throws TransientError. `begin` is
  // told where they begin: at `offset`, or at 0 with a server that does not resume.
  void read(const std::string& repo, const std::string& commit, const RemoteFile& file,
            std::int64_t offset, const std::function<void(std::int64_t)>& begin,
            const std::function<void(std::span<const std::byte>)>& sink);

  // Calls `attempt` until it does not throw TransientError; each time that fails without `progress`
  // having grown counts, and Settings::attempts of them are too many.
  void retrying(
      const std::function<void()>& attempt,
      const std::function<std::int64_t()>& progress = [] { return 0; });

  const Settings& settings() const { return settings_; }

 private:
  Url file_url(const std::string& repo, const std::string& commit, const std::string& path) const;
  // Sends the token to the endpoint alone.
  HttpResponse send(const Url& url, bool head, std::vector<std::string> headers,
                    const HttpClient::Sink& sink);

  Settings settings_;
  Url endpoint_;
  Notice notice_;
  HttpClient http_;
};

}  // namespace r1::hub
