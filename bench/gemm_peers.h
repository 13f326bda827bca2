#pragma once

#include <vector>

#include "backend/gemm_benchmark.h"

namespace r1 {

// The other libraries that this benchmark was built with.
std::vector<GemmPeer> gemm_peers();

}  // namespace r1
