// The bits of attention: the same on every instruction set, at any alignment, paging and chunking,
// and in any company.

#include <gtest/gtest.h>

#include "backend/attention_kernels.h"
#include "backend/attention_kernels_test_problem.h"
#include "backend/kernel_table.h"
#include "base/thread_pool.h"

namespace r1::attention_test {
namespace {

Shape draw_shape(Rng& rng) {
  Shape shape;
  shape.tokens = rng.between(1, 75);
  shape.heads = rng.between(1, 9);
  shape.start = rng.chance(0.5) ? 0 : rng.between(0, 140);
  shape.key_dim = rng.between(1, 90);
  shape.latent = rng.chance(0.5);
  shape.value_dim = shape.latent ? rng.between(1, shape.key_dim) : rng.between(1, 90);
  shape.misalign = rng.between(0, 15);
  return shape;
}

// Values that arithmetic treats specially, strewn in thinly.
void add_special_values(Rng& rng, float probability, std::vector<float>& values) {
  const float specials[] = {0.0f,
                            -0.0f,
                            1e-40f,
                            -1e-42f,
                            0x1p-126f,
                            3e38f,
                            -3e38f,
                            1e-20f,
                            std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::quiet_NaN()};
  for (float& x : values) {
    if (rng.chance(probability)) x = specials[rng.below(std::size(specials))];
  }
}

template <typename T>
void expect_same_bits_everywhere(const Problem<T>& problem, std::vector<float> dout) {
  const Shape& s = problem.shape;
  const Pages<T> pages(problem);
  const AttentionKernels& scalar = kernel_table(Isa::scalar).attention;
  const ForwardResult expected = run_forward(scalar, problem, pages.rows);
  const BackwardResult expected_gradients =
      run_backward(scalar, problem, pages.rows, expected, dout);
  for (const Isa isa : supported_isas()) {
    if (isa == Isa::scalar) continue;  // by far the slowest
    SCOPED_TRACE(testing::Message()
                 << name_of(isa) << ": tokens " << s.tokens << " heads " << s.heads << " start "
                 << s.start << " key_dim " << s.key_dim << " value_dim " << s.value_dim
                 << (s.latent ? " latent" : "") << " misalign " << s.misalign);
    const AttentionKernels& kernels = kernel_table(isa).attention;
    const ForwardResult result = run_forward(kernels, problem, pages.rows);
    ASSERT_EQ(first_difference(result.out, expected.out), -1);
    ASSERT_EQ(first_difference(result.lse, expected.lse), -1);
    const BackwardResult gradients = run_backward(kernels, problem, pages.rows, result, dout);
    ASSERT_EQ(first_difference(gradients.dq, expected_gradients.dq), -1);
    ASSERT_EQ(first_difference(gradients.dkv, expected_gradients.dkv), -1);
  }
}

TEST(AttentionBits, EveryInstructionSetAgrees) {
  const FlushDenormals flush;
  Rng rng(1);
  for (int round = 0; round < 30; ++round) {
    const Shape shape = draw_shape(rng);
    expect_same_bits_everywhere(Problem<float>(shape, 100 + round), draw_dout(shape, 200 + round));
    expect_same_bits_everywhere(Problem<bf16>(shape, 300 + round), draw_dout(shape, 400 + round));
  }
  const Shape deepseek{2, 16, 90, 576, 512, true};
  expect_same_bits_everywhere(Problem<float>(deepseek, 5), draw_dout(deepseek, 6));
  expect_same_bits_everywhere(Problem<bf16>(deepseek, 7), draw_dout(deepseek, 8));
}

TEST(AttentionBits, EveryInstructionSetAgreesOnSpecialValues) {
  const FlushDenormals flush;
  Rng rng(2);
  for (int round = 0; round < 20; ++round) {
    const Shape shape = draw_shape(rng);
    const float probability = round % 2 == 0 ? 0.001f : 0.02f;
    Problem<float> problem(shape, 500 + round, round % 3 == 0 ? 1e-19f : 30.0f);
    add_special_values(rng, probability, problem.q);
    add_special_values(rng, probability, problem.rows);
    std::vector<float> dout = draw_dout(shape, 600 + round);
    add_special_values(rng, probability, dout);
    expect_same_bits_everywhere(problem, dout);
  }
}

// Gaps between rows stay as they were, what is written is written whole.
TEST(AttentionBits, WritesItsOutputsAndNothingElse) {
  const FlushDenormals flush;
  const Shape shape{19, 3, 5, 18, 33, false, 2};
  const Problem<float> problem(shape, 71);
  const Pages<float> pages(problem);
  const ForwardResult result =
      run_forward(kernel_table(choose_isa()).attention, problem, pages.rows);
  for (std::size_t i = 0; i < result.out.size(); ++i) {
    const std::int64_t at = static_cast<std::int64_t>(i) - shape.misalign;
    const bool inside = at >= 0 && at % shape.out_stride() < shape.heads * shape.value_dim;
    ASSERT_EQ(result.out[i] != kUntouched, inside) << "out at " << i;
  }
  for (std::size_t i = 0; i < result.lse.size(); ++i) {
    const std::int64_t at = static_cast<std::int64_t>(i) - shape.misalign;
    const bool inside = at >= 0 && at % shape.lse_stride() < shape.heads;
    ASSERT_EQ(result.lse[i] != kUntouched, inside) << "lse at " << i;
  }
  // Without room for lse the outputs are the same.
  std::vector<float> out(result.out.size(), kUntouched);
  forward(kernel_table(choose_isa()).attention, problem.queries(), pages.rows,
          out.data() + shape.misalign, shape.out_stride(), nullptr, 0);
  EXPECT_EQ(first_difference(out, result.out), -1);
}

TEST(AttentionBits, PagingDoesNotShow) {
  const FlushDenormals flush;
  Rng rng(3);
  for (int round = 0; round < 10; ++round) {
    const Shape shape = draw_shape(rng);
    const Problem<float> problem(shape, 700 + round);
    // Contiguous: the pages follow each other in one array.
    std::vector<const float*> table;
    for (std::int64_t p = 0; p < shape.positions(); p += kPageTokens) {
      table.push_back(problem.rows.data() + p * shape.row_stride());
    }
    KvRows<float> contiguous = Pages<float>(problem).rows;
    contiguous.pages = table.data();
    for (const Isa isa : supported_isas()) {
      const AttentionKernels& kernels = kernel_table(isa).attention;
      const ForwardResult expected = run_forward(kernels, problem, contiguous);
      const Pages<float> shuffled(problem, 800 + round);
      const ForwardResult result = run_forward(kernels, problem, shuffled.rows);
      ASSERT_EQ(first_difference(result.out, expected.out), -1) << name_of(isa);
      ASSERT_EQ(first_difference(result.lse, expected.lse), -1) << name_of(isa);
    }
  }
}

// Token by token, in random chunks, and one head of one token alone: the bits of the whole.
template <typename T>
void expect_chunks_match(const Problem<T>& problem, const AttentionKernels& kernels, Rng& rng) {
  const Shape& s = problem.shape;
  const Pages<T> pages(problem);
  const ForwardResult expected = run_forward(kernels, problem, pages.rows);
  for (const std::int64_t most : {std::int64_t{1}, std::int64_t{7}, std::int64_t{40}}) {
    ForwardResult result{std::vector<float>(expected.out.size(), kUntouched),
                         std::vector<float>(expected.lse.size(), kUntouched)};
    for (std::int64_t token = 0; token < s.tokens;) {
      AttentionQueries queries = problem.queries();
      queries.tokens = std::min(s.tokens - token, rng.between(1, most));
      queries.start += token;
      queries.q += token * s.q_stride();
      forward(kernels, queries, pages.rows, result.out.data() + s.misalign + token * s.out_stride(),
              s.out_stride(), result.lse.data() + s.misalign + token * s.lse_stride(),
              s.lse_stride());
      token += queries.tokens;
    }
    ASSERT_EQ(first_difference(result.out, expected.out), -1) << "chunks up to " << most;
    ASSERT_EQ(first_difference(result.lse, expected.lse), -1) << "chunks up to " << most;
  }
  const std::int64_t token = rng.between(0, s.tokens - 1), head = rng.between(0, s.heads - 1);
  AttentionQueries alone = problem.queries();
  alone.tokens = alone.heads = 1;
  alone.start += token;
  alone.q = problem.query(token, head);
  std::vector<float> out(s.value_dim);
  forward(kernels, alone, pages.rows, out.data(), s.value_dim, nullptr, 0);
  const float* row = expected.out.data() + s.misalign + token * s.out_stride() + head * s.value_dim;
  ASSERT_EQ(first_difference(out, std::vector<float>(row, row + s.value_dim)), -1);
}

TEST(AttentionBits, ChunkingDoesNotShow) {
  const FlushDenormals flush;
  Rng rng(4);
  for (int round = 0; round < 8; ++round) {
    const Shape shape = draw_shape(rng);
    for (const Isa isa : supported_isas()) {
      SCOPED_TRACE(testing::Message() << name_of(isa) << " round " << round);
      const AttentionKernels& kernels = kernel_table(isa).attention;
      expect_chunks_match(Problem<float>(shape, 900 + round), kernels, rng);
      expect_chunks_match(Problem<bf16>(shape, 950 + round), kernels, rng);
    }
  }
}

// Gradients of a sequence do not depend on how many of its rows a pass takes at once: token by
// token in order gives the bits of the whole.
TEST(AttentionBits, BackwardTokenByTokenIsTheWhole) {
  const FlushDenormals flush;
  Rng rng(5);
  for (int round = 0; round < 6; ++round) {
    const Shape s = draw_shape(rng);
    const Problem<float> problem(s, 1000 + round);
    const Pages<float> pages(problem);
    const std::vector<float> dout = draw_dout(s, 1100 + round);
    for (const Isa isa : supported_isas()) {
      const AttentionKernels& kernels = kernel_table(isa).attention;
      const ForwardResult fwd = run_forward(kernels, problem, pages.rows);
      const BackwardResult expected = run_backward(kernels, problem, pages.rows, fwd, dout, false);
      BackwardResult result{std::vector<float>(expected.dq.size()),
                            std::vector<float>(expected.dkv.size())};
      for (std::int64_t t = 0; t < s.tokens; ++t) {
        AttentionQueries queries = problem.queries();
        queries.tokens = 1;
        queries.start += t;
        queries.q += t * s.q_stride();
        const std::int64_t row = s.misalign + t * s.out_stride();
        kernels.backward_f32(queries, pages.rows, fwd.out.data() + row, dout.data() + row,
                             s.out_stride(), fwd.lse.data() + s.misalign + t * s.lse_stride(),
                             s.lse_stride(), result.dq.data() + s.misalign + t * s.q_stride(),
                             result.dkv.data() + s.misalign);
      }
      ASSERT_EQ(first_difference(result.dq, expected.dq), -1) << name_of(isa);
      ASSERT_EQ(first_difference(result.dkv, expected.dkv), -1) << name_of(isa);
    }
  }
}

}  // namespace
}  // namespace r1::attention_test
