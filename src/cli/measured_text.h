#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace r1::cli {

// The text that a model is measured on, from its first token on and at most `limit` tokens of it: a
// file's, or a short one of our own with what a reasoning model writes. Throws Error when it cannot
// be read or has fewer than two tokens.
std::vector<std::int32_t> read_measured_text(const std::optional<std::string>& file,
                                             const text::Tokenizer& tokenizer, std::int64_t limit);

}  // namespace r1::cli
