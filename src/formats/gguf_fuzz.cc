#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backend/stored_panels.h"
#include "base/error.h"
#include "base/utf8.h"
#include "formats/gguf.h"
#include "formats/gguf_writer.h"

namespace {

template <class T>
void convert(const r1::GgufMetadata& metadata, std::string_view key) {
  try {
    metadata.require<T>(key);
  } catch (const r1::Error& error) {
    R1_CHECK(r1::is_utf8(error.what()), "{}", error.what());
  }
}

bool lies_within(std::span<const std::byte> inner, std::span<const std::byte> outer) {
  return inner.empty() || (inner.data() >= outer.data() &&
                           inner.data() + inner.size() <= outer.data() + outer.size());
}

}  // namespace

// Whatever the bytes are, the reader gives metadata and tensors that lie within them, or an Error.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    const r1::GgufFile file = r1::GgufFile::parse(bytes, "fuzz");
    r1::GgufMetadataBuilder copy;
    for (const std::string& key : file.metadata().keys()) {
      R1_CHECK(lies_within(file.metadata().find(key)->bytes, bytes), "{}", key);
      convert<bool>(file.metadata(), key);
      convert<std::int8_t>(file.metadata(), key);
      convert<std::uint64_t>(file.metadata(), key);
      convert<float>(file.metadata(), key);
      convert<std::string>(file.metadata(), key);
      convert<std::vector<std::int64_t>>(file.metadata(), key);
      convert<std::vector<double>>(file.metadata(), key);
      convert<std::vector<std::string_view>>(file.metadata(), key);
      copy.set(key, *file.metadata().find(key));
    }
    constexpr std::size_t kHeaderBytes = 4 + 4 + 8 + 8;
    R1_CHECK(std::ranges::equal(std::as_bytes(std::span(copy.bytes())),
                                bytes.subspan(kHeaderBytes, copy.bytes().size())),
             "{} bytes of metadata", copy.bytes().size());
    for (const r1::GgufTensor& tensor : file.tensors()) {
      R1_CHECK(file.find(tensor.name) == &tensor, "{}", tensor.name);
      R1_CHECK(lies_within(tensor.bytes, bytes), "{}", tensor.name);
      R1_CHECK(!tensor.panels || (tensor.bytes.data() - bytes.data()) % r1::kPanelAlignment == 0,
               "{}", tensor.name);
      try {
        R1_CHECK(r1::load_f32(file.at(tensor.name)).size() == tensor.elements(), "{}", tensor.name);
      } catch (const r1::Error& error) {
        R1_CHECK(r1::is_utf8(error.what()), "{}", error.what());
      }
    }
  } catch (const r1::Error& error) {
    R1_CHECK(r1::is_utf8(error.what()), "{}", error.what());
  }
  return 0;
}
