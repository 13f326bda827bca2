// Attention against softmax attention in double precision: values, gradients, and what becomes of
// NaN and of huge scores.

#include "backend/attention_kernels.h"

#include <gtest/gtest.h>

#include "backend/attention_kernels_test_problem.h"
#include "backend/kernel_table.h"
#include "base/thread_pool.h"

namespace r1::attention_test {
namespace {

constexpr double kEpsilon = 0x1p-24;

// Softmax attention in double, all scores at once, with the bounds that our float arithmetic keeps.
template <typename T>
struct Reference {
  const Problem<T>& problem;
  std::vector<double> out, lse;      // [tokens, heads, value_dim], [tokens, heads]
  std::vector<double> weights;       // [tokens, heads, positions]
  std::vector<double> score_bounds;  // [tokens, heads]: greatest error of a score

  explicit Reference(const Problem<T>& p) : problem(p) {
    const Shape& s = p.shape;
    out.resize(s.tokens * s.heads * s.value_dim);
    lse.resize(s.tokens * s.heads);
    weights.resize(s.tokens * s.heads * s.positions());
    score_bounds.resize(s.tokens * s.heads);
    for (std::int64_t t = 0; t < s.tokens; ++t) {
      for (std::int64_t h = 0; h < s.heads; ++h) row(t, h);
    }
  }

  void row(std::int64_t t, std::int64_t h) {
    const Shape& s = problem.shape;
    const std::int64_t r = t * s.heads + h;
    double* weight = weights.data() + r * s.positions();
    double top = -std::numeric_limits<double>::infinity();
    for (std::int64_t j = 0; j <= s.start + t; ++j) {
      double dot = 0, magnitude = 0;
      for (std::int64_t d = 0; d < s.key_dim; ++d) {
        const double term = double{problem.query(t, h)[d]} * double{widened(problem.key(j)[d])};
        dot += term;
        magnitude += std::abs(term);
      }
      weight[j] = dot * double{problem.scale};
      top = std::max(top, weight[j]);
      // A chain of key_dim fma, then the scale.
      score_bounds[r] = std::max(score_bounds[r], kEpsilon * static_cast<double>(s.key_dim + 2) *
                                                      magnitude * double{problem.scale});
    }
    double sum = 0;
    for (std::int64_t j = 0; j <= s.start + t; ++j) sum += weight[j] = std::exp(weight[j] - top);
    for (std::int64_t j = 0; j <= s.start + t; ++j) {
      weight[j] /= sum;
      for (std::int64_t d = 0; d < s.value_dim; ++d) {
        out[r * s.value_dim + d] += weight[j] * double{widened(problem.value(j)[d])};
      }
    }
    lse[r] = top + std::log(sum);
  }

  // Relative error of a weight: twice the score's, the differences' roundings and exp (scores up to
  // 2^5 apart count), and the chains over keys and blocks.
  double weight_bound(std::int64_t t, std::int64_t h) const {
    const Shape& s = problem.shape;
    return 2 * score_bounds[t * s.heads + h] +
           kEpsilon * (64 + 2 * static_cast<double>(s.start + t + 1));
  }
};

template <typename T>
void expect_forward_matches(const Shape& shape, float spread) {
  const FlushDenormals flush;
  const Problem<T> problem(shape, 7, spread);
  const Pages<T> pages(problem);
  const Reference<T> reference(problem);
  const ForwardResult result =
      run_forward(kernel_table(choose_isa()).attention, problem, pages.rows);
  for (std::int64_t t = 0; t < shape.tokens; ++t) {
    for (std::int64_t h = 0; h < shape.heads; ++h) {
      const std::int64_t r = t * shape.heads + h;
      const double bound = reference.weight_bound(t, h);
      ASSERT_NEAR(result.lse[shape.misalign + t * shape.lse_stride() + h], reference.lse[r],
                  bound + kEpsilon * 2 * std::abs(reference.lse[r]))
          << "token " << t << " head " << h;
      for (std::int64_t d = 0; d < shape.value_dim; ++d) {
        double magnitude = 0;
        for (std::int64_t j = 0; j <= shape.start + t; ++j) {
          magnitude += reference.weights[r * shape.positions() + j] *
                       std::abs(double{widened(problem.value(j)[d])});
        }
        ASSERT_NEAR(result.out[shape.misalign + t * shape.out_stride() + h * shape.value_dim + d],
                    reference.out[r * shape.value_dim + d], 2 * bound * magnitude)
            << "token " << t << " head " << h << " column " << d;
      }
    }
  }
}

const Shape kShapes[] = {
    {1, 1, 0, 1, 1},
    {5, 3, 0, 7, 9},
    {17, 2, 0, 16, 16},
    {33, 4, 70, 24, 40, false, 3},
    {150, 8, 0, 80, 64, true},
    {1, 16, 200, 80, 64, true},
    {20, 1, 129, 128, 128, false, 1},
    {3, 16, 100, 576, 512, true},
};

TEST(Attention, ForwardMatchesDoublePrecision) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(testing::Message() << shape.tokens << " tokens, key_dim " << shape.key_dim);
    expect_forward_matches<float>(shape, 1.0f);
    expect_forward_matches<bf16>(shape, 1.0f);
    expect_forward_matches<float>(shape, 8.0f);
  }
}

// Gradients of sum(out * dout) by the chain rule in double.
template <typename T>
struct ReferenceGradients {
  std::vector<double> dq, dkv;                      // laid out as the kernel's, without misalign
  std::vector<double> dq_magnitude, dkv_magnitude;  // sums of what was added, all positive

  ReferenceGradients(const Problem<T>& problem, const std::vector<float>& dout) {
    const Shape& s = problem.shape;
    const Reference<T> reference(problem);
    dq.resize(s.tokens * s.q_stride());
    dkv.resize(s.positions() * s.row_stride());
    dq_magnitude = dq;
    dkv_magnitude = dkv;
    for (std::int64_t t = 0; t < s.tokens; ++t) {
      for (std::int64_t h = 0; h < s.heads; ++h) {
        const std::int64_t r = t * s.heads + h;
        const float* g = dout.data() + s.misalign + t * s.out_stride() + h * s.value_dim;
        double delta = 0, delta_magnitude = 0;
        for (std::int64_t d = 0; d < s.value_dim; ++d) {
          delta += double{g[d]} * reference.out[r * s.value_dim + d];
          delta_magnitude += std::abs(double{g[d]} * reference.out[r * s.value_dim + d]);
        }
        const double relative =
            reference.weight_bound(t, h) + kEpsilon * static_cast<double>(s.value_dim + 16);
        for (std::int64_t j = 0; j <= s.start + t; ++j) {
          const double weight = reference.weights[r * s.positions() + j];
          double slope = -delta, slope_magnitude = delta_magnitude;
          for (std::int64_t d = 0; d < s.value_dim; ++d) {
            const double value{widened(problem.value(j)[d])};
            slope += double{g[d]} * value;
            slope_magnitude += std::abs(double{g[d]} * value);
            const std::int64_t at = j * s.row_stride() + s.value_offset() + d;
            dkv[at] += weight * double{g[d]};
            dkv_magnitude[at] += 2 * relative * weight * std::abs(double{g[d]});
          }
          const double factor = weight * double{problem.scale};
          for (std::int64_t d = 0; d < s.key_dim; ++d) {
            const double key{widened(problem.key(j)[d])}, query{problem.query(t, h)[d]};
            const std::int64_t q_at = t * s.q_stride() + h * s.key_dim + d;
            const std::int64_t k_at = j * s.row_stride() + s.key_offset() + d;
            dq[q_at] += factor * slope * key;
            dq_magnitude[q_at] += 4 * relative * factor * slope_magnitude * std::abs(key);
            dkv[k_at] += factor * slope * query;
            dkv_magnitude[k_at] += 4 * relative * factor * slope_magnitude * std::abs(query);
          }
        }
      }
    }
  }
};

template <typename T>
void expect_backward_matches(const Shape& shape) {
  const FlushDenormals flush;
  const Problem<T> problem(shape, 11);
  const Pages<T> pages(problem);
  const std::vector<float> dout = draw_dout(shape, 12);
  const AttentionKernels& kernels = kernel_table(choose_isa()).attention;
  const ForwardResult fwd = run_forward(kernels, problem, pages.rows);
  const BackwardResult result = run_backward(kernels, problem, pages.rows, fwd, dout, false);
  const ReferenceGradients<T> reference(problem, dout);
  const double rows = static_cast<double>(shape.tokens * shape.heads);
  for (std::size_t i = 0; i < reference.dq.size(); ++i) {
    ASSERT_NEAR(result.dq[shape.misalign + i], reference.dq[i], reference.dq_magnitude[i])
        << "dq at " << i;
  }
  for (std::size_t i = 0; i < reference.dkv.size(); ++i) {
    ASSERT_NEAR(result.dkv[shape.misalign + i], reference.dkv[i],
                reference.dkv_magnitude[i] * (1 + rows / 64))
        << "dkv at " << i;
  }
}

TEST(Attention, BackwardMatchesDoublePrecision) {
  for (Shape shape : kShapes) {
    SCOPED_TRACE(testing::Message() << shape.tokens << " tokens, key_dim " << shape.key_dim);
    shape.start = 0;
    expect_backward_matches<float>(shape);
    expect_backward_matches<bf16>(shape);
  }
}

// The double gradients themselves, by central differences of the double forward.
TEST(Attention, ReferenceGradientsMatchFiniteDifferences) {
  for (const bool latent : {false, true}) {
    const Shape shape{6, 2, 0, 5, 3, latent};
    Problem<float> problem(shape, 21);
    const std::vector<float> dout = draw_dout(shape, 22);
    const ReferenceGradients<float> gradients(problem, dout);
    const auto loss = [&] {
      const Reference<float> reference(problem);
      double sum = 0;
      for (std::int64_t t = 0; t < shape.tokens; ++t) {
        for (std::int64_t i = 0; i < shape.heads * shape.value_dim; ++i) {
          sum += reference.out[t * shape.heads * shape.value_dim + i] *
                 double{dout[t * shape.out_stride() + i]};
        }
      }
      return sum;
    };
    const auto difference = [&](float& x) {
      const float kept = x, step = 0x1p-10f;
      x = kept + step;
      const double above = loss(), high{x};
      x = kept - step;
      const double below = loss(), low{x};
      x = kept;
      return (above - below) / (high - low);
    };
    for (std::size_t i = 0; i < problem.q.size(); ++i) {
      ASSERT_NEAR(difference(problem.q[i]), gradients.dq[i], 2e-6) << "dq at " << i;
    }
    for (std::size_t i = 0; i < problem.rows.size(); ++i) {
      ASSERT_NEAR(difference(problem.rows[i]), gradients.dkv[i], 2e-6) << "dkv at " << i;
    }
  }
}

// A score of +-1e30 decides alone; one that overflows to -infinity has weight 0 even when it is the
// first, and only the row that sees nothing else becomes NaN.
TEST(Attention, HugeScoresPickTheGreatest) {
  const FlushDenormals flush;
  const Shape shape{40, 3, 0, 20, 17};
  Problem<float> problem(shape, 31, 1e30f);
  for (std::int64_t d = 0; d < shape.key_dim; ++d) problem.key(0)[d] = 0.0f;
  problem.key(0)[0] = -1e30f;
  for (std::int64_t t = 0; t < shape.tokens; ++t) {
    for (std::int64_t h = 0; h < shape.heads; ++h) problem.query(t, h)[0] = 1e30f;
  }
  const Pages<float> pages(problem);
  for (const Isa isa : supported_isas()) {
    const ForwardResult result = run_forward(kernel_table(isa).attention, problem, pages.rows);
    EXPECT_TRUE(std::isnan(result.out[0])) << name_of(isa);
    for (std::int64_t t = 1; t < shape.tokens; ++t) {
      for (std::int64_t h = 0; h < shape.heads; ++h) {
        std::int64_t best = -1;
        double best_score = -std::numeric_limits<double>::infinity();
        for (std::int64_t j = 1; j <= t; ++j) {
          double score = 0;
          for (std::int64_t d = 0; d < shape.key_dim; ++d) {
            score += double{problem.query(t, h)[d]} * double{problem.key(j)[d]};
          }
          if (score > best_score) best = j, best_score = score;
        }
        for (std::int64_t d = 0; d < shape.value_dim; ++d) {
          ASSERT_EQ(result.out[t * shape.out_stride() + h * shape.value_dim + d],
                    problem.value(best)[d])
              << name_of(isa) << " token " << t;
        }
      }
    }
  }
}

// Rows that see no NaN give the bits they give without it; rows that see it become NaN.
TEST(Attention, NanReachesOnlyRowsThatSeeIt) {
  const FlushDenormals flush;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const std::int64_t poisoned : {1, 15, 16, 37, 63, 64, 69}) {
    const Shape shape{70, 3, 0, 21, 19};
    const Problem<float> clean(shape, 41);
    Problem<float> dirty = clean;
    for (std::int64_t d = 0; d < shape.value_dim; ++d) dirty.value(poisoned)[d] = nan;
    dirty.key(poisoned)[2] = infinity;
    const Pages<float> clean_pages(clean), dirty_pages(dirty);
    for (const Isa isa : supported_isas()) {
      const AttentionKernels& kernels = kernel_table(isa).attention;
      const ForwardResult expected = run_forward(kernels, clean, clean_pages.rows);
      const ForwardResult result = run_forward(kernels, dirty, dirty_pages.rows);
      for (std::int64_t t = 0; t < shape.tokens; ++t) {
        for (std::int64_t i = 0; i < shape.heads * shape.value_dim; ++i) {
          const std::int64_t at = t * shape.out_stride() + i;
          if (t < poisoned) {
            ASSERT_EQ(result.out[at], expected.out[at]) << name_of(isa) << " token " << t;
          } else {
            ASSERT_TRUE(std::isnan(result.out[at])) << name_of(isa) << " token " << t;
          }
        }
      }
    }
  }
}

// A poisoned query row or gradient reaches only the keys that the row sees, and no other row's dq.
TEST(Attention, NanInARowReachesOnlyTheKeysItSees) {
  const FlushDenormals flush;
  for (const std::int64_t poisoned : {0, 14, 15, 16, 40, 64}) {
    const Shape shape{70, 3, 0, 21, 19};
    const Problem<float> clean(shape, 51);
    Problem<float> dirty = clean;
    dirty.query(poisoned, 1)[4] = std::numeric_limits<float>::quiet_NaN();
    const Pages<float> pages(clean);
    const std::vector<float> dout = draw_dout(shape, 52);
    for (const Isa isa : supported_isas()) {
      const AttentionKernels& kernels = kernel_table(isa).attention;
      const BackwardResult expected =
          run_backward(kernels, clean, pages.rows, run_forward(kernels, clean, pages.rows), dout);
      const BackwardResult result =
          run_backward(kernels, dirty, pages.rows, run_forward(kernels, dirty, pages.rows), dout);
      const auto sees = static_cast<std::size_t>((poisoned + 1) * shape.row_stride());
      for (std::size_t i = sees; i < result.dkv.size(); ++i) {
        ASSERT_EQ(result.dkv[i], expected.dkv[i]) << name_of(isa) << " at " << i;
      }
      EXPECT_TRUE(std::isnan(result.dkv[sees - shape.row_stride() + shape.key_offset()]));
      for (std::size_t i = 0; i < result.dq.size(); ++i) {
        const auto row =
            static_cast<std::int64_t>(i) - (poisoned * shape.q_stride() + shape.key_dim);
        if (row >= 0 && row < shape.key_dim) {
          ASSERT_TRUE(std::isnan(result.dq[i])) << name_of(isa) << " at " << i;
        } else {
          ASSERT_EQ(result.dq[i], expected.dq[i]) << name_of(isa) << " at " << i;
        }
      }
    }
  }
}

TEST(AttentionDeathTest, ShapesBeyondTheScratchAreRefused) {
  const KvRows<float> rows{nullptr, 4096, 0, 2048, 2048, 2048};
  const AttentionQueries queries{1, 1, 0, nullptr, 2048, 1.0f};
  EXPECT_DEATH(
      kernel_table(Isa::scalar).attention.forward_f32(queries, rows, nullptr, 2048, nullptr, 0),
      "key_dim 2048 value_dim 2048");
}

}  // namespace
}  // namespace r1::attention_test
