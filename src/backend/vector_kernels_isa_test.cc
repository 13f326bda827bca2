#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "backend/guarded_array.h"
#include "backend/kernel_table.h"
#include "base/rng.h"
#include "base/thread_pool.h"

// Every instruction set gives the bits of the scalar kernels: all lengths around the vector width,
// all misalignments, special values. Nothing outside [0, n) is written.
namespace r1 {
namespace {

constexpr std::size_t kGuard = 32;  // elements around every row that must survive

struct Rows {
  const float *a, *b, *c;
  const bf16* words;
  float *x, *y, *z;  // hold values beforehand, for kernels that add
  bf16* out_words;
};

struct Case {
  const char* name;
  std::int64_t min_n;
  void (*run)(const VectorKernels& k, std::int64_t n, const Rows& r);
};

constexpr AdamWStep kStep{.learning_rate = 1e-3f,
                          .beta1 = 0.9f,
                          .beta2 = 0.95f,
                          .epsilon = 1e-8f,
                          .weight_decay = 0.1f,
                          .bias_correction1 = 0.271f,
                          .bias_correction2 = 0.142625f,
                          .gradient_scale = 0.7f};

const Case kCases[] = {
    {"add", 0, [](auto& k, auto n, auto& r) { k.add(n, r.a, r.b, r.x); }},
    {"add_into", 0, [](auto& k, auto n, auto& r) { k.add_into(n, r.a, r.x); }},
    {"multiply_add", 0, [](auto& k, auto n, auto& r) { k.multiply_add(n, 0.3f, r.a, r.x); }},
    {"scale", 0, [](auto& k, auto n, auto& r) { k.scale(n, 0.3f, r.a, r.x); }},
    {"round_bf16", 0, [](auto& k, auto n, auto& r) { k.round_bf16(n, r.a, r.out_words); }},
    {"widen_bf16", 0, [](auto& k, auto n, auto& r) { k.widen_bf16(n, r.words, r.x); }},
    {"round_to_bf16_values", 0,
     [](auto& k, auto n, auto& r) { k.round_to_bf16_values(n, r.a, r.x); }},
    {"exp", 0, [](auto& k, auto n, auto& r) { k.exp(n, r.a, r.x); }},
    {"sigmoid", 0, [](auto& k, auto n, auto& r) { k.sigmoid(n, r.a, r.x); }},
    {"swiglu", 0, [](auto& k, auto n, auto& r) { k.swiglu(n, r.a, r.b, r.x); }},
    {"swiglu_backward", 0,
     [](auto& k, auto n, auto& r) { k.swiglu_backward(n, r.a, r.b, r.c, r.x, r.y); }},
    {"sum", 0, [](auto& k, auto n, auto& r) { r.x[0] = k.sum(n, r.a); }},
    {"dot", 0, [](auto& k, auto n, auto& r) { r.x[0] = k.dot(n, r.a, r.b); }},
    {"max", 1, [](auto& k, auto n, auto& r) { r.x[0] = k.max(n, r.a); }},
    {"sum_of_squares", 1,
     [](auto& k, auto n, auto& r) {
       const double sum = k.sum_of_squares(n, r.a);
       r.x[0] = static_cast<float>(sum);
       r.y[0] = static_cast<float>(sum - static_cast<double>(r.x[0]));
     }},
    {"rms_norm", 1, [](auto& k, auto n, auto& r) { r.y[0] = k.rms_norm(n, r.a, r.b, 1e-6f, r.x); }},
    {"rms_norm_backward", 1,
     [](auto& k, auto n, auto& r) { k.rms_norm_backward(n, r.a, r.b, 0.8f, r.c, r.x); }},
    {"rms_norm_weight_gradient", 0,
     [](auto& k, auto n, auto& r) { k.rms_norm_weight_gradient(n, r.a, 0.8f, r.c, r.x); }},
    {"rope_interleaved", 0,
     [](auto& k, auto n, auto& r) { k.rope_interleaved(n / 2 * 2, r.a, r.b, 1.0f, r.x); }},
    {"rope_halves", 0,
     [](auto& k, auto n, auto& r) { k.rope_halves(n / 2 * 2, r.a, r.b, -1.0f, r.x); }},
    {"log_sum_exp", 1, [](auto& k, auto n, auto& r) { r.x[0] = k.log_sum_exp(n, r.a); }},
    {"softmax", 1, [](auto& k, auto n, auto& r) { k.softmax(n, r.a, r.x); }},
    {"entropy", 1,
     [](auto& k, auto n, auto& r) { r.x[0] = k.entropy(n, r.a, k.log_sum_exp(n, r.a)); }},
    {"log_prob_gradient", 1,
     [](auto& k, auto n, auto& r) { k.log_prob_gradient(n, r.a, 2.5f, n / 2, 0.7f, r.x); }},
    {"adamw", 0, [](auto& k, auto n, auto& r) { k.adamw(n, kStep, r.a, r.x, r.y, r.z); }},
};

// What rows hold: numbers of everyday size; numbers of all magnitudes, denormals and zeros
// included; or these mixed with every value at which arithmetic bends, infinities and NaN included.
enum class Values { ordinary, wide, special };

float draw(Rng& rng, Values values) {
  static const float kSpecials[] = {0.0f,
                                    -0.0f,
                                    std::numeric_limits<float>::denorm_min(),
                                    -0x1.fffffcp-127f,
                                    0x1p-126f,
                                    -0x1.8p-126f,
                                    0x1p-70f,
                                    -0x1p-64f,
                                    1.0f,
                                    -1.0f,
                                    0x1.008p0f,  // halfway between two bf16
                                    0x1.018p0f,
                                    0x1.0000020p0f,
                                    std::numeric_limits<float>::max(),
                                    std::numeric_limits<float>::lowest(),
                                    0x1p64f,
                                    std::numeric_limits<float>::infinity(),
                                    -std::numeric_limits<float>::infinity(),
                                    std::numeric_limits<float>::quiet_NaN(),
                                    -std::numeric_limits<float>::quiet_NaN(),
                                    88.72283f,
                                    88.72284f,
                                    -87.33654f,
                                    -87.33655f,
                                    -103.0f,
                                    17.0f};
  if (values == Values::special && rng.chance(0.3)) {
    return kSpecials[rng.below(static_cast<std::uint32_t>(std::size(kSpecials)))];
  }
  if (values == Values::ordinary) return rng.normal() * 3.0f;
  if (rng.chance(0.1)) return rng.chance(0.5) ? 0.0f : -0.0f;
  return std::ldexp(rng.normal(), static_cast<int>(rng.between(-135, 60)));
}

// Rows of one length, with guards, each at its own misalignment.
class Workspace {
 public:
  Workspace(std::int64_t n, std::size_t offset, Values values, Rng& rng)
      : size_(2 * kGuard + static_cast<std::size_t>(n) + 16),
        floats_(6 * size_),
        words_(2 * size_),
        offset_(offset) {
    for (float& value : floats_) value = draw(rng, values);
    for (bf16& word : words_) word = round_to_bf16(draw(rng, values));
  }

  Rows rows() { return {f32(0), f32(1), f32(2), bf(0), f32(3), f32(4), f32(5), bf(1)}; }

  // Same bits everywhere, guards included; one NaN is as good as another.
  bool equals(const Workspace& other) const {
    for (std::size_t i = 0; i < floats_.size(); ++i) {
      if (!same(floats_[i], other.floats_[i])) return false;
    }
    for (std::size_t i = 0; i < words_.size(); ++i) {
      if (!(words_[i] == other.words_[i]) &&
          !(is_nan(to_float(words_[i])) && is_nan(to_float(other.words_[i])))) {
        return false;
      }
    }
    return true;
  }

  // Everything but elements [0, n) of the output rows.
  bool guards_survive(const Workspace& before, std::int64_t n) {
    Workspace masked = before;
    const Rows to = masked.rows(), from = rows();
    const auto count = static_cast<std::size_t>(n);
    std::memcpy(to.x, from.x, count * sizeof(float));
    std::memcpy(to.y, from.y, count * sizeof(float));
    std::memcpy(to.z, from.z, count * sizeof(float));
    std::memcpy(to.out_words, from.out_words, count * sizeof(bf16));
    return std::memcmp(masked.floats_.data(), floats_.data(), floats_.size() * sizeof(float)) ==
               0 &&
           std::memcmp(masked.words_.data(), words_.data(), words_.size() * sizeof(bf16)) == 0;
  }

 private:
  static bool is_nan(float value) {
    return (std::bit_cast<std::uint32_t>(value) & 0x7FFFFFFFu) > 0x7F800000u;
  }
  static bool same(float a, float b) {
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) ||
           (is_nan(a) && is_nan(b));
  }

  float* f32(std::size_t row) {
    return floats_.data() + row * size_ + kGuard / 2 + (offset_ * (2 * row + 1) + row) % 16;
  }
  bf16* bf(std::size_t row) {
    return words_.data() + row * size_ + kGuard / 2 + (offset_ * (2 * row + 1) + row) % 16;
  }

  std::size_t size_;
  std::vector<float> floats_;
  std::vector<bf16> words_;
  std::size_t offset_;
};

class VectorKernelsIsaTest : public testing::TestWithParam<Isa> {
 protected:
  void expect_scalar_bits(std::int64_t n, std::size_t offset, Values values, Rng& rng) {
    const VectorKernels& kernels = kernel_table(GetParam()).vector;
    const Workspace input(n, offset, values, rng);
    for (const Case& test : kCases) {
      if (n < test.min_n) continue;
      Workspace expected = input, actual = input;
      {
        const FlushDenormals flush;
        test.run(scalar_, n, expected.rows());
        test.run(kernels, n, actual.rows());
      }
      ASSERT_TRUE(actual.equals(expected)) << test.name << " n " << n << " offset " << offset
                                           << " values " << static_cast<int>(values);
      ASSERT_TRUE(actual.guards_survive(input, std::max<std::int64_t>(n, 1))) << test.name;
    }
  }

  const VectorKernels& scalar_ = kernel_table(Isa::scalar).vector;
};

INSTANTIATE_TEST_SUITE_P(Isas, VectorKernelsIsaTest, testing::ValuesIn(supported_isas()),
                         [](const auto& param) { return std::string(name_of(param.param)); });

TEST_P(VectorKernelsIsaTest, MatchesScalarAtEveryLengthAndMisalignment) {
  Rng rng(11);
  for (std::int64_t n = 0; n <= 67; ++n) {
    for (std::size_t offset = 0; offset < 16; ++offset) {
      for (Values values : {Values::ordinary, Values::wide, Values::special}) {
        expect_scalar_bits(n, offset, values, rng);
      }
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(VectorKernelsIsaTest, MatchesScalarOnLongRows) {
  Rng rng(12);
  for (std::int64_t n : {1000, 4096, 32771}) {
    expect_scalar_bits(n, 5, Values::ordinary, rng);
    expect_scalar_bits(n, 7, Values::wide, rng);
    expect_scalar_bits(n, 9, Values::special, rng);
    if (HasFatalFailure()) return;
  }
}

TEST_P(VectorKernelsIsaTest, TouchesItsRowsAlone) {
  using guarded_test::Edge, guarded_test::GuardedArray;
  const FlushDenormals flush;
  for (const Edge edge : {Edge::begin, Edge::end}) {
    for (std::int64_t n = 0; n <= 67; ++n) {
      const std::int64_t outputs = std::max<std::int64_t>(n, 1);  // a sum is written there, too
      const GuardedArray<float> a(n, edge), b(n, edge), c(n, edge);
      const GuardedArray<bf16> words(n, edge);
      GuardedArray<float> x(outputs, edge), y(outputs, edge), z(outputs, edge);
      GuardedArray<bf16> out_words(outputs, edge);
      const Rows rows{a.data(), b.data(), c.data(), words.data(),
                      x.data(), y.data(), z.data(), out_words.data()};
      for (const Case& test : kCases) {
        if (n < test.min_n) continue;
        EXPECT_TRUE(guarded_test::stays_inside([&] {
          test.run(kernel_table(GetParam()).vector, n, rows);
        })) << test.name
            << " n " << n;
      }
    }
  }
}

// The order of a sum is that of 16 lanes and a tree, whatever the set: spelled out here a second
// time.
TEST_P(VectorKernelsIsaTest, SumsInTheSpecifiedOrder) {
  Rng rng(13);
  const FlushDenormals flush;
  for (std::int64_t n : {1, 15, 16, 17, 100, 1023}) {
    std::vector<float> a(static_cast<std::size_t>(n)), b(a.size());
    for (float& value : a) value = rng.normal();
    for (float& value : b) value = rng.normal();
    float sums[16] = {}, dots[16] = {};
    for (std::size_t i = 0; i < a.size(); ++i) {
      sums[i % 16] += a[i];
      dots[i % 16] = std::fma(a[i], b[i], dots[i % 16]);
    }
    for (std::size_t half : {8u, 4u, 2u, 1u}) {
      for (std::size_t l = 0; l < half; ++l) {
        sums[l] += sums[l + half];
        dots[l] += dots[l + half];
      }
    }
    const VectorKernels& kernels = kernel_table(GetParam()).vector;
    EXPECT_EQ(kernels.sum(n, a.data()), sums[0]);
    EXPECT_EQ(kernels.dot(n, a.data(), b.data()), dots[0]);
  }
}

TEST_P(VectorKernelsIsaTest, FlushesDenormals) {
  const VectorKernels& kernels = kernel_table(GetParam()).vector;
  const FlushDenormals flush;
  const std::vector<float> denormal(20, 0x1p-130f), tiny(20, 0x1p-126f);
  std::vector<float> out(20, 7.0f);
  const std::vector<float> zeros(20, 0.0f);
  kernels.scale(20, 0x1p100f, denormal.data(), out.data());
  EXPECT_EQ(out, zeros);
  out.assign(20, 0.0f);
  kernels.multiply_add(20, 0.5f, tiny.data(), out.data());
  EXPECT_EQ(out, zeros);
  EXPECT_EQ(kernels.dot(20, tiny.data(), tiny.data()), 0.0f);
  EXPECT_EQ(kernels.sum_of_squares(20, denormal.data()), 0.0);
}

}  // namespace
}  // namespace r1
