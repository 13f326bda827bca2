#pragma once

#include <cstddef>

namespace r1 {

// What an AlignedBuffer of so many bytes takes of the memory: whole cache lines, or whole huge
// pages.
std::size_t allocated_bytes(std::size_t bytes);

}  // namespace r1
