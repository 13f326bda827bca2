#pragma once

#include <array>
#include <cstdint>

namespace r1 {

// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011). A draw depends on its coordinates alone, never on how many draws were made
// elsewhere, so results survive any change of batch, thread count or resumption.
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key);

// A stream named by (seed, step, sample); `position` counts within it. Streams of different names
// are independent. Copyable; two equal Rngs give equal draws.
class Rng {
 public:
  explicit Rng(std::uint64_t seed, std::uint32_t step = 0, std::uint32_t sample = 0,
               std::uint32_t position = 0);

  std::uint32_t next_u32();
  std::uint64_t next_u64();

  // Uniform in [0, 1), 24 bits.
  float uniform();
  // Uniform integer in [0, bound), without modulo bias; bound > 0.
  std::uint32_t below(std::uint32_t bound);
  // Uniform integer in [low, high], both included.
  std::int64_t between(std::int64_t low, std::int64_t high);
  // Standard normal (Box-Muller in double, rounded to float).
  float normal();
  bool chance(double probability) { return uniform() < static_cast<float>(probability); }

  template <typename Container>
  void shuffle(Container& items) {
    for (std::uint32_t i = static_cast<std::uint32_t>(items.size()); i > 1; --i) {
      using std::swap;
      swap(items[i - 1], items[below(i)]);
    }
  }

 private:
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 4> counter_;  // {block, position, sample, step}
  std::array<std::uint32_t, 4> block_{};
  int used_ = 4;
};

}  // namespace r1
