#include "model/gguf_encode.h"

#include <algorithm>
#include <exception>

#include "base/error.h"
#include "quant/ggml_blocks.h"

namespace r1 {
namespace {

constexpr std::size_t kPart = 64 * kSuperBlock;  // values that one thread takes at a time

struct Part {
  double squares = 0.0, difference = 0.0;
  std::exception_ptr failure;
};

void encode_part(GgmlType type, std::span<const float> values, std::span<std::byte> blocks,
                 std::string_view where, Part& part) try {
  std::vector<float> decoded(values.size());
  quantize(type, values, blocks, where);
  dequantize(type, blocks, decoded);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double value = static_cast<double>(values[i]);
    const double difference = value - static_cast<double>(decoded[i]);
    part.squares += value * value;
    part.difference += difference * difference;
  }
} catch (...) {
  part.failure = std::current_exception();
}

}  // namespace

EncodedValues encode_values(Backend& backend, GgmlType type, std::span<const float> values,
                            std::string_view where) {
  const GgmlBlockSize block = block_size(type);
  R1_CHECK(values.size() % block.values == 0, "{} values are no whole blocks of {}", values.size(),
           name_of(type));
  const auto bytes_of_values = [&](std::size_t count) {
    return count / block.values * block.bytes;
  };
  EncodedValues encoded;
  encoded.blocks.resize(bytes_of_values(values.size()));
  std::vector<Part> parts((values.size() + kPart - 1) / kPart);
  backend.parallel_for(std::ssize(parts), [&](std::int64_t index) {
    const std::size_t first = static_cast<std::size_t>(index) * kPart;
    const std::size_t count = std::min(kPart, values.size() - first);
    encode_part(type, values.subspan(first, count),
                std::span(encoded.blocks).subspan(bytes_of_values(first), bytes_of_values(count)),
                where, parts[static_cast<std::size_t>(index)]);
  });
  for (const Part& part : parts) {
    if (part.failure) std::rethrow_exception(part.failure);
    encoded.squares += part.squares;
    encoded.difference += part.difference;
  }
  return encoded;
}

}  // namespace r1
