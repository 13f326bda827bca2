#include "formats/fp8_blocks.h"

#include "tensor/fp8.h"

namespace r1 {

AlignedBuffer<float> load_fp8_blocks(const TensorInfo& tensor, const TensorInfo& scales) {
  const auto blocks = [](std::int64_t extent) {
    return (extent + kFp8BlockSize - 1) / kFp8BlockSize;
  };
  if (tensor.shape.size() != 2 || scales.shape.size() != 2 ||
      scales.shape[0] != blocks(tensor.shape[0]) || scales.shape[1] != blocks(tensor.shape[1])) {
    throw Error(tensor.name,
                fmt::format("[{}] does not fit its scales [{}]", fmt::join(tensor.shape, ", "),
                            fmt::join(scales.shape, ", ")));
  }
  const AlignedBuffer<float> scale = load_f32(scales);
  const std::int64_t rows = tensor.shape[0], columns = tensor.shape[1];
  AlignedBuffer<float> values(tensor.elements(), Fill::none);
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* row_scale = scale.data() + row / kFp8BlockSize * scales.shape[1];
    for (std::int64_t column = 0; column < columns; ++column) {
      const std::size_t index = static_cast<std::size_t>(row * columns + column);
      const f8_e4m3 code{static_cast<std::uint8_t>(tensor.bytes[index])};
      values[index] = to_float(code) * row_scale[column / kFp8BlockSize];
    }
  }
  return values;
}

}  // namespace r1
