#include "backend/backend.h"

namespace r1 {

Backend::Backend(int threads, Isa isa) : kernels_(kernel_table(isa)), pool_(threads) {}

}  // namespace r1
