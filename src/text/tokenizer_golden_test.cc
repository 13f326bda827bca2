// Token-for-token agreement with published tokenizers of three families.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "text/tokenizer_json.h"

namespace r1::text {
namespace {

namespace fs = std::filesystem;

// The fixture folders: those of R1_GOLDEN_DIR, and the ones carried in the repository.
std::vector<fs::path> golden_folders() {
  const char* variable = std::getenv("R1_GOLDEN_DIR");
  std::vector<fs::path> folders;
  for (const fs::path& root : {fs::path(variable ? variable : "../shared/golden") / "tokenizers",
                               fs::path("tests/data/text")}) {
    if (!fs::is_directory(root)) continue;
    for (const auto& entry : fs::directory_iterator(root)) {
      if (fs::exists(entry.path() / "golden.jsonl")) folders.push_back(entry.path());
    }
  }
  return folders;
}

struct Sample {
  std::string text, decoded;
  std::vector<std::int32_t> ids, ids_with_bos;
};

std::vector<Sample> read_samples(const fs::path& folder) {
  std::vector<Sample> samples;
  std::ifstream file(folder / "golden.jsonl");
  for (std::string line; std::getline(file, line);) {
    if (line.empty()) continue;
    const auto json = nlohmann::json::parse(line);
    samples.push_back(
        {json.at("text"), json.at("decoded"), json.at("ids"), json.at("ids_with_bos")});
  }
  return samples;
}

void expect_golden(const Tokenizer& tokenizer, const fs::path& folder) {
  const std::vector<Sample> samples = read_samples(folder);
  ASSERT_GT(samples.size(), 50u) << folder;
  for (const Sample& sample : samples) {
    SCOPED_TRACE(folder.string() + ": " + sample.text);
    EXPECT_EQ(tokenizer.encode(sample.text, {.parse_special = true}), sample.ids);
    EXPECT_EQ(tokenizer.encode(sample.text, {.add_bos = true, .parse_special = true}),
              sample.ids_with_bos);
    EXPECT_EQ(tokenizer.decode(sample.ids), sample.decoded);
  }
}

TEST(TokenizerGolden, IdsAndTextMatchToken) {
  const auto folders = golden_folders();
  ASSERT_GE(folders.size(), 3u);
  for (const fs::path& folder : folders) expect_golden(load_tokenizer(folder), folder);
}

TEST(TokenizerGolden, WhatWeWriteReadsBackTheSame) {
  for (const fs::path& folder : golden_folders()) {
    const Tokenizer tokenizer = load_tokenizer(folder);
    const std::string json = to_tokenizer_json(tokenizer);
    const Tokenizer again = parse_tokenizer_json(json, "again");
    EXPECT_EQ(to_tokenizer_json(again), json) << folder;
    expect_golden(again, folder);
  }
}

}  // namespace
}  // namespace r1::text
