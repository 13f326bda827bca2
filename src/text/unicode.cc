#include "text/unicode.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>

#include <limits>

#include "base/error.h"
#include "text/utf8.h"

namespace r1::text {

std::string to_nfc(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(status);
  R1_CHECK(U_SUCCESS(status), "ICU has no NFC data: {}", u_errorName(status));
  std::string out;
  out.reserve(text.size());
  for_each_utf8_run(text, [&](std::string_view run, bool valid) {
    if (!valid) {
      out += run;
      return;
    }
    if (run.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max() / 4)) {
      throw Error("text", "too long to normalise in one piece", "split it");
    }
    const icu::StringPiece piece(run.data(), static_cast<std::int32_t>(run.size()));
    icu::StringByteSink<std::string> sink(&out);
    nfc->normalizeUTF8(0, piece, sink, nullptr, status);
    if (U_FAILURE(status)) throw Error("text", "cannot be normalised", u_errorName(status));
  });
  return out;
}

bool is_white_space(std::uint32_t code_point) {
  return u_isUWhiteSpace(static_cast<UChar32>(code_point));
}

bool is_word(std::uint32_t code_point) {
  const auto c = static_cast<UChar32>(code_point);
  constexpr std::uint32_t kMask = U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK;
  return u_isUAlphabetic(c) || (U_GET_GC_MASK(c) & kMask) != 0;
}

}  // namespace r1::text
