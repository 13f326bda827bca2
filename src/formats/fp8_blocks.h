#pragma once

#include "formats/safetensors.h"

namespace r1 {

// Extent of the blocks that share one scale in DeepSeek-V3's FP8 checkpoints; blocks at the right
// and lower edge may be partial.
inline constexpr std::int64_t kFp8BlockSize = 128;

// Values of an F8_E4M3 matrix [out, in]: code times the scale of its block. `scales` is the
// companion tensor NAME_scale_inv, F32 [ceil(out / 128), ceil(in / 128)]; despite its name it
// multiplies (DeepSeek-V3, README_WEIGHTS.md). Throws Error when the extents do not fit.
AlignedBuffer<float> load_fp8_blocks(const TensorInfo& tensor, const TensorInfo& scales);

}  // namespace r1
