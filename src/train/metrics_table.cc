#include <algorithm>

#include "base/error.h"
#include "base/progress_text.h"
#include "train/metrics.h"

namespace r1::train {
namespace {

constexpr std::size_t kMaxCellLines = 24;
constexpr std::size_t kMinTextWidth = 12;

struct Column {
  std::string title;
  std::size_t width;
  bool number;
};

std::string cell(std::string_view text, const Column& column) {
  const std::string padding(column.width - std::min(column.width, display_width(text)), ' ');
  return column.number ? padding + std::string(text) : std::string(text) + padding;
}

std::string rule(const std::vector<Column>& columns, std::string_view left, std::string_view cross,
                 std::string_view right) {
  std::string line(left);
  for (std::size_t c = 0; c < columns.size(); ++c) {
    if (c > 0) line += cross;
    for (std::size_t i = 0; i < columns[c].width + 2; ++i) line += "─";
  }
  return line + std::string(right) + "\n";
}

std::string row(const std::vector<Column>& columns,
                const std::vector<std::vector<std::string>>& cells) {
  std::size_t height = 1;
  for (const auto& lines : cells) height = std::max(height, lines.size());
  std::string text;
  for (std::size_t y = 0; y < height; ++y) {
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const std::string line = y < cells[c].size() ? cells[c][y] : "";
      text += fmt::format("│ {} ", cell(line, columns[c]));
    }
    text += "│\n";
  }
  return text;
}

std::vector<std::string> text_cell(std::string_view text, std::size_t width) {
  std::vector<std::string> lines = wrap_to_width(text, width);
  if (lines.size() > kMaxCellLines) {
    lines.resize(kMaxCellLines);
    lines.back() = "…";
  }
  return lines;
}

}  // namespace

std::string completions_table(std::int64_t step, std::span<const SampleCompletion> samples,
                              std::size_t width) {
  if (samples.empty()) return {};
  std::vector<Column> columns = {{"Prompt", 0, false}, {"Completion", 0, false}};
  for (const Metric& reward : samples.front().rewards) {
    columns.push_back({reward.name, std::max<std::size_t>(display_width(reward.name), 5), true});
  }
  columns.push_back({"Advantage", 9, true});

  // The two texts share what the numbers and the frame leave, the completion getting two thirds.
  std::size_t taken = 3 * columns.size() + 1;
  for (const Column& column : columns) taken += column.width;
  const std::size_t left = width > taken ? width - taken : 0;
  columns[0].width = std::max(kMinTextWidth, left / 3);
  columns[1].width = std::max(kMinTextWidth, left - std::min(left, columns[0].width));

  std::string table = fmt::format("step {}\n", step) + rule(columns, "┌", "┬", "┐");
  std::vector<std::vector<std::string>> titles;
  for (const Column& column : columns) titles.push_back({column.title});
  table += row(columns, titles);
  for (const SampleCompletion& sample : samples) {
    table += rule(columns, "├", "┼", "┤");
    std::vector<std::vector<std::string>> cells = {text_cell(sample.prompt, columns[0].width),
                                                   text_cell(sample.completion, columns[1].width)};
    R1_CHECK(sample.rewards.size() + 3 == columns.size(), "{} rewards in a table of {} columns",
             sample.rewards.size(), columns.size());
    for (const Metric& reward : sample.rewards) {
      cells.push_back({fmt::format("{:.2f}", reward.as_double())});
    }
    cells.push_back({fmt::format("{:+.2f}", sample.advantage)});
    table += row(columns, cells);
  }
  return table + rule(columns, "└", "┴", "┘");
}

}  // namespace r1::train
