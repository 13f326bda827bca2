#include "hub/selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace r1::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<std::string> kGgufs = {
    "README.md",
    "Model-Q4_K_M.gguf",
    "Model-Q4_K_S.gguf",
    "Model-Q8_0/Model-Q8_0-00002-of-00002.gguf",
    "Model-Q8_0/Model-Q8_0-00001-of-00002.gguf",
};

std::vector<std::string> pulled(std::span<const std::string> files, const std::string& file = {}) {
  return files_to_pull(files, {.repo = "org/name", .file = file});
}

std::string refusal(std::span<const std::string> files, const std::string& file = {}) {
  try {
    pulled(files, file);
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was refused";
}

TEST(Selection, TakesWhatAModelInSafetensorsNeeds) {
  const std::vector<std::string> files = {".gitattributes",    "README.md",
                                          "config.json",       "figures/a.json",
                                          "model.safetensors", "model.safetensors.index.json",
                                          "onnx/model.onnx",   "original/x.safetensors",
                                          "pytorch_model.bin", "chat_template.jinja",
                                          "tokenizer.json",    "tokenizer.model",
                                          "merges.txt"};
  EXPECT_THAT(pulled(files), ElementsAre("config.json", "model.safetensors",
                                         "model.safetensors.index.json", "chat_template.jinja",
                                         "tokenizer.json", "tokenizer.model", "merges.txt"));
  EXPECT_THAT(pulled(files, "README.md"), ElementsAre("README.md"));
}

TEST(Selection, TakesAQuantisationInAllItsParts) {
  EXPECT_THAT(pulled(kGgufs, "q4_k_m"), ElementsAre("Model-Q4_K_M.gguf"));
  EXPECT_THAT(pulled(kGgufs, "Q8_0"), ElementsAre("Model-Q8_0/Model-Q8_0-00001-of-00002.gguf",
                                                  "Model-Q8_0/Model-Q8_0-00002-of-00002.gguf"));
  EXPECT_THAT(pulled(kGgufs, "Model-Q8_0/Model-Q8_0-00002-of-00002.gguf"),
              ElementsAre("Model-Q8_0/Model-Q8_0-00001-of-00002.gguf",
                          "Model-Q8_0/Model-Q8_0-00002-of-00002.gguf"));
  const std::vector<std::string> one = {"a.gguf", "README.md"};
  EXPECT_THAT(pulled(one), ElementsAre("a.gguf"));
}

TEST(Selection, ListsTheChoices) {
  for (const std::string wanted : {"", "q5_k_m", "q4_k", "Model"}) {
    const std::string text = refusal(kGgufs, wanted);
    EXPECT_THAT(text, HasSubstr("Model-Q4_K_M.gguf, Model-Q4_K_S.gguf")) << wanted;
    EXPECT_THAT(text, HasSubstr("00001-of-00002.gguf")) << wanted;
    EXPECT_EQ(text.find("00002-of"), text.npos) << wanted;
  }
  const std::vector<std::string> none = {"README.md", "pytorch_model.bin"};
  EXPECT_THAT(refusal(none), HasSubstr("neither safetensors nor GGUF"));
  EXPECT_THAT(refusal(none, "q8_0"), HasSubstr("has no GGUF file"));
}

}  // namespace
}  // namespace r1::hub
