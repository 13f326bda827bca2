#include "hub/client.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <set>
#include <thread>

#include "base/progress_text.h"
#include "formats/json.h"

namespace r1::hub {
namespace {

constexpr std::size_t kMaxInfoBytes = std::size_t{32} << 20;  // of a repository's description
constexpr std::size_t kMaxFiles = 100'000;
constexpr std::int64_t kMaxFileBytes = std::int64_t{1} << 46;
constexpr int kMaxRedirections = 8;
constexpr double kLongestPause = 60.0;

bool is_redirection(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// Throws for an answer that is neither the wanted content nor a redirection.
[[noreturn]] void throw_refused(const std::string& where, const HttpResponse& response,
                                bool has_token) {
  const std::string_view code = response.header("x-error-code");
  const std::string_view said = response.header("x-error-message");
  const long status = response.status;
  const std::string_view ask = has_token ? "the token in use does not open it"
                                         : "if it is private, give a token in HF_TOKEN";
  if (status == 408 || status == 429 || status >= 500) {
    throw TransientError(where, fmt::format("the hub answers {}", status));
  }
  if (code == "GatedRepo") {
    throw Error(where, "is gated",
                has_token ? "accept its conditions on the hub's page of it with the token's account"
                          : "accept its conditions on the hub's page of it, and give a token in "
                            "HF_TOKEN");
  }
  if (code == "RevisionNotFound") throw Error(where, "has no such revision");
  if (code == "EntryNotFound") throw Error(where, "has no such file");
  if (status == 404 || code == "RepoNotFound") {
    throw Error(where, "is not on the hub", fmt::format("check the spelling; {}", ask));
  }
  if (status == 401 || status == 403) {
    throw Error(where, fmt::format("the hub refuses it ({})", status), ask);
  }
  throw Error(where, said.empty()
                         ? fmt::format("the hub answers {}", status)
                         : fmt::format("the hub answers {}: {}", status, fit_to_width(said, 120)));
}

// An entity tag without its decoration: W/"abc" is abc.
std::string bare_etag(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') {
    etag = etag.substr(1, etag.size() - 2);
  }
  return std::string(etag);
}

// -1 where it is no size.
std::int64_t parse_size(std::string_view text) {
  std::int64_t size = -1;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), size);
  const bool whole = code == std::errc() && end == text.data() + text.size();
  return whole && size >= 0 && size <= kMaxFileBytes ? size : -1;
}

// "bytes FIRST-LAST/SIZE" of a partial answer, if it has this start and size.
bool is_range_from(std::string_view range, std::int64_t first, std::int64_t size) {
  return range == fmt::format("bytes {}-{}/{}", first, size - 1, size);
}

}  // namespace

HubClient::HubClient(Settings settings, Notice notice)
    : settings_(std::move(settings)),
      endpoint_(parse_url(settings_.endpoint)),
      notice_(std::move(notice)),
      http_(settings_.certificates) {}

HttpResponse HubClient::send(const Url& url, bool head, std::vector<std::string> headers,
                             const HttpClient::Sink& sink) {
  headers.push_back("Accept-Encoding: identity");
  if (!settings_.token.empty() && url.same_origin(endpoint_)) {
    headers.push_back("Authorization: Bearer " + settings_.token);
  }
  return http_.exchange({url, head, std::move(headers)}, sink);
}

namespace {

// Where a redirection leads. Never from an encrypted connection to an open one.
Url next_url(const Url& from, const HttpResponse& response, int redirections) {
  const std::string location(response.header("location"));
  if (location.empty()) throw Error(from.host, "redirects to nowhere");
  if (redirections >= kMaxRedirections) throw Error(from.host, "redirects without end");
  Url to = resolve_url(from, location);
  if (to.scheme == "http" && !(from.scheme == "http" && to.is_loopback())) {
    throw Error(from.host, fmt::format("redirects to {}, which is not encrypted", to.host));
  }
  return to;
}

}  // namespace

Url HubClient::file_url(const std::string& repo, const std::string& commit,
                        const std::string& path) const {
  return parse_url(
      fmt::format("{}/{}/resolve/{}/{}", settings_.endpoint, repo, commit, escape_path(path)));
}

void HubClient::retrying(const std::function<void()>& attempt,
                         const std::function<std::int64_t()>& progress) {
  double pause = settings_.pause;
  for (int failures = 0;;) {
    const std::int64_t before = progress();
    try {
      return attempt();
    } catch (const TransientError& error) {
      if (progress() > before) {
        failures = 0;
        pause = settings_.pause;
      } else if (++failures >= settings_.attempts) {
        throw Error(error.what(), fmt::format("given up after {} attempts", failures),
                    "pull again later: it goes on where it stopped");
      }
      notice_(fmt::format("{}; trying again in {:.0f} s", error.what(), pause));
    }
    std::this_thread::sleep_for(std::chrono::duration<double>(pause));
    pause = std::min(2 * pause, kLongestPause);
  }
}

RepoInfo HubClient::repo(const std::string& repo, const std::string& revision) {
  std::string escaped = escape_path(revision);
  for (std::size_t at = 0; (at = escaped.find('/', at)) != escaped.npos;) {
    escaped.replace(at, 1, "%2F");
  }
  const std::string where =
      revision == kDefaultRevision ? repo : fmt::format("{}@{}", repo, revision);
  std::string body;
  retrying([&] {
    Url url =
        parse_url(fmt::format("{}/api/models/{}/revision/{}", settings_.endpoint, repo, escaped));
    for (int redirections = 0;; ++redirections) {
      body.clear();
      const HttpResponse response =
          send(url, false, {}, [&](const HttpResponse& answer, std::span<const std::byte> bytes) {
            if (answer.status != 200) return;  // what an error page says is not read
            if (bytes.size() > kMaxInfoBytes - body.size()) {
              throw Error(where,
                          fmt::format("its description is longer than {} MB", kMaxInfoBytes >> 20));
            }
            body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
          });
      if (response.status == 200) return;
      if (!is_redirection(response.status)) {
        throw_refused(where, response, !settings_.token.empty());
      }
      url = next_url(url, response, redirections);
    }
  });

  const std::string source = fmt::format("the hub's description of {}", repo);
  const nlohmann::json object = parse_json(body, source, {.max_bytes = kMaxInfoBytes});
  RepoInfo info;
  info.commit = require<std::string>(object, "sha", source);
  if (!is_commit(info.commit)) throw Error(source, "\"sha\" is not a commit");
  const auto siblings = require<nlohmann::json>(object, "siblings", source);
  if (!siblings.is_array()) throw Error(source, "\"siblings\" must be an array");
  if (siblings.size() > kMaxFiles) {
    throw Error(source, fmt::format("lists more than {} files", kMaxFiles));
  }
  std::set<std::string> seen;
  for (const nlohmann::json& sibling : siblings) {
    std::string path = require<std::string>(sibling, "rfilename", source);
    if (!is_safe_path(path)) {
      throw Error(source,
                  fmt::format("\"{}\" is not a name that a file may have", fit_to_width(path, 60)),
                  "do not use this repository");
    }
    if (!seen.insert(path).second) {
      throw Error(source, fmt::format("lists \"{}\" twice", fit_to_width(path, 60)));
    }
    info.files.push_back(std::move(path));
  }
  return info;
}

RemoteFile HubClient::look_up(const std::string& repo, const std::string& commit,
                              const std::string& path) {
  const std::string where = fmt::format("{}:{}", repo, path);
  RemoteFile file{path, {}, -1};
  std::string found_commit;
  retrying([&] {
    Url url = file_url(repo, commit, path);
    for (int redirections = 0;; ++redirections) {
      const HttpResponse response =
          send(url, true, {}, [](const HttpResponse&, std::span<const std::byte>) {});
      const bool redirected = is_redirection(response.status);
      if (!redirected && response.status != 200) {
        throw_refused(where, response, !settings_.token.empty());
      }
      // The headers of the hub itself describe the file, whoever then sends its bytes.
      if (found_commit.empty()) found_commit = response.header("x-repo-commit");
      if (file.etag.empty()) file.etag = bare_etag(response.header("x-linked-etag"));
      if (file.size < 0) file.size = parse_size(response.header("x-linked-size"));
      if (!redirected) {
        if (file.etag.empty()) file.etag = bare_etag(response.header("etag"));
        if (file.size < 0) file.size = parse_size(response.header("content-length"));
        return;
      }
      if (!file.etag.empty() && file.size >= 0) return;
      url = next_url(url, response, redirections);
    }
  });
  if (file.etag.empty()) {
    throw Error(where, "the hub tells no hash (ETag) of it, so it could not be verified",
                "use another HF_ENDPOINT");
  }
  if (!is_hex(file.etag, 40) && !is_hex(file.etag, 64)) {
    throw Error(where,
                fmt::format("its ETag \"{}\" is not a hash, so it could not be verified",
                            fit_to_width(file.etag, 80)),
                "use another HF_ENDPOINT");
  }
  if (file.size < 0) throw Error(where, "the hub does not tell its size");
  if (!found_commit.empty() && found_commit != commit) {
    throw Error(where, "the hub answers with another commit than asked for");
  }
  return file;
}

void HubClient::read(const std::string& repo, const std::string& commit, const RemoteFile& file,
                     std::int64_t offset, const std::function<void(std::int64_t)>& begin,
                     const std::function<void(std::span<const std::byte>)>& sink) {
  const std::string where = fmt::format("{}:{}", repo, file.path);
  Url url = file_url(repo, commit, file.path);
  std::vector<std::string> headers;
  if (offset > 0) headers.push_back(fmt::format("Range: bytes={}-", offset));
  for (int redirections = 0;; ++redirections) {
    bool begun = false;
    const auto start = [&](const HttpResponse& response) {
      begun = true;
      if (response.status == 200) {
        const std::int64_t size = parse_size(response.header("content-length"));
        if (size >= 0 && size != file.size) {
          throw Error(where, fmt::format("has {} bytes, but the hub announced {}", size, file.size),
                      "try again; if it repeats, do not use this hub");
        }
        begin(0);
      } else if (is_range_from(response.header("content-range"), offset, file.size)) {
        begin(offset);
      } else {
        throw Error(where,
                    fmt::format("asked for the bytes from {} of {}, the answer has \"{}\"", offset,
                                file.size, fit_to_width(response.header("content-range"), 60)),
                    "try again; if it repeats, do not use this hub");
      }
    };
    const HttpResponse response = send(
        url, false, headers, [&](const HttpResponse& answer, std::span<const std::byte> bytes) {
          if (answer.status != 200 && answer.status != 206) return;
          if (!begun) start(answer);
          sink(bytes);
        });
    if (response.status == 200 || response.status == 206) {
      if (!begun) start(response);  // there was no byte
      return;
    }
    if (!is_redirection(response.status)) throw_refused(where, response, !settings_.token.empty());
    url = next_url(url, response, redirections);
  }
}

}  // namespace r1::hub
