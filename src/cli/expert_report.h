#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "model/model.h"

namespace r1::cli {

// How often routed experts were in memory and how often they came from the file, from the making of
// this on, of a model that holds only some of them at a time.
class ExpertReport {
 public:
  explicit ExpertReport(const Model& model);

  bool has_any() const { return memory_ != nullptr; }
  std::string line() const;
  // {"slots", "slot_bytes", "required", "read", "read_ahead", "foreseen"}
  nlohmann::ordered_json json() const;

 private:
  ExpertMemory::Stats since_start() const;

  const ExpertMemory* memory_ = nullptr;
  ExpertMemory::Stats start_;
};

}  // namespace r1::cli
