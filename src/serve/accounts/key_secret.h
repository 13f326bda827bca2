#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

// The text of an API key and what is stored of it. A key is "sk-r1-" with eight letters or digits
// (its id, which is public), "-" and 52 more (its secret: 260 random bits). Because the secret is
// random and longer than the hash, one HMAC-SHA-256 under a random salt is as hard to invert as a
// slow password hash, and a stranger's guess costs the server microseconds.
namespace r1::serve {

inline constexpr std::size_t kSaltBytes = 16;
inline constexpr std::size_t kHashBytes = 32;

struct StoredSecret {
  std::array<std::byte, kSaltBytes> salt{};
  std::array<std::byte, kHashBytes> hash{};
};

// The whole key, drawn anew.
std::string new_key();
// The id of what looks like a key; empty if it does not.
std::string_view key_id_of(std::string_view key);

StoredSecret hash_key(std::string_view key);
// In time that depends on the key's length alone.
bool matches(std::string_view key, const StoredSecret& stored);

}  // namespace r1::serve
