#include "model/rope.h"

#include <algorithm>
#include <cmath>

namespace r1 {
namespace {

// The dimension whose wave turns `rotations` times within the original context.
double correction_dim(double rotations, double dim, double theta, double context) {
  return dim * std::log(context / (rotations * 2.0 * M_PI)) / (2.0 * std::log(theta));
}

}  // namespace

std::vector<float> rope_frequencies(std::int64_t dim, double theta,
                                    const std::optional<YarnScaling>& scaling) {
  std::vector<float> frequencies(static_cast<std::size_t>(dim / 2));
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(dim);
    frequencies[i] = 1.0f / static_cast<float>(std::pow(theta, static_cast<double>(exponent)));
  }
  if (!scaling) return frequencies;

  const double context = static_cast<double>(scaling->original_max_position_embeddings);
  const double width = static_cast<double>(dim);
  const double low =
      std::max(std::floor(correction_dim(scaling->beta_fast, width, theta, context)), 0.0);
  double high =
      std::min(std::ceil(correction_dim(scaling->beta_slow, width, theta, context)), width - 1.0);
  if (high == low) high += 0.001;  // the reference's guard against a division by zero
  const float factor = static_cast<float>(scaling->factor);
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const float ramp = std::clamp(
        (static_cast<float>(i) - static_cast<float>(low)) / static_cast<float>(high - low), 0.0f,
        1.0f);
    const float smooth = 1.0f - ramp;
    frequencies[i] = frequencies[i] / factor * (1.0f - smooth) + frequencies[i] * smooth;
  }
  return frequencies;
}

RopeTable make_rope_table(const ModelConfig& config, std::int64_t positions) {
  const std::int64_t dim = config.qk_rope_head_dim;
  const std::vector<float> frequencies =
      rope_frequencies(dim, config.rope_theta, config.rope_scaling);
  RopeTable table{RopeLayout::interleaved, dim, {}, {}};
  table.cos.reserve(static_cast<std::size_t>(positions) * frequencies.size());
  table.sin.reserve(static_cast<std::size_t>(positions) * frequencies.size());
  for (std::int64_t position = 0; position < positions; ++position) {
    for (const float frequency : frequencies) {
      const float angle = static_cast<float>(position) * frequency;
      table.cos.push_back(static_cast<float>(std::cos(static_cast<double>(angle))));
      table.sin.push_back(static_cast<float>(std::sin(static_cast<double>(angle))));
    }
  }
  return table;
}

}  // namespace r1
