#include "eval/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/rng.h"

namespace r1::eval {
namespace {

// Linear between the order statistics; `sorted` is not empty.
double quantile(const std::vector<double>& sorted, double q) {
  const double place = q * static_cast<double>(sorted.size() - 1);
  const std::size_t below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], place - static_cast<double>(below));
}

}  // namespace

Interval bootstrap_mean(std::span<const std::vector<double>> strata,
                        const BootstrapOptions& options) {
  R1_CHECK(!strata.empty() && options.resamples > 0, "{} strata, {} resamples", strata.size(),
           options.resamples);
  R1_CHECK(options.confidence > 0.0 && options.confidence < 1.0, "confidence {}",
           options.confidence);
  const double count = static_cast<double>(strata.size());
  Interval interval;
  for (const std::vector<double>& values : strata) {
    R1_CHECK(!values.empty(), "an empty stratum");
    const double sum = std::accumulate(values.begin(), values.end(), 0.0);
    interval.value += sum / static_cast<double>(values.size()) / count;
  }

  std::vector<double> means(static_cast<std::size_t>(options.resamples));
  for (std::size_t resample = 0; resample < means.size(); ++resample) {
    for (std::size_t stratum = 0; stratum < strata.size(); ++stratum) {
      const std::vector<double>& values = strata[stratum];
      Rng rng(options.seed, static_cast<std::uint32_t>(stratum),
              static_cast<std::uint32_t>(resample));
      double sum = 0.0;
      for (std::size_t draw = 0; draw < values.size(); ++draw) {
        sum += values[rng.below(static_cast<std::uint32_t>(values.size()))];
      }
      means[resample] += sum / static_cast<double>(values.size()) / count;
    }
  }
  std::ranges::sort(means);
  const double tail = (1.0 - options.confidence) / 2.0;
  interval.low = quantile(means, tail);
  interval.high = quantile(means, 1.0 - tail);
  return interval;
}

}  // namespace r1::eval
