#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "hub/digest.h"
#include "hub/test_server.h"

namespace r1::hub::testing {

inline std::string hash_of(std::string_view content, bool large) {
  // Any name of the right length asks for that hash.
  Digest digest = Digest::for_etag(std::string(large ? 64 : 40, '0'),
                                   static_cast<std::int64_t>(content.size()));
  digest.update(std::as_bytes(std::span(content)));
  return digest.finish();
}

// A hub with one repository, "org/model", as Hugging Face's endpoints answer: small files from git,
// large ones by redirection to a storage server of its own, with the hash and size in headers.
class FakeHub {
 public:
  explicit FakeHub(const SelfSigned* certificate = nullptr)
      : storage_([this](const TestRequest& request) { return store(request); }, certificate),
        hub_([this](const TestRequest& request) { return answer(request); }, certificate) {}

  static constexpr const char* kCommit = "0123456789abcdef0123456789abcdef01234567";

  std::map<std::string, std::string> files;  // path -> content; safetensors and GGUF are large
  std::string token;                         // asked for where set
  std::vector<std::string> listed;           // file names that are listed beside these
  std::vector<std::size_t> cuts;             // bytes after which the next bodies end
  // May change an answer, of either server.
  std::function<void(const TestRequest&, TestResponse&)> change;

  std::string url() const { return hub_.url(); }
  std::vector<TestRequest> hub_requests() const { return hub_.requests(); }
  std::vector<TestRequest> storage_requests() const { return storage_.requests(); }
  // Bytes of bodies that the storage server sent.
  std::size_t bytes_stored_sent() const { return bytes_sent_; }

  static bool is_large(const std::string& path) {
    return path.ends_with(".safetensors") || path.ends_with(".gguf");
  }

 private:
  TestResponse changed(const TestRequest& request, TestResponse response) {
    if (change) change(request, response);
    return response;
  }

  TestResponse answer(const TestRequest& request) {
    if (!token.empty() && request.header("authorization") != "Bearer " + token) {
      return changed(request,
                     {401, {"X-Error-Code: RepoNotFound"}, "Invalid username or password."});
    }
    const std::string api = "/api/models/org/model/revision/";
    const std::string resolve = fmt::format("/org/model/resolve/{}/", kCommit);
    if (request.target == api + "main" || request.target == api + kCommit) {
      return changed(request, {200, {"Content-Type: application/json"}, description()});
    }
    if (request.target.starts_with(api)) {
      return changed(request, {404, {"X-Error-Code: RevisionNotFound"}, "{}"});
    }
    if (!request.target.starts_with(resolve)) {
      return changed(request, {404, {"X-Error-Code: RepoNotFound"}, "{}"});
    }
    const std::string path = request.target.substr(resolve.size());
    const auto found = files.find(path);
    if (found == files.end()) return changed(request, {404, {"X-Error-Code: EntryNotFound"}, ""});
    const std::string commit = fmt::format("X-Repo-Commit: {}", kCommit);
    const std::string hash = hash_of(found->second, is_large(path));
    if (!is_large(path)) {
      return changed(request, {200, {commit, fmt::format("ETag: \"{}\"", hash)}, found->second});
    }
    return changed(request, {302,
                             {commit, fmt::format("X-Linked-Etag: \"{}\"", hash),
                              fmt::format("X-Linked-Size: {}", found->second.size()),
                              fmt::format("Location: {}/store/{}", storage_.url(), path)},
                             "Found. Redirecting."});
  }

  TestResponse store(const TestRequest& request) {
    const std::string path = request.target.substr(std::string("/store/").size());
    TestResponse response{200, {"ETag: \"of-the-storage\""}, files.at(path)};
    if (const std::string range = request.header("range"); !range.empty()) {
      const std::size_t first = std::stoull(range.substr(std::string("bytes=").size()));
      const std::size_t size = response.body.size();
      response.status = 206;
      response.headers.push_back(
          fmt::format("Content-Range: bytes {}-{}/{}", first, size - 1, size));
      response.body.erase(0, first);
    }
    if (!cuts.empty()) {
      response.cut_after = cuts.front();
      cuts.erase(cuts.begin());
    }
    response = changed(request, std::move(response));
    bytes_sent_ += std::min(response.cut_after, response.body.size());
    return response;
  }

  std::string description() const {
    nlohmann::json siblings = nlohmann::json::array();
    for (const auto& [path, content] : files) siblings.push_back({{"rfilename", path}});
    for (const std::string& path : listed) siblings.push_back({{"rfilename", path}});
    return nlohmann::json({{"id", "org/model"}, {"sha", kCommit}, {"siblings", siblings}}).dump();
  }

  std::atomic<std::size_t> bytes_sent_ = 0;
  TestServer storage_, hub_;
};

}  // namespace r1::hub::testing
