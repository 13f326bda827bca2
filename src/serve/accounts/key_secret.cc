#include "serve/accounts/key_secret.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <span>

#include "base/error.h"

namespace r1::serve {
namespace {

constexpr std::string_view kPrefix = "sk-r1-";
constexpr std::string_view kAlphabet = "abcdefghijkmnpqrstuvwxyz23456789";  // 5 bits; no l, o, 0, 1
static_assert(kAlphabet.size() == 32);
constexpr std::size_t kIdLetters = 8, kSecretLetters = 52;
constexpr std::size_t kIdEnd = kPrefix.size() + kIdLetters;
constexpr std::size_t kKeyLetters = kIdEnd + 1 + kSecretLetters;

void draw(std::span<std::byte> bytes) {
  const int drawn =
      RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  if (drawn != 1) throw Error("random numbers", "the system gives none");
}

std::string draw_letters(std::size_t count) {
  std::string letters(count, '\0');
  draw(std::as_writable_bytes(std::span(letters)));
  for (char& letter : letters) letter = kAlphabet[static_cast<unsigned char>(letter) % 32];
  return letters;
}

std::array<std::byte, kHashBytes> hash(std::span<const std::byte> salt, std::string_view key) {
  std::array<std::byte, kHashBytes> result{};
  std::size_t size = 0;
  const unsigned char* done =
      EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, salt.data(), salt.size(),
                reinterpret_cast<const unsigned char*>(key.data()), key.size(),
                reinterpret_cast<unsigned char*>(result.data()), result.size(), &size);
  R1_CHECK(done != nullptr && size == kHashBytes, "size {}", size);
  return result;
}

}  // namespace

std::string new_key() {
  return fmt::format("{}{}-{}", kPrefix, draw_letters(kIdLetters), draw_letters(kSecretLetters));
}

std::string_view key_id_of(std::string_view key) {
  if (key.size() != kKeyLetters || !key.starts_with(kPrefix) || key[kIdEnd] != '-') return {};
  const auto known = [](char c) { return kAlphabet.find(c) != std::string_view::npos; };
  const bool valid = std::ranges::all_of(key.substr(kPrefix.size(), kIdLetters), known) &&
                     std::ranges::all_of(key.substr(kIdEnd + 1), known);
  return valid ? key.substr(0, kIdEnd) : std::string_view();
}

StoredSecret hash_key(std::string_view key) {
  StoredSecret stored;
  draw(stored.salt);
  stored.hash = hash(stored.salt, key);
  return stored;
}

bool matches(std::string_view key, const StoredSecret& stored) {
  const std::array<std::byte, kHashBytes> given = hash(stored.salt, key);
  return CRYPTO_memcmp(given.data(), stored.hash.data(), kHashBytes) == 0;
}

}  // namespace r1::serve
