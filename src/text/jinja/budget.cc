#include "text/jinja/budget.h"

#include <fmt/format.h>

namespace r1::text::jinja {

void Budget::give_up_time() { throw Failure(fmt::format("takes more than {} steps", kMaxSteps)); }

void Budget::give_up_memory() {
  throw Failure(fmt::format("makes more than {} MiB of text", kMaxBytes >> 20));
}

DepthGuard::DepthGuard(std::size_t& depth, std::size_t limit) : depth_(depth) {
  if (depth_ >= limit) throw Failure(fmt::format("nests deeper than {} levels", limit));
  ++depth_;
}

}  // namespace r1::text::jinja
