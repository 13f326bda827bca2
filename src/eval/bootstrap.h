#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace r1::eval {

struct Interval {
  double value = 0.0;            // of the sample itself
  double low = 0.0, high = 0.0;  // of the confidence interval
};

struct BootstrapOptions {
  double confidence = 0.95;
  std::int64_t resamples = 2000;
  std::uint64_t seed = 0;
};

// The mean of the strata's means, each stratum counting the same, with its percentile bootstrap
// interval (Efron and Tibshirani 1993, section 13.3): every stratum is drawn anew from itself, as
// often as it has values. The same options give the same interval. Strata must not be empty.
Interval bootstrap_mean(std::span<const std::vector<double>> strata,
                        const BootstrapOptions& options = {});

}  // namespace r1::eval
