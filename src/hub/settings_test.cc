#include "hub/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

#include "base/error.h"
#include "hub/url.h"

namespace r1::hub {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr const char* kNames[] = {
    "HF_HOME",       "HF_HUB_CACHE",  "HUGGINGFACE_HUB_CACHE",  "HF_ENDPOINT",    "HF_TOKEN",
    "HF_TOKEN_PATH", "SSL_CERT_FILE", "HUGGING_FACE_HUB_TOKEN", "XDG_CACHE_HOME", "HOME"};

// Variables of this process, given back at the end.
class HubSettings : public ::testing::Test {
 protected:
  HubSettings() {
    for (const char* name : kNames) {
      const char* value = std::getenv(name);
      before_[name] = value == nullptr ? std::nullopt : std::optional<std::string>(value);
      ::unsetenv(name);
    }
    ::setenv("HOME", "/home/someone", 1);
  }
  ~HubSettings() override {
    for (const auto& [name, value] : before_) {
      if (value) {
        ::setenv(name.c_str(), value->c_str(), 1);
      } else {
        ::unsetenv(name.c_str());
      }
    }
  }
  static std::string refusal() {
    try {
      settings_from_environment();
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was refused";
  }

 private:
  std::map<std::string, std::optional<std::string>> before_;
};

TEST_F(HubSettings, FollowHuggingFacesVariables) {
  EXPECT_EQ(settings_from_environment().cache, "/home/someone/.cache/huggingface/hub");
  EXPECT_EQ(settings_from_environment().endpoint, "https://huggingface.co");
  EXPECT_EQ(settings_from_environment().token, "");
  ::setenv("XDG_CACHE_HOME", "/xdg", 1);
  EXPECT_EQ(settings_from_environment().cache, "/xdg/huggingface/hub");
  ::setenv("HF_HOME", "~/models", 1);
  EXPECT_EQ(settings_from_environment().cache, "/home/someone/models/hub");
  ::setenv("HF_HUB_CACHE", "/elsewhere", 1);
  EXPECT_EQ(settings_from_environment().cache, "/elsewhere");
  ::setenv("HF_ENDPOINT", "https://mirror.example/hf/", 1);
  EXPECT_EQ(settings_from_environment().endpoint, "https://mirror.example/hf");
  ::setenv("HF_TOKEN", " hf_abc\n", 1);
  EXPECT_EQ(settings_from_environment().token, "hf_abc");
  ::setenv("SSL_CERT_FILE", "/certificates.pem", 1);
  EXPECT_EQ(settings_from_environment().certificates, "/certificates.pem");
}

TEST_F(HubSettings, ReadTheTokensFile) {
  const fs::path home = fs::temp_directory_path() / "r1-hub-settings-test";
  fs::create_directories(home);
  std::ofstream(home / "token") << "hf_from_file\n";
  ::setenv("HF_HOME", home.c_str(), 1);
  EXPECT_EQ(settings_from_environment().token, "hf_from_file");
  std::ofstream(home / "token") << "two\nlines\n";
  EXPECT_THAT(refusal(), HasSubstr("is not a token"));
  fs::remove_all(home);
}

TEST_F(HubSettings, RefuseOpenConnectionsToOtherMachines) {
  ::setenv("HF_ENDPOINT", "http://localhost:8080", 1);
  EXPECT_EQ(settings_from_environment().endpoint, "http://localhost:8080");
  ::setenv("HF_ENDPOINT", "http://mirror.example", 1);
  EXPECT_THAT(refusal(), HasSubstr("unencrypted"));
  for (const char* url : {"ftp://mirror.example", "https://user:word@mirror.example", "https://"}) {
    ::setenv("HF_ENDPOINT", url, 1);
    EXPECT_THAT(refusal(), HasSubstr("HF_ENDPOINT")) << url;
  }
  ::setenv("HF_ENDPOINT", "https://mirror.example", 1);
  ::setenv("HF_TOKEN", "a\r\nX-Other: b", 1);
  EXPECT_THAT(refusal(), HasSubstr("HF_TOKEN: is not a token"));
}

TEST(HubUrl, TellsOriginsApart) {
  const Url url = parse_url("https://Hub.example/a/b");
  EXPECT_TRUE(url.same_origin(parse_url("https://hub.example:443/c")));
  EXPECT_FALSE(url.same_origin(parse_url("http://hub.example/c")));
  EXPECT_FALSE(url.same_origin(parse_url("https://hub.example:444/c")));
  EXPECT_FALSE(url.same_origin(parse_url("https://hub.example.evil/c")));
  EXPECT_EQ(resolve_url(url, "/x?y=1").text, "https://Hub.example/x?y=1");
  EXPECT_EQ(resolve_url(url, "//other.example/x").host, "other.example");
  EXPECT_EQ(escape_path("a b/ü+%.gguf"), "a%20b/%C3%BC%2B%25.gguf");
}

}  // namespace
}  // namespace r1::hub
