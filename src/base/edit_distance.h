#pragma once

#include <cstddef>
#include <string_view>

namespace r1 {

// How many insertions, deletions, substitutions and swaps of neighbours turn `a` into `b` (optimal
// string alignment): for "did you mean". Time and memory grow with the product of the lengths.
std::size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace r1
