// The absorbed form of multi-head latent attention against the expanded one: keys and values of
// every head written out, in double precision, as the DeepSeek-V2 report introduces them
// (equations 9 to 11 and 37 to 47).

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "model/layers.h"
#include "model/model_test_config.h"
#include "model/rope.h"

namespace r1 {
namespace {

using Row = std::vector<double>;
using Rows = std::vector<Row>;

class Expanded {
 public:
  Expanded(const ModelConfig& config, std::map<std::string, const Weight*> weights)
      : config_(config),
        weights_(std::move(weights)),
        frequencies_(
            rope_frequencies(config.qk_rope_head_dim, config.rope_theta, config.rope_scaling)) {}

  // x of one sequence from position 0; attention's output for each of its rows.
  Rows forward(const Rows& x) const {
    const std::size_t heads = static_cast<std::size_t>(config_.num_attention_heads);
    const std::size_t nope = static_cast<std::size_t>(config_.qk_nope_head_dim);
    const std::size_t rotated = static_cast<std::size_t>(config_.qk_rope_head_dim);
    const std::size_t value = static_cast<std::size_t>(config_.v_head_dim);
    const std::size_t latent = static_cast<std::size_t>(config_.kv_lora_rank);
    Rows queries, keys, values, out;
    for (std::size_t t = 0; t < x.size(); ++t) {
      Row query = x[t];
      if (config_.q_lora_rank > 0) {
        query = multiply("q_b_proj", norm("q_a_layernorm", multiply("q_a_proj", query)));
      } else {
        query = multiply("q_proj", query);
      }
      const Row down = multiply("kv_a_proj_with_mqa", x[t]);
      const auto split = down.begin() + static_cast<std::ptrdiff_t>(latent);
      const Row up = multiply("kv_b_proj", norm("kv_a_layernorm", Row(down.begin(), split)));
      Row shared(split, down.end());
      rotate(shared.data(), t);
      Row key, value_row;
      for (std::size_t h = 0; h < heads; ++h) {
        rotate(query.data() + h * (nope + rotated) + nope, t);
        const double* head = up.data() + h * (nope + value);
        key.insert(key.end(), head, head + nope);
        key.insert(key.end(), shared.begin(), shared.end());
        value_row.insert(value_row.end(), head + nope, head + nope + value);
      }
      queries.push_back(query);
      keys.push_back(key);
      values.push_back(value_row);

      Row mixed(heads * value, 0.0);
      for (std::size_t h = 0; h < heads; ++h) {
        Row weights(t + 1);
        double sum = 0.0;
        for (std::size_t s = 0; s <= t; ++s) {
          double score = 0.0;
          for (std::size_t i = h * (nope + rotated); i < (h + 1) * (nope + rotated); ++i) {
            score += queries[t][i] * keys[s][i];
          }
          weights[s] = std::exp(score * scale());
          sum += weights[s];
        }
        for (std::size_t s = 0; s <= t; ++s) {
          for (std::size_t i = h * value; i < (h + 1) * value; ++i) {
            mixed[i] += weights[s] / sum * values[s][i];
          }
        }
      }
      out.push_back(multiply("o_proj", mixed));
    }
    return out;
  }

 private:
  double scale() const {
    const double size = static_cast<double>(config_.qk_nope_head_dim + config_.qk_rope_head_dim);
    const YarnScaling* yarn = std::get_if<YarnScaling>(&config_.rope_scaling);
    if (yarn == nullptr) return 1.0 / std::sqrt(size);
    const double m = 0.1 * yarn->mscale_all_dim * std::log(yarn->factor) + 1.0;
    return m * m / std::sqrt(size);
  }
  const Weight& weight(const std::string& name) const { return *weights_.at(name + ".weight"); }
  Row multiply(const std::string& name, const Row& x) const {
    const Weight& w = weight(name);
    EXPECT_EQ(w.shape[1], std::ssize(x)) << name;
    Row y(static_cast<std::size_t>(w.shape[0]), 0.0);
    for (std::size_t o = 0; o < y.size(); ++o) {
      for (std::size_t i = 0; i < x.size(); ++i) {
        y[o] += static_cast<double>(w.value[o * x.size() + i]) * x[i];
      }
    }
    return y;
  }
  Row norm(const std::string& name, Row x) const {
    double squares = 0.0;
    for (const double v : x) squares += v * v;
    const double factor = 1.0 / std::sqrt(squares / static_cast<double>(x.size()) + 1e-6);
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] *= factor * static_cast<double>(weight(name).value[i]);
    }
    return x;
  }
  // Neighbouring pairs, as DeepSeek's checkpoints have them.
  void rotate(double* x, std::size_t position) const {
    for (std::size_t i = 0; i < frequencies_.size(); ++i) {
      const double angle = static_cast<double>(position) * static_cast<double>(frequencies_[i]);
      const double a = x[2 * i], b = x[2 * i + 1];
      x[2 * i] = a * std::cos(angle) - b * std::sin(angle);
      x[2 * i + 1] = a * std::sin(angle) + b * std::cos(angle);
    }
  }

  const ModelConfig& config_;
  std::map<std::string, const Weight*> weights_;
  std::vector<float> frequencies_;
};

class LatentAttentionTest : public testing::TestWithParam<int> {};

TEST_P(LatentAttentionTest, AbsorbedIsExpanded) {
  Rng rng(3, static_cast<std::uint32_t>(GetParam()));
  ModelConfig config = model_test::tiny_config();
  config.hidden_size = rng.between(1, 50);
  config.num_attention_heads = rng.between(1, 5);
  config.q_lora_rank = GetParam() % 2 == 0 ? 0 : rng.between(1, 40);
  config.kv_lora_rank = rng.between(1, 40);
  config.qk_nope_head_dim = rng.between(1, 24);
  config.qk_rope_head_dim = 2 * rng.between(1, 8);
  config.v_head_dim = rng.between(1, 24);
  if (GetParam() % 3 == 0) config.rope_scaling = {};
  SCOPED_TRACE(write_config(config));

  Backend backend(2);
  LatentAttention attention(config, "");
  std::map<std::string, const Weight*> weights;
  attention.visit([&](Weight& weight) {
    weight.value = AlignedBuffer<float>(static_cast<std::size_t>(weight.count()));
    for (float& value : weight.value) value = rng.normal() * 0.5f;
    weights[weight.name] = &weight;
  });
  attention.refresh(backend, Precision::f32, false);

  // Sequences one behind another: none may see its neighbours.
  Batch batch;
  std::vector<Rows> sequences;
  std::vector<float> x;
  for (const std::int64_t length : {rng.between(1, 12), rng.between(60, 90), std::int64_t{1}}) {
    batch.append(std::vector<std::int32_t>(static_cast<std::size_t>(length), 0));
    Rows rows;
    for (std::int64_t t = 0; t < length; ++t) {
      Row row;
      for (std::int64_t i = 0; i < config.hidden_size; ++i) {
        x.push_back(rng.normal());
        row.push_back(static_cast<double>(x.back()));
      }
      rows.push_back(row);
    }
    sequences.push_back(rows);
  }
  Arena arena;
  const ForwardContext ctx{backend, arena, Precision::f32, nullptr};
  const Tensor input = ctx.make_input({batch.rows(), config.hidden_size});
  std::ranges::copy(x, input.data);
  const RopeTable table = make_rope_table(config, config.max_position_embeddings);
  const Tensor found = attention.forward(ctx, input, batch, {}, table);

  const Expanded oracle(config, weights);
  double largest = 0.0, worst = 0.0;
  const float* next = found.data;
  for (const Rows& rows : sequences) {
    for (const Row& row : oracle.forward(rows)) {
      for (const double wanted : row) {
        largest = std::max(largest, std::abs(wanted));
        const double difference = std::abs(static_cast<double>(*next++) - wanted);
        if (!(difference <= worst)) worst = difference;
      }
    }
  }
  EXPECT_EQ(next, found.data + found.shape.count());
  EXPECT_GT(largest, 0.0);
  EXPECT_LE(worst, 2e-5 * std::max(1.0, largest));
}

INSTANTIATE_TEST_SUITE_P(Sizes, LatentAttentionTest, testing::Range(0, 12));

}  // namespace
}  // namespace r1
