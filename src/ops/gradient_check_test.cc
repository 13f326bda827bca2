#include "ops/gradient_check.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <set>

#include "ops/registry.h"

namespace r1::gradient_check {

std::vector<OpCase>& op_cases() {
  static std::vector<OpCase> cases;
  return cases;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

void poison(Arena& arena) {
  constexpr std::int64_t kCount = std::int64_t{1} << 20;
  std::fill_n(arena.allocate(kCount), kCount, std::numeric_limits<float>::quiet_NaN());
  arena.reset();
}

namespace {

// Elements of a tensor whose gradient is checked; all of them if there are no more.
constexpr std::size_t kProbes = 48;

std::vector<float> input_values(const OpCase& op_case, std::size_t index) {
  const Input& input = op_case.inputs[index];
  std::vector<float> values =
      random_floats(input.shape.count(), static_cast<std::uint32_t>(1000 + index));
  if (input.positive) {
    for (float& value : values) value = std::exp(0.5f * value);
  }
  return values;
}

std::vector<float> seeds(std::int64_t count) { return random_floats(count, 2000); }

std::vector<float> copy_of(const float* data, std::int64_t count) {
  return data == nullptr ? std::vector<float>() : std::vector<float>(data, data + count);
}

}  // namespace

Result run_case(const OpCase& op_case, const RunOptions& options) {
  Backend backend(options.threads, options.isa);
  Arena arena;
  poison(arena);
  Tape tape(arena);
  const ForwardContext ctx{backend, arena, options.precision, options.train ? &tape : nullptr};
  Op op = op_case.make();
  if (op.refresh) op.refresh(backend, options.precision);
  if (!options.weight_gradients) {
    for (Weight* weight : op.weights) weight->gradient = {};
  }
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < op_case.inputs.size(); ++i) {
    Tensor input = ctx.make_constant(op_case.inputs[i].shape);
    const std::vector<float> values = input_values(op_case, i);
    std::copy(values.begin(), values.end(), input.data);
    if (options.train && options.input_gradients) tape.watch(input);
    inputs.push_back(input);
  }
  Result run;
  for (int use = 0; use < options.uses; ++use) {
    const Tensor out = op.forward(ctx, inputs);
    run.shape = out.shape;
    run.output = copy_of(out.data, out.shape.count());
    if (!options.train) continue;
    const std::vector<float> seed = seeds(out.shape.count());
    std::copy(seed.begin(), seed.end(), tape.gradient(out));
  }
  if (!options.train) return run;
  tape.backward();
  for (const Tensor& input : inputs) {
    run.input_gradients.push_back(copy_of(tape.gradient(input), input.shape.count()));
  }
  for (Weight* weight : op.weights) {
    run.weight_gradients.push_back(
        copy_of(weight->gradient.data(), static_cast<std::int64_t>(weight->gradient.size())));
  }
  return run;
}

namespace {

void expect_same(const Result& a, const Result& b) {
  EXPECT_TRUE(same_bits(a.output, b.output));
  ASSERT_EQ(a.input_gradients.size(), b.input_gradients.size());
  for (std::size_t i = 0; i < a.input_gradients.size(); ++i) {
    EXPECT_TRUE(same_bits(a.input_gradients[i], b.input_gradients[i])) << "input " << i;
  }
  ASSERT_EQ(a.weight_gradients.size(), b.weight_gradients.size());
  for (std::size_t i = 0; i < a.weight_gradients.size(); ++i) {
    EXPECT_TRUE(same_bits(a.weight_gradients[i], b.weight_gradients[i])) << "weight " << i;
  }
}

// A case in double precision: values of inputs, then of weights, and the seeded sum of outputs.
class Reference {
 public:
  explicit Reference(const OpCase& op_case) : op_(op_case.make()) {
    for (std::size_t i = 0; i < op_case.inputs.size(); ++i) {
      const std::vector<float> values = input_values(op_case, i);
      inputs_.emplace_back(values.begin(), values.end());
    }
    for (const Weight* weight : op_.weights) {
      weights_.emplace_back(weight->value.begin(), weight->value.end());
    }
  }
  std::size_t inputs() const { return inputs_.size(); }
  std::size_t tensors() const { return inputs_.size() + weights_.size(); }
  Values& values(std::size_t tensor) {
    return tensor < inputs() ? inputs_[tensor] : weights_[tensor - inputs()];
  }
  Values output(Precision precision) const { return op_.reference(inputs_, weights_, precision); }
  double loss() const {
    const Values out = output(Precision::f32);
    const std::vector<float> seed = seeds(static_cast<std::int64_t>(out.size()));
    double sum = 0;
    for (std::size_t i = 0; i < out.size(); ++i) sum += static_cast<double>(seed[i]) * out[i];
    return sum;
  }
  // Central difference of the loss by one element.
  double slope(std::size_t tensor, std::size_t element) {
    constexpr double kStep = 1e-5;
    double& value = values(tensor)[element];
    const double saved = value;
    value = saved + kStep;
    const double above = loss();
    value = saved - kStep;
    const double below = loss();
    value = saved;
    return (above - below) / (2 * kStep);
  }

 private:
  Op op_;
  std::vector<Values> inputs_, weights_;
};

std::vector<std::size_t> probes(std::size_t count) {
  std::vector<std::size_t> chosen;
  Rng rng(11, static_cast<std::uint32_t>(count));
  for (std::size_t i = 0; i < std::min(count, kProbes); ++i) {
    chosen.push_back(count <= kProbes ? i : rng.below(static_cast<std::uint32_t>(count)));
  }
  return chosen;
}

const std::vector<float>& gradient_of(const Result& run, std::size_t tensor) {
  const std::size_t inputs = run.input_gradients.size();
  return tensor < inputs ? run.input_gradients[tensor] : run.weight_gradients[tensor - inputs];
}

class OpCases : public testing::TestWithParam<OpCase> {
 protected:
  void expect_output(Precision precision, double tolerance) {
    const Result run = run_case(GetParam(), {.precision = precision});
    const Values expected = Reference(GetParam()).output(precision);
    ASSERT_EQ(run.output.size(), expected.size());
    double largest = 1e-3;
    for (double value : expected) largest = std::max(largest, std::abs(value));
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(run.output[i], expected[i], tolerance * largest) << "element " << i;
    }
  }
};

// Sums of the cases have at most a few hundred terms: 1e-5 is 100 roundings of f32.
TEST_P(OpCases, OutputIsTheFormula) { expect_output(Precision::f32, 1e-5); }

TEST_P(OpCases, OutputInBf16IsTheFormulaOfRoundedFactors) {
  expect_output(Precision::bf16, GetParam().bf16_tolerance);
}

TEST_P(OpCases, GradientsAreFiniteDifferences) {
  Reference reference(GetParam());
  const Result run = run_case(GetParam(), {});
  const Result twice = run_case(GetParam(), {.uses = 2});
  for (std::size_t tensor = 0; tensor < reference.tensors(); ++tensor) {
    const std::vector<float>& gradient = gradient_of(run, tensor);
    ASSERT_EQ(gradient.size(), reference.values(tensor).size());
    double largest = 1e-2;
    for (float value : gradient) largest = std::max(largest, std::abs(static_cast<double>(value)));
    for (std::size_t element : probes(gradient.size())) {
      const double slope = reference.slope(tensor, element);
      EXPECT_NEAR(gradient[element], slope, 2e-5 * largest)
          << "tensor " << tensor << " element " << element;
      // The accumulation rule: a second use adds as much again.
      EXPECT_NEAR(gradient_of(twice, tensor)[element], 2 * slope, 4e-5 * largest)
          << "used twice, tensor " << tensor << " element " << element;
    }
  }
}

// Three rounded products in a row leave each term off by a few parts in 2^9; sums average that out.
TEST_P(OpCases, GradientsInBf16AreClose) {
  Reference reference(GetParam());
  const Result run = run_case(GetParam(), {.precision = Precision::bf16});
  for (std::size_t tensor = 0; tensor < reference.tensors(); ++tensor) {
    const std::vector<float>& gradient = gradient_of(run, tensor);
    double error = 0, norm = 1e-6;
    for (std::size_t element : probes(gradient.size())) {
      const double slope = reference.slope(tensor, element);
      error += (gradient[element] - slope) * (gradient[element] - slope);
      norm += slope * slope;
    }
    EXPECT_LE(std::sqrt(error / norm), 0.02) << "tensor " << tensor;
  }
}

TEST_P(OpCases, BitsDependOnNeitherInstructionSetNorThreads) {
  for (Precision precision : {Precision::f32, Precision::bf16}) {
    const Result expected = run_case(GetParam(), {.precision = precision});
    for (Isa isa : supported_isas()) {
      for (int threads : {1, 2, 3}) {
        SCOPED_TRACE(fmt::format("{} with {} threads", name_of(isa), threads));
        expect_same(run_case(GetParam(), {.isa = isa, .threads = threads, .precision = precision}),
                    expected);
      }
    }
  }
}

TEST_P(OpCases, UnwantedGradientsChangeNoOther) {
  const Result expected = run_case(GetParam(), {});
  const Result inference = run_case(GetParam(), {.train = false});
  EXPECT_TRUE(same_bits(inference.output, expected.output)) << "without a tape";
  const Result constants = run_case(GetParam(), {.input_gradients = false});
  for (std::size_t i = 0; i < expected.weight_gradients.size(); ++i) {
    EXPECT_TRUE(same_bits(constants.weight_gradients[i], expected.weight_gradients[i]));
  }
  const Result frozen = run_case(GetParam(), {.weight_gradients = false});
  for (std::size_t i = 0; i < expected.input_gradients.size(); ++i) {
    EXPECT_TRUE(same_bits(frozen.input_gradients[i], expected.input_gradients[i]));
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, OpCases, testing::ValuesIn(op_cases()),
                         [](const auto& test) { return test.param.op + "_" + test.param.variant; });

TEST(Registry, EveryOpHasACase) {
  std::set<std::string, std::less<>> checked;
  for (const OpCase& op_case : op_cases()) checked.insert(op_case.op);
  for (const OpInfo& op : registered_ops()) {
    if (op.no_gradient.empty()) {
      EXPECT_EQ(checked.count(op.name), 1u) << op.name << " has no case";
    } else {
      std::printf("without a gradient: %.*s (%.*s)\n", static_cast<int>(op.name.size()),
                  op.name.data(), static_cast<int>(op.no_gradient.size()), op.no_gradient.data());
    }
  }
  for (const std::string& name : checked) {
    const std::span<const OpInfo> ops = registered_ops();
    EXPECT_TRUE(std::ranges::any_of(ops, [&](const OpInfo& op) { return op.name == name; }))
        << name << " is not registered";
  }
}

}  // namespace
}  // namespace r1::gradient_check
