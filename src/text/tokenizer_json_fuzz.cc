// Feeds arbitrary bytes to the tokenizer.json reader; a tokenizer that loads must encode and write
// itself without a fault.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/tokenizer_json.h"

using r1::text::parse_tokenizer_json;
using r1::text::to_tokenizer_json;
using r1::text::Tokenizer;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  std::optional<Tokenizer> tokenizer;
  std::vector<std::int32_t> ids;
  try {
    tokenizer.emplace(parse_tokenizer_json(json, "fuzz"));
    ids = tokenizer->encode("It's 12 <think> a\xCC\x81  \xE4\xBD\xA0\xFF\n<|x|>",
                            {.add_bos = true, .parse_special = true});
  } catch (const r1::Error&) {
    // The only way a bad file, or a pattern that backtracks without end, may stop us.
  }
  if (!tokenizer) return 0;
  for (const std::int32_t id : ids) {
    if (id < 0 || id >= tokenizer->vocab_size()) std::abort();
  }
  tokenizer->decode(ids);
  const std::string written = to_tokenizer_json(*tokenizer);
  if (to_tokenizer_json(parse_tokenizer_json(written, "written")) != written) std::abort();
  return 0;
}
