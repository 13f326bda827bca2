#include "serve/http/request_reader.h"

#include <fmt/format.h>

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "serve/http/head_check.h"

namespace r1::serve {
namespace {

namespace http = boost::beast::http;

constexpr std::size_t kReadBytes = 16 << 10;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

std::string lower(boost::beast::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return result;
}

RequestReader::Result refused(int status, std::string message) {
  RequestReader::Result result;
  result.kind = RequestReader::Result::Kind::refused;
  result.status = status;
  result.message = std::move(message);
  return result;
}

}  // namespace

asio::awaitable<bool> RequestReader::read_more(ErrorCode& error) {
  // Idle connections hold little memory.
  const std::size_t size = buffer_.size();
  const std::size_t step = size == 0 ? 1024 : kReadBytes;
  buffer_.resize(size + step);
  const std::size_t got = co_await transport_.read_some(buffer_.data() + size, step, error);
  buffer_.resize(size + got);
  co_return !error && got > 0;
}

asio::awaitable<bool> RequestReader::read_head(bool first, Result& result, std::size_t& head_size) {
  ErrorCode error;
  if (buffer_.empty()) {
    buffer_.shrink_to_fit();
    transport_.expires_after(first ? limits_.header_time : limits_.idle_time);
    const bool more = co_await read_more(error);
    if (!more) co_return false;
  }
  transport_.expires_after(limits_.header_time);
  for (;;) {
    while (buffer_.starts_with("\r\n")) buffer_.erase(0, 2);  // RFC 9112, section 2.2
    const std::size_t end = buffer_.find("\r\n\r\n");
    if (end != buffer_.npos && end + 4 <= limits_.header_bytes) {
      head_size = end + 4;
      co_return true;
    }
    if (end != buffer_.npos || buffer_.size() > limits_.header_bytes) {
      result = refused(431, fmt::format("the header has more than {} bytes", limits_.header_bytes));
      co_return false;
    }
    const bool more = co_await read_more(error);
    if (!more) {
      if (error == asio::error::timed_out) {
        result = refused(408, "the header took too long");
      }
      co_return false;
    }
  }
}

asio::awaitable<RequestReader::Result> RequestReader::next(bool first) {
  Result result;
  std::size_t head_size = 0;
  const bool has_head = co_await read_head(first, result, head_size);
  if (!has_head) co_return result;
  const HeadProblem problem = check_head(std::string_view(buffer_).substr(0, head_size), limits_);
  if (problem.status != 0) co_return refused(problem.status, problem.message);

  ErrorCode error;
  http::request_parser<http::string_body> parser;
  parser.header_limit(static_cast<std::uint32_t>(limits_.header_bytes));
  parser.body_limit(limits_.body_bytes);
  parser.put(asio::buffer(buffer_.data(), head_size), error);
  buffer_.erase(0, head_size);
  if (error == http::error::body_limit) {
    co_return refused(413, fmt::format("the body has more than {} bytes", limits_.body_bytes));
  }
  if (error || !parser.is_header_done()) {
    co_return refused(400, fmt::format("the header is malformed: {}", error.message()));
  }
  const auto& message = parser.get();
  HttpRequest& request = result.request;
  request.method = std::string(message.method_string());
  if (!parse_target(std::string_view(message.target().data(), message.target().size()), request)) {
    co_return refused(400, "the path of the request is malformed");
  }
  for (const auto& field : message) {
    request.headers.emplace_back(lower(field.name_string()), std::string(field.value()));
  }
  result.keep_alive = message.keep_alive();
  result.is_1_0 = message.version() == 10;

  if (const std::string expect = lower(message[http::field::expect]); !expect.empty()) {
    if (expect != "100-continue") co_return refused(417, "only 100-continue can be expected");
    if (!parser.is_done() && buffer_.empty()) {
      const ErrorCode writing = co_await transport_.write(kContinue);
      if (writing) co_return Result{};
    }
  }
  parser.eager(true);
  transport_.expires_after(limits_.body_time);
  while (!parser.is_done()) {
    if (!buffer_.empty()) {
      const std::size_t used = parser.put(asio::buffer(buffer_.data(), buffer_.size()), error);
      buffer_.erase(0, used);
      if (error == http::error::body_limit) {
        co_return refused(413, fmt::format("the body has more than {} bytes", limits_.body_bytes));
      }
      if (error && error != http::error::need_more) {
        co_return refused(400, fmt::format("the body is malformed: {}", error.message()));
      }
      if (parser.is_done()) break;
      if (used > 0 && !buffer_.empty()) continue;
    }
    // A chunk's head that does not end is no reason to read without bound.
    if (buffer_.size() > limits_.header_bytes) co_return refused(400, "the body is malformed");
    ErrorCode reading;
    const bool more = co_await read_more(reading);
    if (!more) {
      if (reading == asio::error::timed_out) {
        co_return refused(408, "the body took too long");
      }
      co_return Result{};
    }
  }
  request.body = std::move(parser.get().body());
  result.kind = Result::Kind::request;
  co_return result;
}

}  // namespace r1::serve
