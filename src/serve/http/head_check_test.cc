#include "serve/http/head_check.h"

#include <gtest/gtest.h>

namespace r1::serve {
namespace {

int status(const std::string& head) { return check_head(head, Limits{}).status; }

TEST(HeadCheck, TakesWhatClientsSend) {
  EXPECT_EQ(status("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
  EXPECT_EQ(status("POST /v1/x?a=b HTTP/1.1\r\nhost: a:80\r\nContent-Length: 3\r\n\r\n"), 0);
  EXPECT_EQ(status("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), 0);
  EXPECT_EQ(status("GET / HTTP/1.0\r\n\r\n"), 0);
}

TEST(HeadCheck, RefusesWhatCanBeReadInTwoWays) {
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\n";
  for (const char* rest : {
           "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
           "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
           "Content-Length: 3\r\nContent-Length: 3\r\n\r\n",
           "Content-Length: +3\r\n\r\n",
           "Content-Length: 3, 3\r\n\r\n",
           "Content-Length: \r\n\r\n",
           "Content-Length: 99999999999999999999\r\n\r\n",
           "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
           "A: b\r\n c\r\n\r\n",
           "A: b\r\n\tc\r\n\r\n",
           "Content-Length : 3\r\n\r\n",
           "A\r\n\r\n",
           ": b\r\n\r\n",
           "Host: b\r\n\r\n",
           "A: b\nContent-Length: 3\r\n\r\n",
           "A: b\rc\r\n\r\n",
       }) {
    EXPECT_EQ(status(post + rest), 400) << rest;
  }
  EXPECT_EQ(status(post + std::string("A: \0\r\n\r\n", 8)), 400);
  EXPECT_EQ(status(post + "Transfer-Encoding: gzip, chunked\r\n\r\n"), 501);
  EXPECT_EQ(status("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
  EXPECT_EQ(status("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status("PRI * HTTP/2.0\r\n\r\n"), 505);
  std::string many = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 200; ++i) many += "A: b\r\n";
  EXPECT_EQ(status(many + "\r\n"), 431);
}

TEST(ParseTarget, DecodesPathAndQuery) {
  HttpRequest request;
  ASSERT_TRUE(parse_target("/v1/models/a%20b/?x=1&y=a+b&z", request));
  EXPECT_EQ(request.path, "/v1/models/a b");
  EXPECT_EQ(request.query["x"], "1");
  EXPECT_EQ(request.query["y"], "a b");
  EXPECT_EQ(request.query["z"], "");
}

TEST(ParseTarget, RefusesTraversalAndHalfEscapes) {
  for (const char* target :
       {"/../etc/passwd", "/a/../../b", "/%2e%2e/b", "/a/%2E./b", "/a/.", "/a\\b", "/a%5cb", "/%00",
        "/%0a", "/%", "/%4", "/%zz", "/%ff", "a", "", "http://a/b", "/?a=%"}) {
    HttpRequest request;
    EXPECT_FALSE(parse_target(target, request)) << target;
  }
}

}  // namespace
}  // namespace r1::serve
