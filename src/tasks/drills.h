#pragma once

#include <string>

#include "base/rng.h"

namespace r1::tasks {

// A plain text of number facts in the notation of the worked solutions: sums, products, divisions
// with remainder, comparisons, counting. They make the single steps solid.
std::string number_drill(Rng& rng);

}  // namespace r1::tasks
