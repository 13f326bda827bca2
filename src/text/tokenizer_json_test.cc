#include "text/tokenizer_json.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "text/bpe_trainer.h"

namespace r1::text {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

Tokenizer small_tokenizer() {
  const std::vector<std::string> documents(3, "the theme of these: 你好你好 <think>");
  BpeTrainOptions options;
  options.vocab_size = 300;
  return train_bpe(documents, options);
}

json small_document() { return json::parse(to_tokenizer_json(small_tokenizer())); }

Tokenizer parse(const json& document) { return parse_tokenizer_json(document.dump(), "t.json"); }

std::string error_of(const std::string& text) {
  try {
    parse_tokenizer_json(text, "t.json");
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// The error of the small tokenizer's document with one value, named by a JSON pointer, replaced.
std::string error_with(const char* pointer, const json& value) {
  json document = small_document();
  document[json::json_pointer(pointer)] = value;
  return error_of(document.dump());
}

TEST(TokenizerJson, TrainedTokenizerReadsBack) {
  const Tokenizer tokenizer = small_tokenizer();
  const std::string text = to_tokenizer_json(tokenizer);
  const Tokenizer again = parse_tokenizer_json(text, "t.json");
  EXPECT_EQ(to_tokenizer_json(again), text);
  const std::string sample = "<think>the 你好 12\xFF</think>";
  EXPECT_EQ(again.encode(sample, {.add_bos = true}), tokenizer.encode(sample, {.add_bos = true}));
  EXPECT_EQ(again.bos_id(), 0);
}

TEST(TokenizerJson, BothFormsOfMerges) {
  json document = small_document();
  ASSERT_FALSE(document["model"]["merges"].empty());
  for (json& merge : document["model"]["merges"]) {
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  }
  EXPECT_EQ(to_tokenizer_json(parse(document)), to_tokenizer_json(small_tokenizer()));
}

TEST(TokenizerJson, IgnoreMergesTakesAPieceThatIsAToken) {
  json document = small_document();
  document["model"]["vocab"]["xyz"] = 300;
  EXPECT_EQ(parse(document).encode("xyz").size(), 3u);
  document["model"]["ignore_merges"] = true;
  EXPECT_EQ(parse(document).encode("xyz"), std::vector<std::int32_t>{300});
}

TEST(TokenizerJson, PreTokenizerPartsSurvive) {
  json document = small_document();
  document["pre_tokenizer"] = json::parse(R"({"type": "Sequence", "pretokenizers": [
      {"type": "Digits", "individual_digits": true},
      {"type": "Split", "pattern": {"String": "-"}, "behavior": "MergedWithNext", "invert": true},
      {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}]})");
  const json written = json::parse(to_tokenizer_json(parse(document)));
  EXPECT_EQ(written["pre_tokenizer"], document["pre_tokenizer"]);
}

TEST(TokenizerJson, FilesRoundTrip) {
  const fs::path folder = fs::temp_directory_path() / fmt::format("r1_tokenizer_{}", ::getpid());
  fs::create_directory(folder);
  const Tokenizer tokenizer = small_tokenizer();
  save_tokenizer(tokenizer, folder);
  const Tokenizer again = load_tokenizer(folder);
  EXPECT_EQ(to_tokenizer_json(again), to_tokenizer_json(tokenizer));
  EXPECT_EQ(again.bos_id(), 0);
  EXPECT_EQ(again.eos_id(), 1);
  EXPECT_EQ(again.pad_id(), 2);

  std::ofstream(folder / "tokenizer_config.json")
      << R"({"eos_token": {"content": "</answer>", "lstrip": false}, "pad_token": null})";
  EXPECT_EQ(load_tokenizer(folder / "tokenizer.json").eos_id(), 6);
  EXPECT_EQ(load_tokenizer(folder).pad_id(), std::nullopt);
  std::ofstream(folder / "tokenizer_config.json") << R"({"eos_token": "<nothing>"})";
  EXPECT_THROW(load_tokenizer(folder), Error);
  fs::remove_all(folder);
  EXPECT_THROW(load_tokenizer(folder), Error);
}

TEST(TokenizerJson, ErrorsNameFileAndField) {
  EXPECT_EQ(
      error_with("/normalizer", {{"type", "NFKC"}}),
      "t.json: normalizer: \"NFKC\" is not supported; only byte-level BPE models can be read");
  EXPECT_EQ(error_with("/model/type", "Unigram"),
            "t.json: model: \"Unigram\" is not supported; only byte-level BPE models can be read");
  EXPECT_EQ(error_with("/model/merges/0", "a b c"),
            "t.json: model.merges: the merge of rank 0 is not two tokens with a space between");
  EXPECT_TRUE(error_with("/added_tokens/1/id", "1")
                  .starts_with("t.json: added_tokens[1].id: must be a whole number from 0 to "));
  EXPECT_EQ(error_with("/model/vocab", nullptr), "t.json: model.vocab: is missing");
  EXPECT_EQ(error_of("{\"version\": "),
            "t.json: not valid JSON at byte 13; the file may be cut off or damaged");
}

TEST(TokenizerJson, BadDocumentsAreErrors) {
  const std::vector<std::pair<const char*, json>> changes = {
      {"/version", "2.0"},
      {"/model/dropout", 0.1},
      {"/model/byte_fallback", true},
      {"/model/end_of_word_suffix", "</w>"},
      {"/model/ignore_merges", 1},
      {"/model/vocab/a", -1},
      {"/model/vocab/a", 3.5},
      {"/model/vocab/a", 100000000},
      {"/model/vocab/a", 0},
      {"/model/merges", json::object()},
      {"/model/merges/0", json::array({"a"})},
      {"/model/merges/0", json::array({"a", "absent"})},
      {"/model/merges/0", json::array({"Q", "Q"})},
      {"/added_tokens/0/content", "other"},
      {"/added_tokens/0/content", ""},
      {"/added_tokens/0/content", std::string(5000, 'x')},
      {"/added_tokens/0/special", "yes"},
      {"/added_tokens/3/id", 4},
      {"/pre_tokenizer", nullptr},
      {"/pre_tokenizer", {{"type", "Metaspace"}}},
      {"/pre_tokenizer/pretokenizers/0/behavior", "Shredded"},
      {"/pre_tokenizer/pretokenizers/0/pattern", {{"Regex", "("}}},
      {"/pre_tokenizer/pretokenizers/0/pattern", json::object()},
      {"/pre_tokenizer/pretokenizers/0", {{"type", "ByteLevel"}}},
      {"/post_processor", {{"type", "BertProcessing"}}},
      {"/post_processor/single/0/SpecialToken/id", "absent"},
      {"/post_processor/single/2", json::parse(R"({"SpecialToken": {"id": "<|begin|>"}})")},
      {"/post_processor/single", json::array()},
      {"/decoder", {{"type", "Metaspace"}}},
  };
  for (const auto& [pointer, value] : changes) {
    const std::string error = error_with(pointer, value);
    EXPECT_TRUE(error.starts_with("t.json: ")) << pointer << " = " << value << ": " << error;
  }
}

TEST(TokenizerJson, BadTextIsAnError) {
  const std::string deep = "{\"a\":" + std::string(1000000, '[');
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("{}"), std::string("{\"a\":1,\"a\":1}"),
        std::string("{\"\xFF\":1}"), std::string("{\"model\": 1e999}"), deep}) {
    EXPECT_TRUE(error_of(text).starts_with("t.json: ")) << text.substr(0, 40);
  }
}

TEST(TokenizerJson, EveryTruncationIsAnError) {
  const std::string text = to_tokenizer_json(small_tokenizer());
  for (std::size_t size = 0; size + 2 < text.size(); size += 17) {
    EXPECT_NE(error_of(text.substr(0, size)), "no error") << size;
  }
}

}  // namespace
}  // namespace r1::text
