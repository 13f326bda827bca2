#include "gemm_peers.h"

namespace r1 {

std::vector<GemmPeer> gemm_peers() { return {}; }

}  // namespace r1
