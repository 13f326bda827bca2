#include "cli/expert_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace r1::cli {

ExpertReport::ExpertReport(const Model& model) {
  const ExpertMemory* memory = model.expert_memory();
  if (memory == nullptr || memory->holds_all()) return;
  memory_ = memory;
  start_ = memory->stats();
}

ExpertMemory::Stats ExpertReport::since_start() const {
  const ExpertMemory::Stats& now = memory_->stats();
  return {now.required - start_.required, now.packed - start_.packed,
          now.expected - start_.expected, now.foreseen - start_.foreseen};
}

std::string ExpertReport::line() const {
  const ExpertMemory::Stats stats = since_start();
  const auto required = static_cast<double>(std::max<std::int64_t>(stats.required, 1));
  return fmt::format(
      "experts: room for {}; {:.1f} % of {} needed were there, {} read, {} of them foreseen",
      memory_->slots(), 100.0 * (1.0 - static_cast<double>(stats.packed) / required),
      stats.required, stats.packed, stats.foreseen);
}

nlohmann::ordered_json ExpertReport::json() const {
  const ExpertMemory::Stats stats = since_start();
  return {{"slots", memory_->slots()},    {"slot_bytes", memory_->bytes() / memory_->slots()},
          {"required", stats.required},   {"read", stats.packed},
          {"read_ahead", stats.expected}, {"foreseen", stats.foreseen}};
}

}  // namespace r1::cli
