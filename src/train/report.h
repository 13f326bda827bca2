#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "plot/line_chart.h"
#include "train/report_data.h"

namespace r1::train {

// The charts of one or more runs: first those every reader wants (accuracy, response length,
// entropy, reward, loss), then one for each other metric that was logged. One run colours its lines
// by metric; several runs are coloured by run.
std::vector<plot::Panel> report_panels(std::span<const LoggedRun> runs);

// The page: charts, table of numbers, sample completions, recipes; needs no other file. The same
// files give the same bytes.
std::string report_html(std::span<const LoggedRun> runs);

// Reads the runs and writes report.html, curves.svg (all charts) and summary.svg (the first three)
// into `out`; returns their paths. Throws Error.
std::vector<std::filesystem::path> write_report(std::span<const std::filesystem::path> runs,
                                                const std::filesystem::path& out);

}  // namespace r1::train
