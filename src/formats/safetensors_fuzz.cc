#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "formats/safetensors.h"

// Whatever the bytes are, the reader gives tensors that lie within them, or an Error.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    const r1::SafetensorsFile file = r1::SafetensorsFile::parse(bytes, "fuzz");
    for (const r1::TensorInfo& tensor : file.tensors()) {
      R1_CHECK(&file.at(tensor.name) == &tensor, "{}", tensor.name);
      R1_CHECK(tensor.bytes.data() >= bytes.data() &&
                   tensor.bytes.data() + tensor.bytes.size() <= bytes.data() + bytes.size(),
               "{}", tensor.name);
      try {
        r1::load_f32(tensor);
      } catch (const r1::Error&) {
        try {
          r1::load_i64(tensor);
        } catch (const r1::Error&) {
        }
      }
    }
  } catch (const r1::Error&) {
  }
  return 0;
}
