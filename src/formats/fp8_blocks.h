#pragma once

#include "formats/safetensors.h"
#include "quant/fp8_blocks.h"

namespace r1 {

// The scales of an F8_E4M3 matrix [out, in] with blocks of 128 x 128: `scales` is the companion
// tensor NAME_scale_inv, F32 [ceil(out / 128), ceil(in / 128)]; despite its name it multiplies
// (DeepSeek-V3, README_WEIGHTS.md). Throws Error when the extents do not fit.
AlignedBuffer<float> load_fp8_scales(const TensorInfo& tensor, const TensorInfo& scales);

// Values of such a matrix.
AlignedBuffer<float> load_fp8_blocks(const TensorInfo& tensor, const TensorInfo& scales);

}  // namespace r1
