#pragma once

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"

// A small HTTP server on a port of this machine, for tests: one connection at a time, one request
// per connection, answers that may be cut off.
namespace r1::hub::testing {

struct TestRequest {
  std::string method, target;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string() : found->second;
  }
};

struct TestResponse {
  int status = 200;
  std::vector<std::string> headers = {};
  std::string body = {};
  std::size_t cut_after = std::string::npos;  // bytes of the body, then the connection ends
  bool tells_length = true;
};

// A key and a certificate for 127.0.0.1 that it signs itself.
class SelfSigned {
 public:
  SelfSigned() : key_(EVP_EC_gen("P-256")), certificate_(X509_new()) {
    X509_set_version(certificate_, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate_), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate_), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate_), 3600);
    X509_set_pubkey(certificate_, key_);
    X509_NAME* name = X509_get_subject_name(certificate_);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("r1 test"), -1, -1, 0);
    X509_set_issuer_name(certificate_, name);
    extend(NID_subject_alt_name, "IP:127.0.0.1");
    extend(NID_basic_constraints, "critical,CA:TRUE");
    X509_sign(certificate_, key_, EVP_sha256());
  }
  SelfSigned(const SelfSigned&) = delete;
  SelfSigned& operator=(const SelfSigned&) = delete;
  ~SelfSigned() {
    X509_free(certificate_);
    EVP_PKEY_free(key_);
  }

  void use_in(SSL_CTX* context) const {
    SSL_CTX_use_certificate(context, certificate_);
    SSL_CTX_use_PrivateKey(context, key_);
  }
  std::string pem() const {
    BIO* memory = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(memory, certificate_);
    char* data = nullptr;
    const long size = BIO_get_mem_data(memory, &data);
    std::string text(data, static_cast<std::size_t>(size));
    BIO_free(memory);
    return text;
  }

 private:
  void extend(int kind, const char* value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value);
    X509_add_ext(certificate_, extension, -1);
    X509_EXTENSION_free(extension);
  }

  EVP_PKEY* key_;
  X509* certificate_;
};

class TestServer {
 public:
  using Handler = std::function<TestResponse(const TestRequest&)>;

  // With a certificate it speaks HTTPS.
  explicit TestServer(Handler handler, const SelfSigned* certificate = nullptr)
      : handler_(std::move(handler)) {
    if (certificate != nullptr) {
      tls_ = SSL_CTX_new(TLS_server_method());
      certificate->use_in(tls_);
    }
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    R1_CHECK(::bind(listener_, generic, size) == 0 && ::listen(listener_, 16) == 0, "errno {}",
             errno);
    ::getsockname(listener_, generic, &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;
  ~TestServer() {
    stopping_ = true;
    thread_.join();
    ::close(listener_);
    SSL_CTX_free(tls_);
  }

  std::string url() const {
    return fmt::format("{}://127.0.0.1:{}", tls_ != nullptr ? "https" : "http", port_);
  }
  std::vector<TestRequest> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  struct Connection {
    int socket;
    SSL* tls;
    int read(char* data, int size) const {
      return tls != nullptr ? SSL_read(tls, data, size)
                            : static_cast<int>(::recv(socket, data, static_cast<size_t>(size), 0));
    }
    void write(std::string_view text) const {
      while (!text.empty()) {
        const int size = static_cast<int>(std::min<std::size_t>(text.size(), 1 << 20));
        const auto done =
            tls != nullptr ? SSL_write(tls, text.data(), size)
                           : ::send(socket, text.data(), static_cast<size_t>(size), MSG_NOSIGNAL);
        if (done <= 0) return;
        text.remove_prefix(static_cast<std::size_t>(done));
      }
    }
  };

  void serve() {
    while (!stopping_) {
      pollfd waiting{listener_, POLLIN, 0};
      if (::poll(&waiting, 1, 20) <= 0) continue;
      const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (socket < 0) continue;
      const timeval patience{5, 0};
      ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      Connection connection{socket, nullptr};
      if (tls_ != nullptr) {
        connection.tls = SSL_new(tls_);
        SSL_set_fd(connection.tls, socket);
      }
      if (connection.tls == nullptr || SSL_accept(connection.tls) == 1) answer(connection);
      SSL_free(connection.tls);
      ::close(socket);
    }
  }

  void answer(const Connection& connection) {
    std::string head;
    char buffer[4096];
    while (head.find("\r\n\r\n") == head.npos) {
      const int got = connection.read(buffer, sizeof buffer);
      if (got <= 0) return;
      head.append(buffer, static_cast<std::size_t>(got));
    }
    const TestRequest request = parse(head);
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    const TestResponse response = handler_(request);
    std::string text = fmt::format("HTTP/1.1 {} Told\r\nConnection: close\r\n", response.status);
    for (const std::string& header : response.headers) text += header + "\r\n";
    if (response.tells_length) text += fmt::format("Content-Length: {}\r\n", response.body.size());
    connection.write(text + "\r\n");
    if (request.method == "HEAD") return;
    connection.write(std::string_view(response.body).substr(0, response.cut_after));
  }

  static TestRequest parse(const std::string& head) {
    TestRequest request;
    const std::size_t first = head.find(' '), second = head.find(' ', first + 1);
    request.method = head.substr(0, first);
    request.target = head.substr(first + 1, second - first - 1);
    for (std::size_t at = head.find("\r\n") + 2; at < head.size();) {
      const std::size_t end = head.find("\r\n", at);
      const std::string line = head.substr(at, end - at);
      at = end + 2;
      const std::size_t colon = line.find(": ");
      if (colon == line.npos) continue;
      std::string name = line.substr(0, colon);
      for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      request.headers[name] = line.substr(colon + 2);
    }
    return request;
  }

  Handler handler_;
  SSL_CTX* tls_ = nullptr;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;
  std::vector<TestRequest> requests_;
  std::thread thread_;
};

}  // namespace r1::hub::testing
