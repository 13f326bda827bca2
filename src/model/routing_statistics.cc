#include "model/routing_statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace r1 {

double LayerRouting::imbalance() const {
  const auto total = std::accumulate(load.begin(), load.end(), std::int64_t{0});
  if (total == 0) return 0.0;
  return static_cast<double>(std::ranges::max(load)) * static_cast<double>(load.size()) /
         static_cast<double>(total);
}

double LayerRouting::evenness() const {
  const auto total =
      static_cast<double>(std::accumulate(load.begin(), load.end(), std::int64_t{0}));
  if (total == 0.0 || load.size() < 2) return 0.0;
  double entropy = 0.0;
  for (const std::int64_t tokens_of_expert : load) {
    const double share = static_cast<double>(tokens_of_expert) / total;
    if (share > 0.0) entropy -= share * std::log(share);
  }
  return entropy / std::log(static_cast<double>(load.size()));
}

std::int64_t LayerRouting::unused() const { return std::ranges::count(load, 0); }

std::vector<std::int64_t> LayerRouting::busiest(std::int64_t count) const {
  std::vector<std::int64_t> order(load.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::greater<>(), [this](std::int64_t expert) {
    return load[static_cast<std::size_t>(expert)];
  });
  order.resize(std::min(order.size(), static_cast<std::size_t>(count)));
  return order;
}

std::vector<LayerRouting> measure_routing(Backend& backend, Model& model,
                                          std::span<const std::int32_t> ids) {
  constexpr std::size_t kChunk = 512;
  const ModelConfig& config = model.config();
  if (ids.empty()) throw Error("text", "it is empty", "routing is measured on a text");
  if (std::ssize(ids) > config.max_position_embeddings) {
    throw Error("text", fmt::format("{} tokens are more than the context of {}", ids.size(),
                                    config.max_position_embeddings));
  }
  std::vector<std::int32_t> pages((ids.size() + kPageTokens - 1) / kPageTokens);
  std::iota(pages.begin(), pages.end(), 0);
  KvCache cache(config.num_hidden_layers, config.kv_row_size(), model.precision(),
                std::ssize(pages));
  std::vector<LayerRouting> layers;
  Arena arena;
  for (std::size_t start = 0; start < ids.size(); start += kChunk) {
    Batch batch;
    batch.cache = &cache;
    const std::size_t count = std::min(kChunk, ids.size() - start);
    batch.append(ids.subspan(start, count), static_cast<std::int64_t>(start), pages);
    ForwardTrace trace;
    arena.reset();
    ForwardOptions options;
    options.trace = &trace;
    model.forward({backend, arena, model.precision(), nullptr}, batch, options);
    if (layers.empty()) layers.resize(trace.routing.size());
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const ForwardTrace::LayerRouting& routed = trace.routing[i];
      layers[i].layer = routed.layer;
      layers[i].tokens += static_cast<std::int64_t>(count);
      layers[i].load.resize(routed.load.size());
      for (std::size_t e = 0; e < routed.load.size(); ++e) layers[i].load[e] += routed.load[e];
    }
  }
  return layers;
}

}  // namespace r1
