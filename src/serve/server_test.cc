// The server from outside, over loopback with bare sockets: what no well-behaved client would send.

#include "serve/server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"

namespace r1::serve {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kModel = "models/r1-zero-nano";

class Socket {
 public:
  explicit Socket(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    R1_CHECK(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "errno {}",
             errno);
    const timeval patience{60, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { ::close(fd_); }

  void send(const std::string& text) const {
    std::size_t at = 0;
    while (at < text.size()) {
      const auto sent = ::send(fd_, text.data() + at, text.size() - at, MSG_NOSIGNAL);
      if (sent <= 0) return;
      at += static_cast<std::size_t>(sent);
    }
  }
  // Until `end` has come, or the connection has ended.
  std::string read_until(const std::string& end) const {
    std::string text;
    char buffer[4096];
    while (text.find(end) == text.npos) {
      const auto got = ::recv(fd_, buffer, sizeof buffer, 0);
      if (got <= 0) break;
      text.append(buffer, static_cast<std::size_t>(got));
    }
    return text;
  }
  std::string read_all() const { return read_until(std::string("\0never", 6)); }

 private:
  int fd_;
};

class ServerTest : public testing::Test {
 protected:
  static ServerConfig small() {
    ServerConfig config;
    config.models = {{{}, kModel, {"deepseek-reasoner"}}};
    config.port = 0;
    config.threads = 1;
    config.log = testing::TempDir() + "server_test.log";
    config.limits.header_time = std::chrono::seconds(1);
    config.limits.body_time = std::chrono::seconds(1);
    return config;
  }
  void start(ServerConfig config = small()) {
    server_ = std::make_unique<Server>(std::move(config));
    std::promise<int> port;
    thread_ = std::thread([this, &port] {
      server_->run([&](const std::string& url) {
        port.set_value(std::stoi(url.substr(url.rfind(':') + 1)));
      });
    });
    port_ = port.get_future().get();
  }
  void TearDown() override {
    if (!server_) return;
    server_->stop();
    thread_.join();
  }
  std::string exchange(const std::string& request) const {
    const Socket socket(port_);
    socket.send(request);
    return socket.read_all();
  }
  std::string get(const std::string& path, const std::string& headers = {}) const {
    return exchange("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" +
                    headers + "\r\n");
  }
  static std::string post_text(const std::string& path, const std::string& body,
                               const std::string& headers = {}) {
    return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
           headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  std::string post(const std::string& path, const json& body) const {
    return exchange(post_text(path, body.dump(), "Connection: close\r\n"));
  }
  static std::string body_of(const std::string& reply) {
    return reply.substr(reply.find("\r\n\r\n") + 4);
  }
  static json chat(int max_tokens = 8) {
    return {{"model", "r1-zero-nano"},
            {"max_tokens", max_tokens},
            {"seed", 1},
            {"messages", {{{"role", "user"}, {"content", "Solve 3x + 7 = 31 for x."}}}}};
  }

  int port_ = 0;
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

TEST_F(ServerTest, KeepsConnectionsAlive) {
  start();
  const Socket socket(port_);
  for (int i = 0; i < 3; ++i) {
    socket.send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_THAT(socket.read_until("}"), HasSubstr("200 OK"));
  }
  // Two at once are answered one after the other.
  socket.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
  socket.send("GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  const std::string both = socket.read_all();
  EXPECT_THAT(both, HasSubstr("403"));
  EXPECT_THAT(both, HasSubstr("200 OK"));
  EXPECT_THAT(exchange("GET /health HTTP/1.0\r\n\r\n"), HasSubstr("\"ok\""));
  EXPECT_THAT(
      body_of(exchange("HEAD /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")),
      "");
}

TEST_F(ServerTest, RefusesMalformedRequestsAndGoesOn) {
  start();
  struct Case {
    std::string request;
    const char* status;
  };
  for (
      const Case& c : std::vector<Case>{
          {"nonsense\r\n\r\n", " 505 "},
          {"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", " 400 "},
          {"GET /%2e%2e/x HTTP/1.1\r\nHost: localhost\r\n\r\n", " 400 "},
          {"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
           "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           " 400 "},
          {"GET /health HTTP/1.1\r\nHost: localhost\r\nA: b\r\n c\r\n\r\n", " 400 "},
          {"GET /health HTTP/1.1\r\n\r\n", " 400 "},
          {"GET /health HTTP/1.1\r\nHost: localhost\r\nA: " + std::string(20000, 'x') + "\r\n\r\n",
           " 431 "},
          {"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
           "99999999999\r\n\r\n",
           " 413 "},
          {"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
           "\r\nzz\r\n",
           " 400 "},
          {"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", " 404 "},
          {"GET /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
           " 405 "},
          {"GET /health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", " 403 "},
          {"GET /health HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nConnection: "
           "close\r\n\r\n",
           " 403 "},
      }) {
    const std::string reply = exchange(c.request);
    EXPECT_THAT(reply.substr(0, 30), HasSubstr(c.status)) << c.request.substr(0, 80);
  }
  EXPECT_THAT(get("/health"), HasSubstr("200 OK"));
}

TEST_F(ServerTest, DropsThoseWhoSendTooSlowly) {
  start();
  const Socket header(port_), body(port_), nothing(port_);
  header.send("GET /health HTTP/1.1\r\nHost: local");
  body.send("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{");
  EXPECT_THAT(header.read_all(), HasSubstr(" 408 "));
  EXPECT_THAT(body.read_all(), HasSubstr(" 408 "));
  EXPECT_EQ(nothing.read_all(), "");
}

TEST_F(ServerTest, TakesChunkedBodiesAndWaitsForContinue) {
  start();
  const std::string body = chat().dump();
  const Socket socket(port_);
  socket.send(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
      "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(socket.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 100 Continue"));
  for (std::size_t at = 0; at < body.size(); at += 7) {
    const std::string part = body.substr(at, 7);
    socket.send(fmt::format("{:x}\r\n{}\r\n", part.size(), part));
  }
  socket.send("0\r\n\r\n");
  const std::string reply = socket.read_all();
  EXPECT_THAT(reply, HasSubstr(" 200 "));
  EXPECT_EQ(json::parse(body_of(reply))["object"], "chat.completion");
}

TEST_F(ServerTest, StreamsInChunksThatEndWithDone) {
  start();
  json request = chat(40);
  request["stream"] = true;
  const std::string reply = post("/v1/chat/completions", request);
  EXPECT_THAT(reply, HasSubstr("Content-Type: text/event-stream"));
  EXPECT_THAT(reply, HasSubstr("Transfer-Encoding: chunked"));
  EXPECT_THAT(reply, HasSubstr("data: [DONE]\n\n\r\n0\r\n\r\n"));
  EXPECT_THAT(reply, HasSubstr("\"reasoning_content\":\""));
}

TEST_F(ServerTest, EveryBadFieldIsNamed) {
  start();
  const std::vector<std::pair<std::string, json>> cases = {
      {"model", nullptr},
      {"messages", json::array()},
      {"messages", "text"},
      {"messages[0].role", json::array({{{"content", "a"}}})},
      {"messages[0].role", json::array({{{"role", "wizard"}, {"content", "a"}}})},
      {"messages[0].role", json::array({{{"role", "tool"}, {"content", "a"}}})},
      {"messages[0].content", json::array({{{"role", "user"}}})},
      {"messages[0].content", json::array({{{"role", "user"}, {"content", 3}}})},
      {"messages[0].content[0].type",
       json::array({{{"role", "user"}, {"content", json::array({{{"type", "image_url"}}})}}})},
      {"temperature", 2.5},
      {"temperature", "hot"},
      {"top_p", -0.1},
      {"n", 0},
      {"n", 129},
      {"max_tokens", 0},
      {"max_tokens", -5},
      {"max_tokens", 1e30},
      {"max_completion_tokens", 1.5},
      {"seed", "x"},
      {"stop", 5},
      {"stop", json(std::vector<std::string>(100000, "x"))},
      {"stop", ""},
      {"presence_penalty", 3},
      {"logit_bias", {{"abc", 1}}},
      {"logit_bias", {{"5", 101}}},
      {"logit_bias", {{"99999", 1}}},
      {"top_logprobs", 5},
      {"stream_options", {{"include_usage", true}}},
      {"response_format.type", {{"type", "json_object"}}},
      {"tools", json::array({1})},
      {"reasoning_effort", "huge"},
      {"thinking.type", {{"type", "sometimes"}}},
  };
  for (const auto& [param, value] : cases) {
    json request = chat();
    request[param.substr(0, param.find_first_of(".["))] = value;
    const std::string reply = post("/v1/chat/completions", request);
    EXPECT_THAT(reply, HasSubstr(" 400 ")) << param << " " << value.dump().substr(0, 60);
    EXPECT_EQ(json::parse(body_of(reply))["error"]["param"], param) << reply;
  }
  for (const std::string body : {"", "{", "[]", "\"x\"", "{\"a\":1,\"a\":2}",
                                 "{\"model\":\"\\ud800\"}", "{\"n\":1e400}", "{\"n\":NaN}"}) {
    EXPECT_THAT(exchange(post_text("/v1/chat/completions", body, "Connection: close\r\n")),
                HasSubstr(" 400 "))
        << body;
  }
  const std::string deep(100000, '[');
  EXPECT_THAT(exchange(post_text("/v1/chat/completions", deep, "Connection: close\r\n")),
              HasSubstr(" 400 "));
}

TEST_F(ServerTest, ClientsThatLeaveFreeTheirPlaces) {
  ServerConfig config = small();
  config.limits.queued_sequences = 4;
  start(std::move(config));
  json request = chat(400);
  request["stream"] = true;
  request["min_thinking_tokens"] = 390;
  for (int round = 0; round < 6; ++round) {
    std::vector<std::unique_ptr<Socket>> sockets;
    for (int i = 0; i < 4; ++i) {
      sockets.push_back(std::make_unique<Socket>(port_));
      sockets.back()->send(post_text("/v1/chat/completions", request.dump()));
    }
    for (const auto& socket : sockets) socket->read_until("reasoning_content");
    sockets.clear();
    // The places are free again within a moment.
    std::string reply;
    for (int i = 0; i < 200 && reply.find(" 200 ") == reply.npos; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      reply = post("/v1/chat/completions", chat(1));
    }
    ASSERT_THAT(reply, HasSubstr(" 200 ")) << round;
  }
}

TEST_F(ServerTest, TooMuchAtOnceIsRefusedWithRetryAfter) {
  ServerConfig config = small();
  config.limits.queued_sequences = 2;
  start(std::move(config));
  json request = chat();
  request["n"] = 3;
  const std::string reply = post("/v1/chat/completions", request);
  EXPECT_THAT(reply, HasSubstr(" 503 "));
  EXPECT_THAT(reply, HasSubstr("Retry-After: 1"));
  EXPECT_EQ(json::parse(body_of(reply))["error"]["code"], "overloaded");
}

TEST_F(ServerTest, AnswersThatAreUnderWayEndBeforeTheServerDoes) {
  start();
  json request = chat(60);
  request["stream"] = true;
  const Socket socket(port_);
  socket.send(post_text("/v1/chat/completions", request.dump()));
  socket.read_until("reasoning_content");
  server_->stop();
  EXPECT_THAT(socket.read_all(), HasSubstr("data: [DONE]"));
  thread_.join();
  server_.reset();
}

TEST_F(ServerTest, SameRequestAloneAndUnderLoadSameBytes) {
  start();
  const auto answer = [&] {
    json request = chat(80);
    request["logprobs"] = true;
    request["temperature"] = 1.0;
    return json::parse(body_of(post("/v1/chat/completions", request)))["choices"].dump();
  };
  const std::string alone = answer();
  std::vector<std::thread> others;
  for (int i = 0; i < 12; ++i) {
    others.emplace_back([&, i] {
      json request = chat(60);
      request["seed"] = i;
      request["messages"][0]["content"] = fmt::format("What is {} + {}?", i, 3 * i);
      post("/v1/chat/completions", request);
    });
  }
  for (int i = 0; i < 3; ++i) EXPECT_EQ(answer(), alone);
  for (std::thread& other : others) other.join();
}

TEST_F(ServerTest, ManyIdleConnectionsDoNotHinderOthers) {
  ServerConfig config = small();
  config.limits.header_time = std::chrono::seconds(60);
  start(std::move(config));
  std::vector<std::unique_ptr<Socket>> idle;
  for (int i = 0; i < 400; ++i) idle.push_back(std::make_unique<Socket>(port_));
  EXPECT_THAT(post("/v1/chat/completions", chat()), HasSubstr(" 200 "));
}

TEST_F(ServerTest, OperatorsAndLlamaServersClientsAreAnswered) {
  start();
  EXPECT_THAT(get("/ready"), HasSubstr(" 200 "));
  EXPECT_EQ(json::parse(body_of(get("/props")))["default_generation_settings"]["n_ctx"], 512);
  EXPECT_EQ(json::parse(body_of(get("/slots"))).size(), 64u);
  const json tokens = json::parse(
      body_of(post("/tokenize", {{"content", "3+4"}, {"with_pieces", true}})))["tokens"];
  std::vector<int> ids;
  std::string pieces;
  for (const json& token : tokens) {
    ids.push_back(token["id"]);
    pieces += token["piece"].get<std::string>();
  }
  EXPECT_EQ(pieces, "3+4");
  EXPECT_EQ(json::parse(body_of(post("/detokenize", {{"tokens", ids}})))["content"], "3+4");
  EXPECT_THAT(get("/metrics"), HasSubstr("vllm:"));
  EXPECT_EQ(json::parse(body_of(get("/v1/models/deepseek-reasoner")))["id"], "deepseek-reasoner");
}

TEST(ServerStart, WhatCannotBeServedIsFoundBeforeListening) {
  ServerConfig config;
  config.models = {{{}, "models/no-such", {}}};
  EXPECT_THROW(Server{config}, Error);
  config.models = {{"a", kModel, {}}, {"a", kModel, {}}};
  EXPECT_THROW(Server{config}, Error);
  config.models = {{{}, kModel, {}}};
  config.tls_certificate = "no-such.pem";
  EXPECT_THROW(Server{config}, Error);
}

}  // namespace
}  // namespace r1::serve
