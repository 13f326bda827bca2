#include "engine/throughput.h"

#include <algorithm>
#include <chrono>

#include "backend/gemm_yardsticks.h"
#include "base/error.h"
#include "base/rng.h"
#include "engine/engine.h"

namespace r1 {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  R1_CHECK(!values.empty(), "no values");
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// A loop that reads, on all threads, memory far larger than the caches.
class ReadLoop {
 public:
  explicit ReadLoop(Backend& backend)
      : backend_(backend), memory_(kBytes), sums_(static_cast<std::size_t>(kPieces)) {}

  double bytes_per_second() {
    const GemmYardsticks& yardsticks = gemm_yardsticks(backend_.isa());
    const auto start = Clock::now();
    backend_.parallel_for(kPieces, [&](std::int64_t piece) {
      sums_[static_cast<std::size_t>(piece)] =
          yardsticks.read(memory_.data() + piece * kPieceBytes, kPieceBytes);
    });
    return static_cast<double>(kBytes) / seconds_since(start);
  }

 private:
  static constexpr std::int64_t kPieces = 64, kPieceBytes = 4 << 20;
  static constexpr std::size_t kBytes = kPieces * kPieceBytes;
  Backend& backend_;
  AlignedBuffer<std::byte> memory_;
  std::vector<float> sums_;
};

class Meter {
 public:
  Meter(Backend& backend, Model& model, const ThroughputTest& test, std::int64_t repetition,
        KvStorage kv_storage)
      : test_(test),
        vocabulary_(model.config().vocab_size),
        random_(7, 0, static_cast<std::uint32_t>(repetition)),
        kv_storage_(kv_storage),
        engine_(backend, model, options()) {}

  // Seconds of the prompt; of each decoding step.
  double prefill() {
    run(random_ids(test_.tokens), 1);  // memory that is touched for the first time is slow
    const std::vector<std::int32_t> context = random_ids(test_.depth);
    if (!context.empty()) run(context, 1);
    std::vector<std::int32_t> prompt = context;
    const std::vector<std::int32_t> more = random_ids(test_.tokens);
    prompt.insert(prompt.end(), more.begin(), more.end());
    const auto start = Clock::now();
    run(prompt, 1);
    return seconds_since(start);
  }

  std::vector<double> decode(const std::function<void()>& between) {
    const std::vector<std::int32_t> context = random_ids(test_.depth);
    if (!context.empty()) run(context, 1);
    for (std::int64_t s = 0; s < test_.sequences; ++s) {
      std::vector<std::int32_t> prompt = context;
      prompt.push_back(random_id());
      engine_.submit(request(std::move(prompt), test_.tokens + 1));
    }
    // The first step reads the prompts' ends.
    std::size_t started = 0;
    while (started < static_cast<std::size_t>(test_.sequences)) started += engine_.step().size();
    std::vector<double> seconds;
    for (std::int64_t t = 0; t < test_.tokens && !engine_.idle(); ++t) {
      const auto start = Clock::now();
      engine_.step();
      seconds.push_back(seconds_since(start));
      between();
    }
    return seconds;
  }

 private:
  EngineOptions options() const {
    const std::int64_t tokens = test_.depth + test_.sequences * (test_.tokens + 2);
    return {.pages = 3 * (tokens / kPageTokens + test_.sequences + 2),
            .max_sequences = test_.sequences,
            .kv_storage = kv_storage_};
  }
  std::int32_t random_id() {
    return static_cast<std::int32_t>(random_.next_u32() % static_cast<std::uint32_t>(vocabulary_));
  }
  std::vector<std::int32_t> random_ids(std::int64_t count) {
    std::vector<std::int32_t> ids(static_cast<std::size_t>(count));
    for (std::int32_t& id : ids) id = random_id();
    return ids;
  }
  static Request request(std::vector<std::int32_t> prompt, std::int64_t tokens) {
    Request request;
    request.prompt = std::move(prompt);
    request.max_tokens = tokens;
    request.sampling.temperature = 0.0f;
    return request;
  }
  void run(const std::vector<std::int32_t>& prompt, std::int64_t tokens) {
    const Request one[] = {request(prompt, tokens)};
    engine_.generate(one);
  }

  const ThroughputTest test_;
  std::int64_t vocabulary_;
  Rng random_;
  KvStorage kv_storage_;
  Engine engine_;
};

}  // namespace

std::string ThroughputTest::name() const {
  std::string name = fmt::format("{}{}", kind == Kind::prefill ? "pp" : "tg", tokens);
  if (depth > 0) name += fmt::format(" @ d{}", depth);
  if (sequences > 1) name += fmt::format(" x {}", sequences);
  return name;
}

std::vector<ThroughputResult> measure_throughput(
    Backend& backend, Model& model, const std::vector<ThroughputTest>& tests,
    const ThroughputOptions& options, const std::function<void(const ThroughputResult&)>& done) {
  constexpr std::size_t kStepsPerRead = 4;
  std::vector<ThroughputResult> results;
  ReadLoop reads(backend);
  for (const ThroughputTest& test : tests) {
    std::vector<double> rates, shares;
    double best = 0;
    for (std::int64_t repetition = 0; repetition < options.repetitions; ++repetition) {
      Meter meter(backend, model, test, repetition, options.kv_storage);
      if (test.kind == ThroughputTest::Kind::prefill) {
        rates.push_back(static_cast<double>(test.tokens) / meter.prefill());
      } else {
        std::vector<double> limits;
        std::size_t step = 0;
        const std::vector<double> seconds = meter.decode([&] {
          if (options.bytes_per_step > 0 && step++ % kStepsPerRead == 0) {
            limits.push_back(reads.bytes_per_second());
          }
        });
        const double typical = median(seconds);
        rates.push_back(static_cast<double>(test.sequences) / typical);
        if (!limits.empty()) {
          shares.push_back(options.bytes_per_step / typical / median(limits));
        }
      }
      best = std::max(best, rates.back());
    }
    results.push_back({test, median(rates), best, shares.empty() ? 0.0 : median(shares)});
    done(results.back());
  }
  return results;
}

}  // namespace r1
