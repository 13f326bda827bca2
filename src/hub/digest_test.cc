#include "hub/digest.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace r1::hub {
namespace {

std::string hash(std::size_t digits, std::string_view text) {
  Digest digest =
      Digest::for_etag(std::string(digits, 'a'), static_cast<std::int64_t>(text.size()));
  for (const char& c : text) digest.update(std::as_bytes(std::span(&c, 1)));
  return digest.finish();
}

// FIPS 180 examples, and what `git hash-object` prints.
TEST(Digest, IsSha256OrGitsBlobHash) {
  EXPECT_EQ(hash(64, "abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hash(64, ""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash(40, ""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
  EXPECT_EQ(hash(40, "hello\n"), "ce013625030ba8dba906f756967f9e9ca394464a");
}

TEST(Digest, RefusesOtherNames) {
  EXPECT_THROW(Digest::for_etag("abc-1", 1), Error);
  EXPECT_THROW(Digest::for_etag(std::string(64, 'A'), 1), Error);
}

}  // namespace
}  // namespace r1::hub
