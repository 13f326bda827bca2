#pragma once

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "ops/ops.h"

// For tests only: cases that gradient_check_test.cc runs against a reference in double precision,
// by finite differences, over all instruction sets and several thread counts. Each op's test file
// declares its cases; a registered op without one fails the tests.
namespace r1::gradient_check {

using Values = std::vector<double>;

// An op ready to run, with the weights that it owns.
struct Op {
  std::vector<Weight*> weights;
  std::function<void(Backend&, Precision)> refresh;  // may be empty
  std::function<Tensor(const ForwardContext&, std::span<const Tensor> inputs)> forward;
  // The plain formula in double precision. In bf16 it rounds what enters a product or the cache.
  std::function<Values(std::span<const Values> inputs, std::span<const Values> weights,
                       Precision precision)>
      reference;
};

struct Input {
  Shape shape;
  bool positive = false;  // normal numbers unless so
};

struct OpCase {
  std::string op;  // as in the registry
  std::string variant;
  std::vector<Input> inputs;
  std::function<Op()> make;
  // Of the largest output in bf16; more than rounding of sums where products follow each other,
  // because what lies between may round to either neighbour.
  double bf16_tolerance = 1e-5;
};

std::vector<OpCase>& op_cases();

// Declares a case before main() runs.
struct Declare {
  explicit Declare(OpCase op_case) { op_cases().push_back(std::move(op_case)); }
};

// --- building blocks of cases

inline std::vector<float> random_floats(std::int64_t count, std::uint32_t stream,
                                        double deviation = 1.0) {
  Rng rng(7, stream);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = static_cast<float>(rng.normal() * deviation);
  return values;
}

// A weight of normal numbers, with a zero gradient.
inline Weight random_weight(Shape shape, std::uint32_t stream, double deviation = 0.5) {
  Weight weight{.name = "weight", .shape = shape, .value = {}, .gradient = {}};
  const auto count = static_cast<std::size_t>(shape.count());
  weight.value = AlignedBuffer<float>(count);
  weight.gradient = AlignedBuffer<float>(count);
  const std::vector<float> values = random_floats(shape.count(), stream, deviation);
  std::copy(values.begin(), values.end(), weight.value.begin());
  return weight;
}

inline LinearWeight random_linear(std::int64_t out, std::int64_t in, std::uint32_t stream) {
  LinearWeight linear;
  linear.weight = random_weight({out, in}, stream);
  return linear;
}

inline double rounded(double value, Precision precision) {
  const float single = static_cast<float>(value);
  return precision == Precision::bf16 ? static_cast<double>(to_float(round_to_bf16(single)))
                                      : value;
}

inline std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }

// x [rows, k] times W^T for w [n, k], both rounded as the precision asks.
inline Values product(const Values& x, const double* w, std::int64_t rows, std::int64_t n,
                      std::int64_t k, Precision precision) {
  Values out(size(rows * n));
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < n; ++c) {
      double sum = 0;
      for (std::int64_t i = 0; i < k; ++i) {
        sum += rounded(x[size(r * k + i)], precision) * rounded(w[c * k + i], precision);
      }
      out[size(r * n + c)] = sum;
    }
  }
  return out;
}

inline double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// --- running a case

// Everything a run produced: the output, then the gradients of inputs and weights.
struct Result {
  Shape shape;
  std::vector<float> output;
  std::vector<std::vector<float>> input_gradients, weight_gradients;
};

struct RunOptions {
  Isa isa = Isa::scalar;
  int threads = 1;
  Precision precision = Precision::f32;
  bool train = true;  // with a tape
  int uses = 1;       // how often the op is applied to the same inputs, outputs all seeded
  bool input_gradients = true;
  bool weight_gradients = true;
};

Result run_case(const OpCase& op_case, const RunOptions& options);

// The same bits, gradients included.
bool same_bits(const std::vector<float>& a, const std::vector<float>& b);

// Scratch that ops must not read before writing: an arena full of NaN.
void poison(Arena& arena);

}  // namespace r1::gradient_check
