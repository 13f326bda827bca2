#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "eval/needle.h"
#include "plot/heat_map.h"

namespace r1::eval {
namespace {

using nlohmann::ordered_json;

// 4096 as "4K".
std::string short_length(std::int64_t length) {
  return length % 1024 == 0 ? fmt::format("{}K", length / 1024) : fmt::format("{}", length);
}

std::string depth_label(double depth) { return fmt::format("{:g}%", 100.0 * depth); }

}  // namespace

std::string to_table(const NeedleEvaluation& evaluation, const NeedleOptions& options) {
  std::string table = fmt::format("{:>8}", "length");
  for (const double depth : evaluation.depths) table += fmt::format(" {:>7}", depth_label(depth));
  table += fmt::format(" {:>7}  {:>10}\n", "all", "s per text");
  for (std::size_t l = 0; l < evaluation.lengths.size(); ++l) {
    table += fmt::format("{:>8}", evaluation.lengths[l]);
    NeedleCell all;
    for (std::size_t d = 0; d < evaluation.depths.size(); ++d) {
      const NeedleCell& cell = evaluation.cell(l, d);
      table += fmt::format(" {:>7.1f}", 100.0 * cell.recall());
      all.asked += cell.asked;
      all.found += cell.found;
    }
    table += fmt::format(" {:>7.1f}  {:>10.2f}\n", 100.0 * all.recall(), evaluation.seconds[l]);
  }
  table += fmt::format(
      "% of the facts found, by their depth; {} texts of each length and depth; temperature {:g}, "
      "seed {}\n",
      options.samples, options.sampling.temperature, options.sampling.seed);
  return table;
}

std::string to_json(const NeedleEvaluation& evaluation, const NeedleOptions& options,
                    const reasoning::ReasoningModel& model) {
  ordered_json cells = ordered_json::array();
  for (const NeedleCell& cell : evaluation.cells) {
    cells.push_back({{"length", cell.length},
                     {"depth", cell.depth},
                     {"asked", cell.asked},
                     {"found", cell.found},
                     {"recall", cell.recall()}});
  }
  const ordered_json document = {{"model", model.directory.string()},
                                 {"prompt_template", model.form.name()},
                                 {"split", "held-out"},
                                 {"samples_per_cell", options.samples},
                                 {"max_tokens", options.max_tokens},
                                 {"temperature", options.sampling.temperature},
                                 {"seed", options.sampling.seed},
                                 {"lengths", evaluation.lengths},
                                 {"depths", evaluation.depths},
                                 {"cells", std::move(cells)},
                                 {"seconds_per_text", evaluation.seconds}};
  return document.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::string to_svg(const NeedleEvaluation& evaluation) {
  plot::HeatMap map{"Facts found in long texts (per cent)",
                    "length of the text in tokens",
                    "depth of the fact",
                    {},
                    {},
                    {}};
  for (const std::int64_t length : evaluation.lengths) map.columns.push_back(short_length(length));
  for (std::size_t d = 0; d < evaluation.depths.size(); ++d) {
    map.rows.push_back(depth_label(evaluation.depths[d]));
    std::vector<double>& row = map.values.emplace_back();
    for (std::size_t l = 0; l < evaluation.lengths.size(); ++l) {
      row.push_back(evaluation.cell(l, d).recall());
    }
  }
  return plot::svg_heat_map(map);
}

}  // namespace r1::eval
