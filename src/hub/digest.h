#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace r1::hub {

// A hash of bytes that come piece by piece.
class Digest {
 public:
  // The hash that names a file of `size` bytes on a hub: SHA-256 for large files (64 digits), git's
  // blob SHA-1 for those that git holds itself (40 digits). Throws Error for other names.
  static Digest for_etag(std::string_view etag, std::int64_t size);

  void update(std::span<const std::byte> bytes);
  // In lower-case hexadecimal; once, and last.
  std::string finish();

 private:
  struct Context;
  struct Free {
    void operator()(Context* context) const;
  };
  std::unique_ptr<Context, Free> context_;
};

}  // namespace r1::hub
