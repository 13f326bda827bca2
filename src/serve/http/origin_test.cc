#include "serve/http/origin.h"

#include <gtest/gtest.h>

namespace r1::serve {
namespace {

OriginVerdict judge(std::vector<std::pair<std::string, std::string>> headers,
                    const ServerConfig& config = {}) {
  HttpRequest request;
  request.method = "POST";
  request.headers = std::move(headers);
  return judge_origin(request, config);
}

TEST(Origin, ProgramsAndTheServersOwnPageMayAsk) {
  EXPECT_TRUE(judge({{"host", "localhost:8080"}}).allowed);
  EXPECT_TRUE(judge({{"host", "127.0.0.1:8080"}}).allowed);
  EXPECT_TRUE(judge({{"host", "[::1]:8080"}}).allowed);
  EXPECT_TRUE(judge({{"host", "localhost:8080"}, {"origin", "http://localhost:8080"}}).allowed);
  EXPECT_EQ(judge({{"host", "localhost:8080"}, {"origin", "http://localhost:8080"}}).allow_origin,
            "");
}

TEST(Origin, PagesFromElsewhereMayNot) {
  for (const char* origin : {"https://evil.example", "http://localhost:9999", "null",
                             "http://localhost:8080.evil.example", "https://"}) {
    EXPECT_FALSE(judge({{"host", "localhost:8080"}, {"origin", origin}}).allowed) << origin;
  }
  EXPECT_FALSE(judge({{"host", "localhost:8080"}, {"sec-fetch-site", "cross-site"}}).allowed);
}

TEST(Origin, NamesThatWereMadeToPointHereAreRefused) {
  EXPECT_FALSE(judge({{"host", "evil.example"}}).allowed);
  EXPECT_FALSE(judge({{"host", "evil.example"}, {"origin", "http://evil.example"}}).allowed);
  EXPECT_FALSE(judge({{"host", "localhost.evil.example:8080"}}).allowed);
  ServerConfig config;
  config.hosts = {"r1.example"};
  EXPECT_TRUE(judge({{"host", "r1.example:443"}}, config).allowed);
}

TEST(Origin, OperatorsNameOrigins) {
  ServerConfig config;
  config.origins = {"https://chat.example"};
  const OriginVerdict verdict =
      judge({{"host", "localhost:8080"}, {"origin", "https://chat.example"}}, config);
  EXPECT_TRUE(verdict.allowed);
  EXPECT_EQ(verdict.allow_origin, "https://chat.example");
  EXPECT_FALSE(judge({{"host", "localhost"}, {"origin", "https://other.example"}}, config).allowed);
}

}  // namespace
}  // namespace r1::serve
