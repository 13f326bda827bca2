// The model against fixtures computed by the official implementations: every fixture of a known
// architecture in R1_GOLDEN_DIR (default ../shared/golden), and the small ones carried in
// tests/data/golden.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "formats/safetensors.h"
#include "model/model.h"

namespace r1 {
namespace {

namespace fs = std::filesystem;

constexpr float kLogitTolerance = 2e-4f;
constexpr float kHiddenTolerance = 2e-4f;
constexpr float kCacheTolerance = 1e-4f;

std::vector<fs::path> fixtures() {
  std::map<std::string, fs::path> found;  // by name: those carried here give way to the given ones
  const char* directory = std::getenv("R1_GOLDEN_DIR");
  for (const fs::path& root : {fs::path("tests/data/golden"),
                               fs::path(directory != nullptr ? directory : "../shared/golden")}) {
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(root, error)) {
      const fs::path config = entry.path() / "config.json";
      if (!fs::exists(config) || !fs::exists(entry.path() / "golden.safetensors")) continue;
      const auto type = nlohmann::json::parse(std::ifstream(config)).value("model_type", "");
      static constexpr std::string_view kKnown[] = {"deepseek_v3", "deepseek_v2", "qwen2", "qwen3",
                                                    "llama"};
      if (std::ranges::find(kKnown, type) == std::end(kKnown)) continue;
      found[entry.path().filename().string()] = entry.path();
    }
  }
  std::vector<fs::path> paths;
  for (const auto& [name, path] : found) paths.push_back(path);
  return paths;
}

// One fixture, with the names of its golden tensors behind an optional prefix.
class Golden {
 public:
  explicit Golden(const fs::path& path)
      : path_(path), file_(SafetensorsFile::open(path / "golden.safetensors")) {
    if (file_.has("dequant_f32.prompt0.input_ids")) {
      ids_prefix_ = values_prefix_ = "dequant_f32.";
    }
  }
  bool has(const std::string& name) const { return file_.has(values_prefix_ + name); }
  std::vector<float> values(const std::string& name) const {
    const AlignedBuffer<float> buffer = load_f32(file_.at(values_prefix_ + name));
    return {buffer.begin(), buffer.end()};
  }
  std::vector<std::int32_t> ids(const std::string& name) const {
    const std::vector<std::int64_t> wide = load_i64(file_.at(ids_prefix_ + name));
    return {wide.begin(), wide.end()};
  }
  std::vector<std::int64_t> shape(const std::string& name) const {
    return file_.at(ids_prefix_ + name).shape;
  }
  nlohmann::json facts() const {
    return nlohmann::json::parse(std::ifstream(path_ / "golden.json"));
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  SafetensorsFile file_;
  std::string ids_prefix_, values_prefix_;
};

void expect_near(std::span<const float> found, std::span<const float> wanted, float tolerance,
                 const std::string& what) {
  ASSERT_EQ(found.size(), wanted.size()) << what;
  float worst = 0.0f;
  std::size_t where = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const float difference = std::abs(found[i] - wanted[i]);
    // Not `difference > worst`: a NaN must not pass.
    if (!(difference <= worst)) worst = difference, where = i;
  }
  EXPECT_LE(worst, tolerance) << what << " at " << where << ": " << found[where] << " instead of "
                              << wanted[where];
}

class GoldenTest : public testing::TestWithParam<Isa> {
 protected:
  Backend backend_{2, GetParam()};
};

TEST_P(GoldenTest, ForwardMatchesTheOfficialCode) {
  const std::vector<fs::path> paths = fixtures();
  ASSERT_FALSE(paths.empty());
  for (const fs::path& path : paths) {
    SCOPED_TRACE(path.string());
    const Golden golden(path);
    const auto model = Model::load(backend_, path, Precision::f32, false);
    const std::int64_t vocab = model->config().vocab_size;
    for (const std::string prompt : {"prompt0.", "prompt1.", "prompt2."}) {
      SCOPED_TRACE(prompt);
      const std::vector<std::int32_t> ids = golden.ids(prompt + "input_ids");
      const std::int64_t tokens = std::ssize(ids);
      Arena arena;
      const ForwardContext ctx{backend_, arena, Precision::f32, nullptr};
      Batch batch;
      batch.append(ids);
      ForwardTrace trace;
      trace.want_hidden = true;
      ForwardOptions options;
      options.trace = &trace;
      const Tensor states = model->forward(ctx, batch, options);
      const Tensor logits = linear(ctx, states, model->head());
      expect_near({logits.row(tokens - 1), static_cast<std::size_t>(vocab)},
                  golden.values(prompt + "last_logits"), kLogitTolerance, "last logits");
      if (golden.has(prompt + "all_logits")) {
        expect_near({logits.data, static_cast<std::size_t>(tokens * vocab)},
                    golden.values(prompt + "all_logits"), kLogitTolerance, "all logits");
      }
      if (golden.has(prompt + "next_logprobs")) {
        std::vector<std::int32_t> targets(ids.begin() + 1, ids.end());
        targets.push_back(kIgnoredLabel);
        const Tensor log_probs =
            token_log_probs(ctx, states, model->head(), targets, 1.0f, nullptr);
        expect_near({log_probs.data, static_cast<std::size_t>(tokens - 1)},
                    golden.values(prompt + "next_logprobs"), kLogitTolerance, "log-probs");
      }
      if (golden.has(prompt + "hidden")) {
        std::vector<float> hidden;
        for (const Tensor& state : trace.hidden) {
          hidden.insert(hidden.end(), state.data, state.data + state.shape.count());
        }
        expect_near(hidden, golden.values(prompt + "hidden"), kHiddenTolerance, "hidden states");
      }
      for (const ForwardTrace::LayerRouting& routing : trace.routing) {
        const std::string name = fmt::format("{}moe.{}.", prompt, routing.layer);
        if (!golden.has(name + "experts")) continue;
        const std::vector<std::int32_t> experts = golden.ids(name + "experts");
        const std::vector<float> weights = golden.values(name + "weights");
        const std::size_t k = experts.size() / static_cast<std::size_t>(tokens);
        for (std::size_t token = 0; token < static_cast<std::size_t>(tokens); ++token) {
          // Ours are in order of score, the fixture's in order of number.
          std::vector<std::pair<std::int32_t, float>> chosen;
          for (std::size_t slot = token * k; slot < (token + 1) * k; ++slot) {
            chosen.emplace_back(routing.experts[slot], routing.weights[slot]);
          }
          std::ranges::sort(chosen);
          for (std::size_t slot = 0; slot < k; ++slot) {
            EXPECT_EQ(chosen[slot].first, experts[token * k + slot]) << name << " token " << token;
            EXPECT_NEAR(chosen[slot].second, weights[token * k + slot], kHiddenTolerance) << name;
          }
        }
      }
    }
  }
}

TEST_P(GoldenTest, CachedDecodingMatchesTheFullForwardAndTheGreedyTokens) {
  for (const fs::path& path : fixtures()) {
    SCOPED_TRACE(path.string());
    const Golden golden(path);
    if (!golden.has("prompt0.greedy")) continue;
    const auto model = Model::load(backend_, path, Precision::f32, false);
    std::vector<std::int32_t> ids = golden.ids("prompt0.input_ids");
    const std::vector<std::int32_t> greedy = golden.ids("prompt0.greedy");
    KvCache cache(model->config().num_hidden_layers, model->config().kv_row_size(), Precision::f32,
                  3);
    const std::vector<std::int32_t> pages = {2, 0, 1};
    std::int64_t cached = 0;
    for (const std::int32_t wanted : greedy) {
      Arena arena;
      const ForwardContext ctx{backend_, arena, Precision::f32, nullptr};
      Batch step, whole;
      step.cache = &cache;
      step.append(std::span(ids).subspan(static_cast<std::size_t>(cached)), cached, pages);
      whole.append(ids);
      cached = std::ssize(ids);
      const Tensor logits = linear(ctx, model->forward(ctx, step), model->head());
      const Tensor full = linear(ctx, model->forward(ctx, whole), model->head());
      const std::size_t vocab = static_cast<std::size_t>(model->config().vocab_size);
      const std::span<const float> last(logits.row(logits.rows() - 1), vocab);
      expect_near(last, {full.row(full.rows() - 1), vocab}, kCacheTolerance, "cached logits");
      const std::int32_t best =
          static_cast<std::int32_t>(std::ranges::max_element(last) - last.begin());
      ASSERT_EQ(best, wanted) << "after " << ids.size() << " tokens";
      ids.push_back(best);
    }
  }
}

TEST_P(GoldenTest, EveryGradientMatchesTheOfficialCode) {
  int gradients = 0;
  for (const fs::path& path : fixtures()) {
    SCOPED_TRACE(path.string());
    const Golden golden(path);
    if (!golden.has("train.input_ids")) continue;
    const nlohmann::json facts = golden.facts();
    if (!facts.contains("train")) continue;
    for (const bool recompute : {false, true}) {
      const auto model = Model::load(backend_, path, Precision::f32, true);
      const std::vector<std::int32_t> ids = golden.ids("train.input_ids");
      const std::vector<std::int32_t> labels = golden.ids("train.labels");
      const std::size_t length = static_cast<std::size_t>(golden.shape("train.input_ids")[1]);

      Batch batch;
      std::vector<std::int32_t> targets;
      for (std::size_t first = 0; first < ids.size(); first += length) {
        batch.append(std::span(ids).subspan(first, length));
        targets.insert(targets.end(), labels.begin() + static_cast<std::ptrdiff_t>(first) + 1,
                       labels.begin() + static_cast<std::ptrdiff_t>(first + length));
        targets.push_back(kIgnoredLabel);
      }
      const double used = static_cast<double>(
          std::ranges::count_if(targets, [](std::int32_t id) { return id != kIgnoredLabel; }));
      Arena arena;
      Tape tape(arena);
      const ForwardContext ctx{backend_, arena, Precision::f32, &tape};
      ForwardOptions options;
      options.recompute_layers = recompute;
      const Tensor states = model->forward(ctx, batch, options);
      const Tensor log_probs = token_log_probs(ctx, states, model->head(), targets, 1.0f, nullptr);
      const std::vector<float> coefficients(targets.size(), static_cast<float>(-1.0 / used));
      const Tensor loss = weighted_sum(ctx, log_probs, coefficients);
      EXPECT_NEAR(*loss.data, facts["train"]["loss"].get<float>(), kLogitTolerance);
      *tape.gradient(loss) = 1.0f;
      tape.backward();
      model->collect_gradients();
      model->visit_weights([&](Weight& weight) {
        const std::string name = "grad." + weight.name;
        if (!weight.trainable) {
          EXPECT_FALSE(golden.has(name)) << name;
          return;
        }
        ASSERT_TRUE(golden.has(name)) << name;
        const std::vector<float> wanted = golden.values(name);
        float largest = 0.0f;
        for (const float value : wanted) largest = std::max(largest, std::abs(value));
        expect_near(weight.gradient.span(), wanted, 1e-4f + 1e-3f * largest, name);
        ++gradients;
      });
    }
  }
  EXPECT_GT(gradients, 0);
}

INSTANTIATE_TEST_SUITE_P(InstructionSets, GoldenTest, testing::ValuesIn(supported_isas()),
                         [](const auto& set) { return std::string(name_of(set.param)); });

}  // namespace
}  // namespace r1
