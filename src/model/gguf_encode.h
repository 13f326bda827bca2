#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "quant/ggml_type.h"

namespace r1 {

// Values as blocks of a type, and what the type lost of them.
struct EncodedValues {
  std::vector<std::byte> blocks;
  double squares = 0.0;     // sum of the values' squares
  double difference = 0.0;  // sum of the squared differences after decoding
};

// Encodes a whole number of blocks, by all threads; neither blocks nor sums depend on their number.
// Throws Error naming `where` for a value that does not fit the type.
EncodedValues encode_values(Backend& backend, GgmlType type, std::span<const float> values,
                            std::string_view where);

}  // namespace r1
