#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/rng.h"

namespace r1 {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

SampledToken draw_one(Backend& backend, const SamplingParams& params, std::vector<float> logits,
                      const std::vector<std::int32_t>& tokens = {0}) {
  Sampler sampler;
  Sampler::Draw draw{.params = &params, .tokens = tokens};
  sampler.draw(backend, std::ssize(logits), logits.data(), std::span(&draw, 1));
  EXPECT_FALSE(draw.failed);
  return draw.token;
}

// Logits that are drawn from, already shaped.
std::vector<float> shape(const SamplingParams& params, std::vector<float> logits,
                         const std::vector<std::int32_t>& seen = {}) {
  Backend backend(1);
  const VectorKernels& kernels = backend.kernels().vector;
  std::vector<float> shaped(logits.size());
  std::vector<std::int32_t> order(logits.size());
  backend.parallel_for(1, [&](std::int64_t) {
    kernels.scale(std::ssize(logits), temperature_inverse(params.temperature), logits.data(),
                  logits.data());
    shape_logits(kernels, params, seen, logits, shaped, order);
  });
  return shaped;
}

std::vector<double> softmax(const std::vector<float>& logits) {
  std::vector<double> result;
  double total = 0.0;
  for (const float logit : logits) {
    result.push_back(std::exp(static_cast<double>(logit)));
    total += result.back();
  }
  for (double& value : result) value /= total;
  return result;
}

std::vector<float> random_logits(std::uint64_t seed, std::size_t count, float spread = 3.0f) {
  Rng rng(seed);
  std::vector<float> logits(count);
  for (float& logit : logits) logit = spread * rng.normal();
  return logits;
}

TEST(SamplerTest, ShapesAsTransformersDoes) {
  const char* root = std::getenv("R1_GOLDEN_DIR");
  const std::filesystem::path path =
      std::filesystem::path(root != nullptr ? root : "../shared/golden") / "vectors/sampling.json";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  const nlohmann::json golden = nlohmann::json::parse(std::ifstream(path));
  const auto logits = golden.at("logits").get<std::vector<float>>();
  for (const nlohmann::json& wanted : golden.at("cases")) {
    const nlohmann::json& args = wanted.at("args");
    SamplingParams params;
    params.temperature = args.value("temperature", 1.0f);
    params.top_k = args.value("top_k", 0);
    params.top_p = args.value("top_p", 1.0f);
    params.min_p = args.value("min_p", 0.0f);
    const std::vector<double> found = softmax(shape(params, logits));
    const auto probabilities = wanted.at("probs").get<std::vector<double>>();
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_NEAR(found[i], probabilities[i], 1e-6) << args << " id " << i;
      EXPECT_EQ(found[i] == 0.0, probabilities[i] == 0.0) << args << " id " << i;
    }
  }
  const nlohmann::json& repetition = golden.at("repetition_penalty");
  SamplingParams params;
  params.repetition_penalty = repetition.at("penalty").get<float>();
  const std::vector<float> found =
      shape(params, logits, repetition.at("seen_tokens").get<std::vector<std::int32_t>>());
  const auto wanted = repetition.at("logits").get<std::vector<double>>();
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(static_cast<double>(found[i]), wanted[i], 1e-6);
  }
}

TEST(SamplerTest, TiesGoToTheLowerId) {
  Backend backend(1);
  SamplingParams params;
  params.temperature = 0.0f;
  EXPECT_EQ(draw_one(backend, params, {1, 3, 2, 3, 3}).id, 1);
  params.temperature = 1.0f;
  params.top_k = 2;
  const std::vector<float> kept = shape(params, {1, 3, 2, 3, 3});
  EXPECT_EQ(kept, (std::vector<float>{-kInfinity, 3, -kInfinity, 3, -kInfinity}));
  params.top_k = 0;
  params.top_p = 0.5f;
  EXPECT_EQ(shape(params, {0, 0, 0, 0}), (std::vector<float>{0, 0, -kInfinity, -kInfinity}));
}

TEST(SamplerTest, TheLogProbIsOfTheWholeDistribution) {
  Backend backend(1);
  const std::vector<float> logits = random_logits(2, 500);
  for (const float temperature : {0.0f, 0.7f, 1.0f}) {
    SamplingParams params;
    params.temperature = temperature;
    params.top_k = 5;
    params.top_p = 0.8f;
    params.repetition_penalty = 1.5f;
    const SampledToken token = draw_one(backend, params, logits, {1, 2, 3});
    std::vector<float> scaled = logits;
    for (float& logit : scaled) logit *= temperature_inverse(temperature);
    const std::vector<double> p = softmax(scaled);
    EXPECT_NEAR(static_cast<double>(token.log_prob),
                std::log(p[static_cast<std::size_t>(token.id)]), 1e-5);
    double entropy = 0.0;
    for (const double probability : p) entropy -= probability * std::log(probability);
    EXPECT_NEAR(static_cast<double>(token.entropy), entropy, 1e-5);
  }
}

// The id that a plain cumulative sum in double precision gives for the position's uniform number.
TEST(SamplerTest, DrawsByTheInverseOfTheCumulativeDistribution) {
  Backend backend(1);
  for (const std::size_t vocab :
       {std::size_t{2}, std::size_t{63}, std::size_t{65}, std::size_t{1000}}) {
    const std::vector<float> logits = random_logits(vocab, vocab);
    const std::vector<double> p = softmax(logits);
    int compared = 0;
    for (std::uint32_t position = 1; position < 300; ++position) {
      SamplingParams params;
      params.seed = 5;
      params.step = 2;
      params.sample = 3;
      Rng rng(5, 2, 3, position);
      const double uniform = static_cast<double>(rng.next_u64() >> 11) * 0x1p-53;
      double cumulated = 0.0, nearest = 1.0;
      std::int32_t wanted = -1;
      for (std::size_t i = 0; i < vocab; ++i) {
        cumulated += p[i];
        nearest = std::min(nearest, std::abs(cumulated - uniform));
        if (wanted < 0 && cumulated > uniform) wanted = static_cast<std::int32_t>(i);
      }
      if (nearest < 1e-6) continue;  // too close to call in single precision
      ++compared;
      const std::vector<std::int32_t> tokens(position, 0);
      ASSERT_EQ(draw_one(backend, params, logits, tokens).id, wanted) << "position " << position;
    }
    EXPECT_GT(compared, 200);
  }
}

TEST(SamplerTest, FrequenciesFollowTheDistribution) {
  Backend backend(2);
  constexpr std::size_t kVocab = 16, kDraws = 40000;
  const std::vector<float> logits = random_logits(1, kVocab, 1.0f);
  std::vector<SamplingParams> params(kDraws);
  std::vector<Sampler::Draw> draws(kDraws);
  std::vector<float> rows;
  const std::vector<std::int32_t> tokens = {0};
  for (std::size_t i = 0; i < kDraws; ++i) {
    params[i].sample = static_cast<std::uint32_t>(i);
    params[i].top_k = 10;
    draws[i].params = &params[i];
    draws[i].tokens = tokens;
    rows.insert(rows.end(), logits.begin(), logits.end());
  }
  Sampler sampler;
  sampler.draw(backend, kVocab, rows.data(), draws);
  std::vector<double> counts(kVocab);
  for (const Sampler::Draw& draw : draws) ++counts[static_cast<std::size_t>(draw.token.id)];
  const std::vector<double> p = softmax(shape(params[0], logits));
  double chi_squared = 0.0;
  for (std::size_t i = 0; i < kVocab; ++i) {
    if (p[i] == 0.0) {
      EXPECT_EQ(counts[i], 0.0);
      continue;
    }
    const double expected = p[i] * static_cast<double>(kDraws);
    chi_squared += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  EXPECT_LT(chi_squared, 33.7);  // 9 degrees of freedom, one in ten thousand
}

TEST(SamplerTest, NeverDrawsWhatHasNoProbability) {
  Backend backend(1);
  std::vector<float> logits(130, -kInfinity);
  logits[70] = 0.0f;
  logits[75] = -2.0f;
  for (std::uint32_t sample = 0; sample < 200; ++sample) {
    SamplingParams params;
    params.sample = sample;
    const std::int32_t id = draw_one(backend, params, logits).id;
    EXPECT_TRUE(id == 70 || id == 75) << id;
  }
}

TEST(SamplerTest, EveryInstructionSetDrawsTheSame) {
  constexpr std::int64_t kVocab = 333;
  constexpr std::size_t kRows = 24;
  std::vector<Sampler::Draw> reference;
  for (const Isa isa : supported_isas()) {
    for (const int threads : {1, 3}) {
      Backend backend(threads, isa);
      std::vector<float> logits = random_logits(4, kRows * static_cast<std::size_t>(kVocab));
      std::vector<SamplingParams> params(kRows);
      std::vector<Sampler::Draw> draws(kRows);
      const std::vector<std::int32_t> tokens = {1, 2, 2, 300};
      for (std::size_t i = 0; i < kRows; ++i) {
        params[i].sample = static_cast<std::uint32_t>(i);
        params[i].temperature = 0.25f * static_cast<float>(i % 5);
        params[i].top_k = i % 3 == 0 ? 20 : 0;
        params[i].top_p = i % 4 == 1 ? 0.9f : 1.0f;
        params[i].min_p = i % 4 == 2 ? 0.05f : 0.0f;
        params[i].repetition_penalty = i % 2 == 0 ? 1.1f : 1.0f;
        draws[i].params = &params[i];
        draws[i].tokens = tokens;
      }
      Sampler sampler;
      sampler.draw(backend, kVocab, logits.data(), draws);
      if (reference.empty()) reference = draws;
      for (std::size_t i = 0; i < kRows; ++i) {
        EXPECT_EQ(std::memcmp(&draws[i].token, &reference[i].token, sizeof(SampledToken)), 0)
            << name_of(isa) << " row " << i;
      }
    }
  }
}

TEST(SamplerTest, LogitsThatAreNotFiniteFailTheirRowAlone) {
  Backend backend(2);
  constexpr std::int64_t kVocab = 40;
  std::vector<float> logits = random_logits(1, 4 * static_cast<std::size_t>(kVocab));
  logits[0 * kVocab + 7] = std::numeric_limits<float>::quiet_NaN();
  logits[2 * kVocab + 39] = kInfinity;
  std::fill_n(logits.begin() + 3 * kVocab, kVocab, -kInfinity);
  const SamplingParams params;
  const std::vector<std::int32_t> tokens = {0};
  std::vector<Sampler::Draw> draws(4, {.params = &params, .tokens = tokens});
  Sampler sampler;
  sampler.draw(backend, kVocab, logits.data(), draws);
  EXPECT_TRUE(draws[0].failed);
  EXPECT_FALSE(draws[1].failed);
  EXPECT_TRUE(draws[2].failed);
  EXPECT_TRUE(draws[3].failed);
}

TEST(SamplerTest, RefusesParametersWithoutMeaning) {
  const auto refused = [](auto change) {
    SamplingParams params;
    change(params);
    EXPECT_THROW(check_sampling(params), Error);
  };
  check_sampling({});
  refused([](SamplingParams& p) { p.temperature = -0.5f; });
  refused([](SamplingParams& p) { p.temperature = 1e-30f; });
  refused([](SamplingParams& p) { p.temperature = kInfinity; });
  refused([](SamplingParams& p) { p.top_k = -1; });
  refused([](SamplingParams& p) { p.top_p = 0.0f; });
  refused([](SamplingParams& p) { p.top_p = 1.5f; });
  refused([](SamplingParams& p) { p.min_p = -0.1f; });
  refused([](SamplingParams& p) { p.min_p = std::nanf(""); });
  refused([](SamplingParams& p) { p.repetition_penalty = 0.0f; });
}

}  // namespace
}  // namespace r1
