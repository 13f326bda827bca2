#include "hub/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>

#include "base/error.h"
#include "base/progress_text.h"
#include "hub/model_name.h"

namespace r1::hub {

struct Digest::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() { EVP_MD_CTX_free(evp); }
};

void Digest::Free::operator()(Context* context) const { delete context; }

Digest Digest::for_etag(std::string_view etag, std::int64_t size) {
  const bool git = is_hex(etag, 40);
  if (!git && !is_hex(etag, 64)) {
    throw Error("hub", fmt::format("\"{}\" is not a hash of a file", fit_to_width(etag, 80)),
                "without one nothing can be verified; use another HF_ENDPOINT");
  }
  Digest digest;
  digest.context_.reset(new Context);
  const int started =
      EVP_DigestInit_ex(digest.context_->evp, git ? EVP_sha1() : EVP_sha256(), nullptr);
  R1_CHECK(started == 1, "git {}", git);
  if (git) {
    const std::string header = fmt::format("blob {}", size);
    digest.update(std::as_bytes(std::span(header.c_str(), header.size() + 1)));  // ends with a zero
  }
  return digest;
}

void Digest::update(std::span<const std::byte> bytes) {
  const int done = EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size());
  R1_CHECK(done == 1, "{} bytes", bytes.size());
}

std::string Digest::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
  unsigned size = 0;
  const int done = EVP_DigestFinal_ex(context_->evp, hash.data(), &size);
  R1_CHECK(done == 1, "size {}", size);
  std::string text;
  for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", hash[i]);
  return text;
}

}  // namespace r1::hub
