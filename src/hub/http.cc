#include "hub/http.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <mutex>

#include "base/progress_text.h"

namespace r1::hub {
namespace {

constexpr long kConnectSeconds = 30;
// A connection that brings nothing for so long counts as cut.
constexpr long kSilentSeconds = 60;
constexpr std::size_t kMaxHeaders = 256;

// What one exchange collects. The library calls back through C, so exceptions wait here.
struct Exchange {
  HttpResponse response;
  const HttpClient::Sink* sink;
  std::exception_ptr failure;
};

std::string trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == text.npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(kBlank) + 1 - first));
}

std::size_t take_header(const char* data, std::size_t, std::size_t size, void* target) {
  auto& exchange = *static_cast<Exchange*>(target);
  const std::string_view line(data, size);
  if (line.starts_with("HTTP/")) {  // those before were of an interim answer
    exchange.response.headers.clear();
    return size;
  }
  const std::size_t colon = line.find(':');
  if (colon == line.npos) return size;
  if (exchange.response.headers.size() == kMaxHeaders) return 0;
  std::string name(line.substr(0, colon));
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  exchange.response.headers.emplace(std::move(name), trimmed(line.substr(colon + 1)));
  return size;
}

bool is_transient(CURLcode code) {
  constexpr std::array kTransient = {CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT,
                                     CURLE_PARTIAL_FILE,         CURLE_OPERATION_TIMEDOUT,
                                     CURLE_GOT_NOTHING,          CURLE_SEND_ERROR,
                                     CURLE_RECV_ERROR,           CURLE_HTTP2,
                                     CURLE_HTTP2_STREAM,         CURLE_COULDNT_RESOLVE_PROXY,
                                     CURLE_SSL_CONNECT_ERROR};
  return std::ranges::find(kTransient, code) != kTransient.end();
}

}  // namespace

std::string_view HttpResponse::header(std::string_view name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

struct HttpClient::Connection {
  CURL* easy = nullptr;
  std::string certificates;
  std::array<char, CURL_ERROR_SIZE> message{};
  Exchange* exchange = nullptr;

  void read_status() {
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &exchange->response.status);
  }
  static std::size_t take_body(const char* data, std::size_t, std::size_t size, void* target) {
    auto& connection = *static_cast<Connection*>(target);
    Exchange& exchange = *connection.exchange;
    try {
      connection.read_status();
      (*exchange.sink)(exchange.response, std::as_bytes(std::span(data, size)));
      return size;
    } catch (...) {
      exchange.failure = std::current_exception();
      return 0;
    }
  }
};

HttpClient::HttpClient(const std::string& certificates) : connection_(new Connection) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  connection_->easy = curl_easy_init();
  if (connection_->easy == nullptr) throw Error("network", "the HTTP library does not start");
  connection_->certificates = certificates;
}

HttpClient::~HttpClient() { curl_easy_cleanup(connection_->easy); }

HttpResponse HttpClient::exchange(const HttpRequest& request, const Sink& sink) {
  CURL* easy = connection_->easy;
  Exchange exchange{{}, &sink, nullptr};
  connection_->exchange = &exchange;
  connection_->message[0] = '\0';
  curl_easy_reset(easy);  // keeps the connections
  curl_easy_setopt(easy, CURLOPT_URL, request.url.text.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_NOBODY, request.head ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "r1.cpp");
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, kSilentSeconds);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, connection_->message.data());
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, Connection::take_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, connection_.get());
  if (!connection_->certificates.empty()) {
    curl_easy_setopt(easy, CURLOPT_CAINFO, connection_->certificates.c_str());
  }
  curl_slist* headers = nullptr;
  for (const std::string& header : request.headers) {
    headers = curl_slist_append(headers, header.c_str());
  }
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  const CURLcode code = curl_easy_perform(easy);
  curl_slist_free_all(headers);
  connection_->read_status();
  connection_->exchange = nullptr;

  if (exchange.failure) std::rethrow_exception(exchange.failure);
  if (code == CURLE_OK) return std::move(exchange.response);
  const char* text =
      connection_->message[0] != '\0' ? connection_->message.data() : curl_easy_strerror(code);
  const std::string what = fit_to_width(text, 160);
  const std::string where = fmt::format("{}:{}", request.url.host, request.url.port);
  if (is_transient(code)) throw TransientError(where, what);
  if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE) {
    throw Error(where, what, "install ca-certificates, or name a file of them in SSL_CERT_FILE");
  }
  throw Error(where, what);
}

}  // namespace r1::hub
