#include "model/rope.h"

#include <algorithm>
#include <cmath>

namespace r1 {
namespace {

// The dimension whose wave turns `rotations` times within the original context.
double correction_dim(double rotations, double dim, double theta, double context) {
  return dim * std::log(context / (rotations * 2.0 * M_PI)) / (2.0 * std::log(theta));
}

void scale(std::vector<float>& frequencies, double theta, const YarnScaling& scaling) {
  const double context = static_cast<double>(scaling.original_max_position_embeddings);
  const double width = 2.0 * static_cast<double>(frequencies.size());
  const double low =
      std::max(std::floor(correction_dim(scaling.beta_fast, width, theta, context)), 0.0);
  double high =
      std::min(std::ceil(correction_dim(scaling.beta_slow, width, theta, context)), width - 1.0);
  if (high == low) high += 0.001;  // the reference's guard against a division by zero
  const float factor = static_cast<float>(scaling.factor);
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const float ramp = std::clamp(
        (static_cast<float>(i) - static_cast<float>(low)) / static_cast<float>(high - low), 0.0f,
        1.0f);
    const float smooth = 1.0f - ramp;
    frequencies[i] = frequencies[i] / factor * (1.0f - smooth) + frequencies[i] * smooth;
  }
}

void scale(std::vector<float>& frequencies, const Llama3Scaling& scaling) {
  const double context = static_cast<double>(scaling.original_max_position_embeddings);
  const auto factor = static_cast<float>(scaling.factor);
  for (float& frequency : frequencies) {
    const double turns = context * static_cast<double>(frequency) / (2.0 * M_PI);
    if (turns > scaling.high_freq_factor) continue;
    if (turns < scaling.low_freq_factor) {
      frequency /= factor;
      continue;
    }
    const auto smooth = static_cast<float>((turns - scaling.low_freq_factor) /
                                           (scaling.high_freq_factor - scaling.low_freq_factor));
    frequency = (1.0f - smooth) * frequency / factor + smooth * frequency;
  }
}

}  // namespace

std::vector<float> rope_frequencies(std::int64_t dim, double theta, const RopeScaling& scaling) {
  std::vector<float> frequencies(static_cast<std::size_t>(dim / 2));
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(dim);
    frequencies[i] = 1.0f / static_cast<float>(std::pow(theta, static_cast<double>(exponent)));
  }
  if (const YarnScaling* yarn = std::get_if<YarnScaling>(&scaling)) {
    scale(frequencies, theta, *yarn);
  } else if (const Llama3Scaling* llama3 = std::get_if<Llama3Scaling>(&scaling)) {
    scale(frequencies, *llama3);
  }
  return frequencies;
}

RopeTable make_rope_table(const ModelConfig& config, std::int64_t positions) {
  RopeTable table{config.has_latent_attention() ? RopeLayout::interleaved : RopeLayout::halves,
                  config.rope_dim(),
                  {},
                  {}};
  extend_rope_table(config, positions, table);
  return table;
}

std::int64_t rope_positions(const ModelConfig& config, std::int64_t positions) {
  constexpr std::int64_t kStep = 1024;
  return std::min((positions + kStep - 1) / kStep * kStep, config.max_position_embeddings);
}

void extend_rope_table(const ModelConfig& config, std::int64_t positions, RopeTable& table) {
  const std::vector<float> frequencies =
      rope_frequencies(config.rope_dim(), config.rope_theta, config.rope_scaling);
  const YarnScaling* yarn = std::get_if<YarnScaling>(&config.rope_scaling);
  const auto factor = static_cast<float>(yarn != nullptr ? yarn->attention_factor : 1.0);
  const auto known = static_cast<std::int64_t>(table.cos.size() / frequencies.size());
  if (positions <= known) return;
  // Costs address space alone until it is written; a vector that grows would hold all of it twice.
  const std::size_t most = static_cast<std::size_t>(config.max_position_embeddings);
  for (std::vector<float>* part : {&table.cos, &table.sin}) {
    part->reserve(most * frequencies.size());
  }
  for (std::int64_t position = known; position < positions; ++position) {
    for (const float frequency : frequencies) {
      const float angle = static_cast<float>(position) * frequency;
      table.cos.push_back(factor * static_cast<float>(std::cos(static_cast<double>(angle))));
      table.sin.push_back(factor * static_cast<float>(std::sin(static_cast<double>(angle))));
    }
  }
}

}  // namespace r1
