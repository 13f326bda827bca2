#include "formats/fp8_blocks.h"

namespace r1 {

AlignedBuffer<float> load_fp8_scales(const TensorInfo& tensor, const TensorInfo& scales) {
  if (tensor.shape.size() != 2 || scales.shape.size() != 2 ||
      scales.shape[0] != fp8_blocks_of(tensor.shape[0]) ||
      scales.shape[1] != fp8_blocks_of(tensor.shape[1])) {
    throw Error(tensor.name,
                fmt::format("[{}] does not fit its scales [{}]", fmt::join(tensor.shape, ", "),
                            fmt::join(scales.shape, ", ")));
  }
  return load_f32(scales);
}

AlignedBuffer<float> load_fp8_blocks(const TensorInfo& tensor, const TensorInfo& scales) {
  const AlignedBuffer<float> scale = load_fp8_scales(tensor, scales);
  AlignedBuffer<float> values(tensor.elements(), Fill::none);
  decode_fp8({tensor.shape[0], tensor.shape[1], tensor.bytes, scale.span()}, 0, values.span());
  return values;
}

}  // namespace r1
