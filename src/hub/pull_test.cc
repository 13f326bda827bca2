#include "hub/pull.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "hub/cache.h"
#include "hub/fake_hub.h"

namespace r1::hub {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using testing::FakeHub;
using testing::hash_of;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::SelfSigned;
using testing::TestRequest;
using testing::TestResponse;
using testing::TestServer;

constexpr std::size_t kWeightBytes = 3'000'017;

std::string noise(std::size_t size) {
  std::string text(size, '\0');
  std::uint32_t state = 1;
  for (char& c : text) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

class HubPull : public ::testing::Test {
 protected:
  HubPull() {
    root_ = fs::temp_directory_path() / fmt::format("r1-hub-test-{}", ::getpid());
    fs::remove_all(root_);
    hub_.files = {
        {"config.json", "{}"}, {"model.safetensors", noise(kWeightBytes)}, {"README.md", "words"}};
    settings_.cache = root_ / "hub";
    settings_.endpoint = hub_.url();
    settings_.attempts = 3;
    settings_.pause = 0.01;
  }
  ~HubPull() override { fs::remove_all(root_); }

  PullResult pull_model(const std::string& name = "org/model") {
    notes_.clear();
    return pull(
        settings_, parse_model_name(name),
        [this](std::int64_t done, std::int64_t total, std::string_view) {
          EXPECT_GE(done, 0);
          EXPECT_LE(done, total);
          last_done_ = done;
        },
        [this](std::string_view note) { notes_.emplace_back(note); });
  }
  std::string failure(const std::string& name = "org/model") {
    try {
      pull_model(name);
    } catch (const Error& error) {
      EXPECT_THAT(std::string(error.what()), Not(HasSubstr("\n")));
      return error.what();
    }
    return "nothing failed";
  }
  // Of the bytes that are missing under the final name.
  void expect_nothing_final() {
    EXPECT_FALSE(fs::exists(blob()));
    EXPECT_THAT(cache().files_of("org/model", FakeHub::kCommit),
                Not(::testing::Contains("model.safetensors")));
    EXPECT_FALSE(cache().commit_of("org/model", "main"));
  }
  std::string weights() const { return hub_.files.at("model.safetensors"); }
  fs::path blob() const { return cache().blob("org/model", hash_of(weights(), true)); }
  Cache cache() const { return Cache(settings_.cache); }

  fs::path root_;
  FakeHub hub_;
  Settings settings_;
  std::vector<std::string> notes_;
  std::int64_t last_done_ = 0;
};

TEST_F(HubPull, LaysTheCacheOutAsHuggingFaceDoes) {
  hub_.files["config.json"] = "{\"a\": 1}\n";
  const PullResult result = pull_model();
  const fs::path top = settings_.cache / "models--org--model";
  EXPECT_EQ(result.path, top / "snapshots" / FakeHub::kCommit);
  EXPECT_EQ(result.bytes, static_cast<std::int64_t>(kWeightBytes + 9));
  EXPECT_EQ(last_done_, result.bytes);
  EXPECT_EQ(read_text_file(top / "refs" / "main", 100), FakeHub::kCommit);
  const std::string hash = hash_of(weights(), true);
  EXPECT_EQ(fs::read_symlink(result.path / "model.safetensors"), "../../blobs/" + hash);
  EXPECT_EQ(read_text_file(top / "blobs" / hash, kWeightBytes), weights());
  EXPECT_EQ(fs::read_symlink(result.path / "config.json"),
            "../../blobs/" + hash_of("{\"a\": 1}\n", false));
  EXPECT_FALSE(fs::exists(fs::symlink_status(result.path / "README.md")));
  EXPECT_THAT(notes_, ElementsAre());
}

TEST_F(HubPull, FetchesNothingTwice) {
  pull_model();
  const std::size_t sent = hub_.bytes_stored_sent();
  EXPECT_EQ(sent, kWeightBytes);
  pull_model();
  EXPECT_EQ(hub_.bytes_stored_sent(), sent);
}

TEST_F(HubPull, LinksFromFoldersReachTheBlobs) {
  hub_.files = {{"a/b/x-Q8_0.gguf", "weights"}, {"y-Q4_0.gguf", "others"}};
  const PullResult result = pull_model("org/model:q8_0");
  EXPECT_EQ(result.path.filename(), "x-Q8_0.gguf");
  EXPECT_EQ(read_text_file(result.path, 100), "weights");
  EXPECT_EQ(fs::read_symlink(result.path), "../../../../blobs/" + hash_of("weights", true));
}

TEST_F(HubPull, GoesOnWhereTheConnectionWasCut) {
  hub_.cuts = {1'000'000, 500'000, 0, 0};
  pull_model();
  EXPECT_EQ(read_text_file(blob(), kWeightBytes), weights());
  // Every byte came once.
  EXPECT_EQ(hub_.bytes_stored_sent(), kWeightBytes);
  std::vector<std::string> ranges;
  for (const TestRequest& request : hub_.storage_requests()) {
    ranges.push_back(request.header("range"));
  }
  EXPECT_THAT(ranges, ElementsAre("", "bytes=1000000-", "bytes=1500000-", "bytes=1500000-",
                                  "bytes=1500000-"));
  EXPECT_EQ(notes_.size(), 4u);
}

TEST_F(HubPull, GivesUpAndGoesOnNextTime) {
  hub_.cuts = {1'000'000, 0, 0, 0};
  EXPECT_THAT(failure(), HasSubstr("127.0.0.1"));
  expect_nothing_final();
  EXPECT_EQ(fs::file_size(blob().string() + ".incomplete"), 1'000'000u);
  EXPECT_TRUE(cache().find("org/model")->incomplete);
  hub_.cuts.clear();
  pull_model();
  EXPECT_EQ(read_text_file(blob(), kWeightBytes), weights());
  EXPECT_EQ(hub_.bytes_stored_sent(), kWeightBytes);
  EXPECT_FALSE(cache().find("org/model")->incomplete);
}

TEST_F(HubPull, StartsOverWithAServerThatDoesNotResume) {
  hub_.cuts = {1'000'000};
  hub_.change = [this](const TestRequest& request, TestResponse& response) {
    if (request.header("range").empty()) return;
    response = {200, {}, weights()};
  };
  pull_model();
  EXPECT_EQ(read_text_file(blob(), kWeightBytes), weights());
}

TEST_F(HubPull, RefusesOtherBytesThanTheHashNames) {
  hub_.change = [](const TestRequest& request, TestResponse& response) {
    if (request.target.starts_with("/store/")) response.body[2'000'000] ^= 1;
  };
  EXPECT_THAT(failure(), HasSubstr("has the hash"));
  expect_nothing_final();
  EXPECT_FALSE(fs::exists(blob().string() + ".incomplete"));
}

TEST_F(HubPull, RefusesASmallFileThatGitDoesNotKnow) {
  hub_.change = [](const TestRequest& request, TestResponse& response) {
    if (request.method == "GET" && request.target.ends_with("config.json")) response.body = "[]";
  };
  EXPECT_THAT(failure(), HasSubstr("has the hash"));
  expect_nothing_final();
}

TEST_F(HubPull, AnIncompleteFileOfOtherBytesIsFound) {
  fs::create_directories(blob().parent_path());
  std::ofstream(blob().string() + ".incomplete") << "these are not its first bytes";
  EXPECT_THAT(failure(), HasSubstr("has the hash"));
  pull_model();
  EXPECT_EQ(read_text_file(blob(), kWeightBytes), weights());
}

TEST_F(HubPull, RefusesOtherSizes) {
  hub_.change = [](const TestRequest& request, TestResponse& response) {
    if (request.target.starts_with("/store/")) response.body += "more";
  };
  EXPECT_THAT(failure(), HasSubstr("has 3000021 bytes, but the hub announced 3000017"));
  expect_nothing_final();
  hub_.change = [](const TestRequest& request, TestResponse& response) {
    if (!request.target.starts_with("/store/")) return;
    response.body += "more";
    response.tells_length = false;
  };
  EXPECT_THAT(failure(), HasSubstr("more comes than the 3000017 bytes"));
  expect_nothing_final();
  hub_.change = [](const TestRequest& request, TestResponse& response) {
    if (!request.target.starts_with("/store/")) return;
    response.headers = {"Content-Range: bytes 0-2/3"};
    response.status = 206;
  };
  EXPECT_THAT(failure(), HasSubstr("asked for the bytes from"));
  expect_nothing_final();
}

TEST_F(HubPull, AShortAnswerIsACutConnection) {
  bool short_once = true;
  hub_.change = [&](const TestRequest& request, TestResponse& response) {
    if (!request.target.starts_with("/store/") || !std::exchange(short_once, false)) return;
    response.body.resize(1000);
    response.tells_length = false;
  };
  pull_model();
  EXPECT_EQ(hub_.bytes_stored_sent(), kWeightBytes);
}

TEST_F(HubPull, TellsTheTokenToTheHubAlone) {
  hub_.token = "hf_secret";
  settings_.token = "hf_secret";
  pull_model();
  EXPECT_GE(hub_.hub_requests().size(), 4u);
  for (const TestRequest& request : hub_.hub_requests()) {
    EXPECT_EQ(request.header("authorization"), "Bearer hf_secret") << request.target;
  }
  EXPECT_EQ(hub_.storage_requests().size(), 1u);
  for (const TestRequest& request : hub_.storage_requests()) {
    for (const auto& [name, value] : request.headers) {
      EXPECT_THAT(value, Not(HasSubstr("hf_secret"))) << name;
    }
  }
}

TEST_F(HubPull, DescriptionsMayBeRedirectedToo) {
  hub_.token = "hf_secret";
  settings_.token = "hf_secret";
  TestServer other([&](const TestRequest&) -> TestResponse { return {404, {}, ""}; });
  hub_.change = [&](const TestRequest& request, TestResponse& response) {
    if (!request.target.starts_with("/api/")) return;
    response = {307, {fmt::format("Location: {}/api/elsewhere", other.url())}, ""};
  };
  EXPECT_THAT(failure(), HasSubstr("org/model: is not on the hub"));
  ASSERT_EQ(other.requests().size(), 1u);
  EXPECT_EQ(other.requests()[0].header("authorization"), "");
}

TEST_F(HubPull, ExplainsRefusals) {
  hub_.token = "hf_secret";
  EXPECT_THAT(failure(), HasSubstr("HF_TOKEN"));
  hub_.token.clear();
  EXPECT_THAT(failure("org/other"), HasSubstr("org/other: is not on the hub"));
  EXPECT_THAT(failure("org/model@v2"), HasSubstr("org/model@v2: has no such revision"));
  EXPECT_THAT(failure("org/model:q8_0"), HasSubstr("has no GGUF file"));
  int status = 0;
  std::string code;
  hub_.change = [&](const TestRequest&, TestResponse& response) {
    response = {status, {"X-Error-Code: " + code}, "page"};
  };
  status = 403;
  code = "GatedRepo";
  EXPECT_THAT(failure(), AllOf(HasSubstr("is gated"), HasSubstr("accept its conditions")));
  code = "";
  EXPECT_THAT(failure(), HasSubstr("refuses it (403)"));
  status = 401;
  EXPECT_THAT(failure(), HasSubstr("refuses it (401)"));
  status = 418;
  EXPECT_THAT(failure(), HasSubstr("answers 418"));
  status = 503;
  EXPECT_THAT(failure(), HasSubstr("answers 503"));
  EXPECT_EQ(notes_.size(), 2u);  // it was tried three times
  settings_.endpoint = "http://127.0.0.1:1";
  EXPECT_THAT(failure(), HasSubstr("127.0.0.1:1: "));
}

TEST_F(HubPull, NeedsAHash) {
  hub_.change = [](const TestRequest& request, TestResponse& response) {
    if (request.target.ends_with("config.json")) response.headers = {"X-Other: 1"};
  };
  EXPECT_THAT(failure(), HasSubstr("no hash (ETag)"));
  hub_.change = [](const TestRequest& request, TestResponse& response) {
    if (request.target.ends_with("config.json")) response.headers = {"ETag: \"../../x\""};
  };
  EXPECT_THAT(failure(), HasSubstr("is not a hash"));
  hub_.change = [](const TestRequest& request, TestResponse& response) {
    if (request.target.ends_with("config.json")) response.tells_length = false;
  };
  EXPECT_THAT(failure(), HasSubstr("does not tell its size"));
}

TEST_F(HubPull, RefusesNamesThatLeaveTheFolder) {
  for (const char* name : {"../config.json", "/etc/passwd", "a/../../b.json", "..", "a\\b.json",
                           "a//b.json", "x\ny.json"}) {
    hub_.listed = {name};
    EXPECT_THAT(failure(), HasSubstr("is not a name that a file may have")) << name;
  }
  hub_.listed = {"config.json"};
  EXPECT_THAT(failure(), HasSubstr("twice"));
  EXPECT_FALSE(fs::exists(settings_.cache));
}

TEST_F(HubPull, RefusesOtherDescriptions) {
  std::string body;
  hub_.change = [&](const TestRequest& request, TestResponse& response) {
    if (request.target.starts_with("/api/")) response.body = body;
  };
  for (const char* text :
       {"", "[]", "{}", R"({"sha": "../../x", "siblings": []})", R"({"sha": 1, "siblings": []})",
        R"({"sha": "0123456789abcdef0123456789abcdef01234567", "siblings": {}})",
        R"({"sha": "0123456789abcdef0123456789abcdef01234567", "siblings": [{}]})"}) {
    body = text;
    EXPECT_THAT(failure(), HasSubstr("description of org/model")) << text;
  }
  body = "\"" + std::string(33 << 20, 'a') + "\"";
  EXPECT_THAT(failure(), HasSubstr("longer than 32 MB"));
}

TEST_F(HubPull, RedirectionsEnd) {
  hub_.change = [](const TestRequest& request, TestResponse& response) {
    if (request.method == "GET" && request.target.ends_with(".safetensors")) {
      response = {302, {"Location: " + request.target}, ""};
    }
  };
  EXPECT_THAT(failure(), HasSubstr("without end"));
  hub_.change = [](const TestRequest& request, TestResponse& response) {
    if (request.method == "GET" && request.target.starts_with("/org/")) {
      response = {302, {"Location: file:///etc/passwd"}, ""};
    }
  };
  EXPECT_THAT(failure(), HasSubstr("neither an https nor an http URL"));
  hub_.change = [](const TestRequest& request, TestResponse& response) {
    if (request.method == "GET" && request.target.starts_with("/org/")) {
      response = {302, {"Location: http://storage.example/x"}, ""};
    }
  };
  EXPECT_THAT(failure(), HasSubstr("not encrypted"));
}

TEST_F(HubPull, SaysThatTheDiskCannotBeWritten) {
  fs::create_directories(root_);
  std::ofstream(settings_.cache) << "a file where the folder should be";
  EXPECT_THAT(failure(), HasSubstr("set HF_HOME"));
}

TEST_F(HubPull, SpeaksHttpsToThoseItTrusts) {
  const SelfSigned certificate;
  FakeHub hub(&certificate);
  hub.files = hub_.files;
  hub.cuts = {1000};
  settings_.endpoint = hub.url();
  EXPECT_THAT(failure(), HasSubstr("SSL_CERT_FILE"));
  EXPECT_TRUE(hub.hub_requests().empty());
  fs::create_directories(root_);
  settings_.certificates = (root_ / "certificate.pem").string();
  std::ofstream(settings_.certificates) << certificate.pem();
  const PullResult result = pull_model();
  EXPECT_EQ(read_text_file(result.path / "model.safetensors", kWeightBytes), weights());
  // An answer may not lead from there to an open connection.
  hub.change = [this](const TestRequest& request, TestResponse& response) {
    if (request.target.starts_with("/api/")) {
      response = {302, {"Location: " + hub_.url() + request.target}, ""};
    }
  };
  EXPECT_THAT(failure(), HasSubstr("not encrypted"));
}

}  // namespace
}  // namespace r1::hub
