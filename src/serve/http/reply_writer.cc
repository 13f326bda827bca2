#include "serve/http/reply_writer.h"

#include <fmt/format.h>

#include <boost/beast/http/status.hpp>

namespace r1::serve {

std::string ReplyWriter::head(
    int status, std::string_view type,
    const std::vector<std::pair<std::string, std::string>>& headers) const {
  const auto reason = boost::beast::http::obsolete_reason(
      boost::beast::http::int_to_status(static_cast<unsigned>(status)));
  std::string head = fmt::format("HTTP/1.1 {} {}\r\nServer: r1\r\n", status, std::string(reason));
  if (!type.empty()) head += fmt::format("Content-Type: {}\r\n", type);
  head += "X-Content-Type-Options: nosniff\r\n";
  bool has_caching = false;
  for (const auto& [name, value] : headers) has_caching = has_caching || name == "Cache-Control";
  if (!has_caching) head += "Cache-Control: no-store\r\n";
  for (const auto* list : {&options_.headers, &headers}) {
    for (const auto& [name, value] : *list) head += fmt::format("{}: {}\r\n", name, value);
  }
  if (!options_.keep_alive) head += "Connection: close\r\n";
  if (options_.keep_alive && options_.is_1_0) head += "Connection: keep-alive\r\n";
  return head;
}

asio::awaitable<bool> ReplyWriter::put(std::string_view bytes) {
  transport_.expires_after(limits_.write_time);
  const ErrorCode error = co_await transport_.write(bytes);
  co_return !error;
}

asio::awaitable<bool> ReplyWriter::send(const HttpReply& reply) {
  begun_ = true;
  status_ = reply.status;
  std::string bytes = head(reply.status, reply.body.empty() ? "" : reply.type, reply.headers);
  if (reply.status != 204 && reply.status != 304)
    bytes += fmt::format("Content-Length: {}\r\n", reply.body.size());
  bytes += "\r\n";
  if (!options_.is_head) bytes += reply.body;
  const bool sent = co_await put(bytes);
  ended_ = sent;
  co_return sent;
}

asio::awaitable<bool> ReplyWriter::begin(
    std::string_view type, const std::vector<std::pair<std::string, std::string>>& headers) {
  begun_ = true;
  status_ = 200;
  if (options_.is_1_0) options_.keep_alive = false;
  std::string bytes = head(200, type, headers);
  if (!options_.is_1_0) bytes += "Transfer-Encoding: chunked\r\n";
  co_return co_await put(bytes + "\r\n");
}

asio::awaitable<bool> ReplyWriter::write(std::string_view bytes) {
  if (bytes.empty()) co_return true;
  if (options_.is_1_0) co_return co_await put(bytes);
  std::string chunk = fmt::format("{:x}\r\n", bytes.size());
  chunk += bytes;
  chunk += "\r\n";
  co_return co_await put(chunk);
}

asio::awaitable<bool> ReplyWriter::end() {
  bool sent = true;
  if (!options_.is_1_0) sent = co_await put("0\r\n\r\n");
  ended_ = sent;
  co_return sent;
}

}  // namespace r1::serve
