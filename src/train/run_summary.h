#pragma once

#include <cstdint>
#include <string>

#include "model/config.h"

namespace r1::train {

// What the first line of a run tells.
struct RunSummary {
  std::string stage;
  ParameterCount parameters;
  std::int64_t memory_bytes = 0;  // peak of the process
  std::int64_t tokens = 0;        // that the run will train on; 0: not known in advance
  std::int64_t steps = 0;
  double seconds = 0.0;
  int threads = 0;
  std::string isa;
};
std::string to_line(const RunSummary& summary);

// Peak memory of this process so far, in bytes.
std::int64_t peak_memory_bytes();

}  // namespace r1::train
