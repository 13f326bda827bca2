#include "engine/sampler.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/rng.h"
#include "ops/row_log_prob.h"

namespace r1 {
namespace {

// Probabilities are summed in double: ids in order within a block, then the blocks in order.
constexpr std::int64_t kBlock = 64;
constexpr float kExcluded = -std::numeric_limits<float>::infinity();
// Logits that exist at a time: at most this many numbers, but at least one row.
constexpr std::int64_t kLogitElements = std::int64_t{4} << 20;
// Below it, logits divided by the temperature leave what a single can tell apart.
constexpr float kLowestTemperature = 1e-4f;

bool needs_shaping(const SamplingParams& params) {
  return params.repetition_penalty != 1.0f || params.presence_penalty != 0.0f ||
         params.frequency_penalty != 0.0f || !params.logit_bias.empty() ||
         (params.temperature > 0.0f &&
          (params.top_k > 0 || params.top_p < 1.0f || params.min_p > 0.0f));
}

// exp(x - shift) of up to kBlock numbers.
struct Exponentials {
  Exponentials(const VectorKernels& kernels, std::span<const float> x, std::int64_t first,
               float shift)
      : count(std::min(kBlock, std::ssize(x) - first)) {
    for (std::int64_t i = 0; i < count; ++i) {
      values[static_cast<std::size_t>(i)] = x[static_cast<std::size_t>(first + i)] - shift;
    }
    kernels.exp(count, values.data(), values.data());
  }
  double operator[](std::int64_t i) const {
    return static_cast<double>(values[static_cast<std::size_t>(i)]);
  }
  std::int64_t count;
  std::array<float, static_cast<std::size_t>(kBlock)> values;
};

// The id at which the cumulated probability exceeds `uniform` of the whole; never one of
// probability zero. sums [blocks of x] is scratch.
std::int32_t draw_id(const VectorKernels& kernels, std::span<const float> x, float log_sum_exp,
                     double uniform, double* sums) {
  const std::int64_t blocks = (std::ssize(x) + kBlock - 1) / kBlock;
  double total = 0.0;
  for (std::int64_t block = 0; block < blocks; ++block) {
    const Exponentials p(kernels, x, block * kBlock, log_sum_exp);
    double sum = 0.0;
    for (std::int64_t i = 0; i < p.count; ++i) sum += p[i];
    sums[block] = sum;
    total += sum;
  }
  const double target = uniform * total;
  // Rounding may let the target reach the whole: then it is the last possible block, and likewise
  // the last possible id of a block.
  double before = 0.0, cumulated = 0.0;
  std::int64_t chosen = 0;
  for (std::int64_t block = 0; block < blocks; ++block) {
    if (sums[block] > 0.0) {
      chosen = block;
      before = cumulated;
    }
    cumulated += sums[block];
    if (cumulated > target) break;
  }
  const Exponentials p(kernels, x, chosen * kBlock, log_sum_exp);
  std::int64_t id = 0;
  for (std::int64_t i = 0; i < p.count; ++i) {
    if (p[i] > 0.0) id = chosen * kBlock + i;
    before += p[i];
    if (before > target) break;
  }
  return static_cast<std::int32_t>(id);
}

double uniform_at(const SamplingParams& params, std::size_t position) {
  Rng rng(params.seed, params.step, params.sample, static_cast<std::uint32_t>(position));
  return static_cast<double>(rng.next_u64() >> 11) * 0x1p-53;
}

// The likeliest `count` ids of a row, ties to the lower id.
std::vector<TokenAlternative> likeliest(std::span<const float> row, float log_sum_exp,
                                        std::int64_t count) {
  const auto likelier = [](const TokenAlternative& a, const TokenAlternative& b) {
    return a.log_prob > b.log_prob || (a.log_prob == b.log_prob && a.id < b.id);
  };
  const auto wanted = static_cast<std::size_t>(std::min(count, std::ssize(row)));
  std::vector<TokenAlternative> best;  // a heap, the least likely in front
  best.reserve(wanted + 1);
  for (std::size_t id = 0; id < row.size(); ++id) {
    const TokenAlternative candidate{
        static_cast<std::int32_t>(id),
        row_log_prob(row.data(), log_sum_exp, static_cast<std::int64_t>(id))};
    if (best.size() == wanted && !likelier(candidate, best.front())) continue;
    best.push_back(candidate);
    std::ranges::push_heap(best, likelier);
    if (best.size() <= wanted) continue;
    std::ranges::pop_heap(best, likelier);
    best.pop_back();
  }
  std::ranges::sort_heap(best, likelier);
  return best;
}

}  // namespace

void check_sampling(const SamplingParams& params) {
  const auto require = [](bool condition, const char* field, auto value, const char* advice) {
    if (!condition) throw Error(field, fmt::format("{} has no meaning", value), advice);
  };
  require(params.temperature == 0.0f ||
              (params.temperature >= kLowestTemperature && std::isfinite(params.temperature)),
          "temperature", params.temperature,
          "give 0 for the most probable token, or at least 1e-4");
  require(params.top_k >= 0, "top_k", params.top_k, "give a number of tokens, or 0 for all");
  require(params.top_p > 0.0f && params.top_p <= 1.0f, "top_p", params.top_p,
          "give a share above 0, at most 1");
  require(params.min_p >= 0.0f && params.min_p <= 1.0f, "min_p", params.min_p,
          "give a share from 0 to 1");
  require(params.repetition_penalty > 0.0f && std::isfinite(params.repetition_penalty),
          "repetition_penalty", params.repetition_penalty, "give a number above 0; 1 is off");
  require(std::isfinite(params.presence_penalty), "presence_penalty", params.presence_penalty,
          "give a number; 0 is off");
  require(std::isfinite(params.frequency_penalty), "frequency_penalty", params.frequency_penalty,
          "give a number; 0 is off");
  for (const auto& [id, bias] : params.logit_bias) {
    require(std::isfinite(bias), "logit_bias", bias, "give a number; 0 is off");
  }
}

float temperature_inverse(float temperature) {
  return temperature == 0.0f ? 1.0f : 1.0f / temperature;
}

void shape_logits(const VectorKernels& kernels, const SamplingParams& params,
                  std::span<const std::int32_t> seen, std::span<const float> scaled,
                  std::span<float> shaped, std::span<std::int32_t> order, std::size_t prompt_size) {
  const std::int64_t vocab = std::ssize(scaled);
  std::ranges::copy(scaled, shaped.begin());
  if (params.repetition_penalty != 1.0f) {
    // From the untouched logit each time: an id seen twice is penalised once.
    for (const std::int32_t id : seen) {
      const float logit = scaled[static_cast<std::size_t>(id)];
      shaped[static_cast<std::size_t>(id)] =
          logit > 0.0f ? logit / params.repetition_penalty : logit * params.repetition_penalty;
    }
  }
  const auto logit_of = [&](std::int32_t id) -> float& {
    return shaped[static_cast<std::size_t>(id)];
  };
  // The logits are divided by the temperature already; so is what is added to them.
  const float inverse = temperature_inverse(params.temperature);
  if (params.presence_penalty != 0.0f || params.frequency_penalty != 0.0f) {
    const auto drawn = seen.subspan(std::min(prompt_size, seen.size()));
    std::vector<std::int32_t> ids(drawn.begin(), drawn.end());
    std::ranges::sort(ids);
    for (auto id = ids.begin(); id != ids.end();) {
      const auto next = std::upper_bound(id, ids.end(), *id);
      const auto times = static_cast<float>(next - id);
      logit_of(*id) -= inverse * (params.presence_penalty + times * params.frequency_penalty);
      id = next;
    }
  }
  for (const auto& [id, bias] : params.logit_bias) logit_of(id) += inverse * bias;
  const auto likelier = [&](std::int32_t a, std::int32_t b) {
    return logit_of(a) > logit_of(b) || (logit_of(a) == logit_of(b) && a < b);
  };
  std::iota(order.begin(), order.end(), 0);
  if (params.top_k > 0 && params.top_k < vocab) {
    const auto kept = static_cast<std::size_t>(params.top_k);
    std::ranges::nth_element(order, order.begin() + static_cast<std::ptrdiff_t>(kept), likelier);
    for (const std::int32_t id : order.subspan(kept)) logit_of(id) = kExcluded;
    order = order.first(kept);
  }
  if (params.top_p < 1.0f) {
    // The shortest run of the likeliest whose mass reaches top_p; the one that reaches it stays.
    const float log_sum_exp = kernels.log_sum_exp(vocab, shaped.data());
    const auto less_likely = [&](std::int32_t a, std::int32_t b) { return likelier(b, a); };
    // Those so unlikely that all of them together cannot matter are put in order only if, against
    // expectation, they do.
    const double negligible =
        (1.0 - static_cast<double>(params.top_p)) / (2.0 * static_cast<double>(order.size()));
    const float bound = log_sum_exp + static_cast<float>(std::log(negligible));
    const auto unlikely =
        std::ranges::partition(order, [&](std::int32_t id) { return logit_of(id) >= bound; });
    double mass = 0.0;
    for (std::span<std::int32_t> ids :
         {order.first(order.size() - unlikely.size()), order.last(unlikely.size())}) {
      if (mass < static_cast<double>(params.top_p)) std::ranges::make_heap(ids, less_likely);
      while (!ids.empty() && mass < static_cast<double>(params.top_p)) {
        std::ranges::pop_heap(ids, less_likely);
        const float log_prob = logit_of(ids.back()) - log_sum_exp;
        float probability = 0.0f;
        kernels.exp(1, &log_prob, &probability);
        mass += static_cast<double>(probability);
        ids = ids.first(ids.size() - 1);
      }
      for (const std::int32_t id : ids) logit_of(id) = kExcluded;
    }
  }
  if (params.min_p > 0.0f) {
    const float best = kernels.max(vocab, shaped.data());
    for (std::int64_t first = 0; first < vocab; first += kBlock) {
      const Exponentials relative(kernels, shaped, first, best);
      for (std::int64_t i = 0; i < relative.count; ++i) {
        if (relative[i] < static_cast<double>(params.min_p)) {
          shaped[static_cast<std::size_t>(first + i)] = kExcluded;
        }
      }
    }
  }
}

void Sampler::draw(const ForwardContext& ctx, const Tensor& states,
                   std::span<const std::int32_t> rows, LinearWeight& head, std::span<Draw> draws) {
  const std::int64_t vocab = head.out_features();
  const auto stretch = static_cast<std::size_t>(std::max<std::int64_t>(1, kLogitElements / vocab));
  for (std::size_t first = 0; first < draws.size(); first += stretch) {
    const std::size_t count = std::min(stretch, draws.size() - first);
    const ArenaScope scope(ctx.arena);
    const Tensor chosen = select_rows(ctx, states, rows.subspan(first, count));
    const Tensor logits = linear(ctx, chosen, head);
    draw(ctx.backend, vocab, logits.data, draws.subspan(first, count));
  }
}

void Sampler::draw(Backend& backend, std::int64_t vocab, float* logits, std::span<Draw> draws) {
  backend.begin_work();
  const auto width = static_cast<std::size_t>(vocab);
  const std::size_t blocks = (width + kBlock - 1) / kBlock;
  sums_.resize(std::max(sums_.size(), draws.size() * blocks));
  shaped_.assign(draws.size(), -1);
  std::int64_t shaped_rows = 0;
  for (std::size_t i = 0; i < draws.size(); ++i) {
    if (needs_shaping(*draws[i].params)) shaped_[i] = shaped_rows++;
  }
  const auto scratch = static_cast<std::size_t>(shaped_rows) * width;
  shaped_logits_.resize(std::max(shaped_logits_.size(), scratch));
  order_.resize(std::max(order_.size(), scratch));

  const VectorKernels& kernels = backend.kernels().vector;
  backend.parallel_for(std::ssize(draws), [&](std::int64_t index) {
    const auto i = static_cast<std::size_t>(index);
    Draw& draw = draws[i];
    const SamplingParams& params = *draw.params;
    const std::span<float> row(logits + i * width, width);
    const float log_sum_exp =
        scaled_log_sum_exp(kernels, vocab, temperature_inverse(params.temperature), row.data());
    draw.failed = !std::isfinite(log_sum_exp);
    if (draw.failed) return;

    std::span<const float> source = row;
    float source_log_sum_exp = log_sum_exp;
    if (shaped_[i] >= 0) {
      const std::size_t at = static_cast<std::size_t>(shaped_[i]) * width;
      const std::span<float> shaped(shaped_logits_.data() + at, width);
      shape_logits(kernels, params, draw.tokens, row, shaped, {order_.data() + at, width},
                   draw.prompt_size);
      source = shaped;
      source_log_sum_exp = kernels.log_sum_exp(vocab, shaped.data());
      draw.failed = !std::isfinite(source_log_sum_exp);
      if (draw.failed) return;
    }
    std::int32_t id = draw.choice.forced;
    if (id == TokenGuide::kNone) {
      id = params.temperature == 0.0f
               ? static_cast<std::int32_t>(std::ranges::max_element(source) - source.begin())
               : draw_id(kernels, source, source_log_sum_exp,
                         uniform_at(params, draw.tokens.size()), sums_.data() + i * blocks);
      if (id == draw.choice.avoided) id = draw.choice.instead;
    }
    draw.token = {id, row_log_prob(row.data(), log_sum_exp, id),
                  kernels.entropy(vocab, row.data(), log_sum_exp)};
    if (draw.wanted_alternatives > 0) {
      draw.alternatives = likeliest(row, log_sum_exp, draw.wanted_alternatives);
    }
  });
}

}  // namespace r1
