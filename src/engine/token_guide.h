#pragma once

#include <cstdint>

namespace r1 {

// Steers one completion, token by token. The engine asks for each token in order and tells which
// one was taken; a guided sequence makes no proposals, so nothing is asked in vain. The random
// numbers of the positions stay what they are: where a guide does not interfere, the bits are those
// without it.
class TokenGuide {
 public:
  virtual ~TokenGuide() = default;

  static constexpr std::int32_t kNone = -1;
  struct Choice {
    std::int32_t forced = kNone;   // the next token, whatever the model would draw
    std::int32_t avoided = kNone;  // if this one is drawn,
    std::int32_t instead = kNone;  // then this one is taken
  };
  virtual Choice next() const = 0;
  virtual void take(std::int32_t token) = 0;
};

}  // namespace r1
