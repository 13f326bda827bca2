#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "hub/url.h"

namespace r1::hub {

// A failure that may be gone at the next attempt: a connection that was cut, a server too busy.
class TransientError : public Error {
 public:
  using Error::Error;
};

struct HttpRequest {
  Url url;
  bool head = false;                      // headers only
  std::vector<std::string> headers = {};  // "Name: value"
};

struct HttpResponse {
  long status = 0;
  std::map<std::string, std::string, std::less<>> headers;  // names in lower case

  // Empty where there is none.
  std::string_view header(std::string_view name) const;
};

// HTTP and HTTPS over one set of connections. Not thread-safe.
class HttpClient {
 public:
  // certificates: a file of those to trust; empty: the system's.
  explicit HttpClient(const std::string& certificates);
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;
  ~HttpClient();

  // The body, piece by piece as it comes, with the status and headers before it.
  using Sink = std::function<void(const HttpResponse&, std::span<const std::byte>)>;

  // One request and its answer; redirections are answers too. Throws TransientError where the
  // connection fails, Error where it must not be made (an untrusted certificate), and what `sink`
  // throws.
  HttpResponse exchange(const HttpRequest& request, const Sink& sink);

 private:
  struct Connection;
  std::unique_ptr<Connection> connection_;
};

}  // namespace r1::hub
