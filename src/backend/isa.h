#pragma once

#include <string_view>
#include <vector>

namespace r1 {

// Instruction sets in rising order; each has a table with the same bits (docs/numerics.md).
// avx512 asks for VNNI as well (Cascade Lake, Zen 4 and later).
enum class Isa { scalar, avx2, avx512, amx };

std::string_view name_of(Isa isa);

// The sets this machine can run, rising; scalar is always there.
std::vector<Isa> supported_isas();

// The highest supported set, or the one that R1_ISA names.
// Throws Error when R1_ISA names an unknown set or one that this machine lacks.
Isa choose_isa();

}  // namespace r1
