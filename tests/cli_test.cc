// The binary from outside: what its commands print, how they fail, and that they agree.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/file.h"
#include "program.h"
#include "text/chat_template.h"

namespace r1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kRecipe = R"(stage: pretrain
model: {hidden_size: 32, intermediate_size: 64, moe_intermediate_size: 32, num_hidden_layers: 2,
        num_attention_heads: 2, n_routed_experts: 4, kv_lora_rank: 32, qk_nope_head_dim: 16,
        qk_rope_head_dim: 16, v_head_dim: 16, max_position_embeddings: 192}
data: {documents: 1000, vocab_size: 400, tokenizer_documents: 200}
max_length: 192
tokens_per_batch: 1024
micro_batch_tokens: 1024
max_steps: 3
warmup_steps: 1
)";

// As DeepSeek-R1's: the prompt opens the thinking, and that of earlier turns is dropped.
constexpr const char* kChatTemplate =
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'assistant' %}{{ 'A: ' + m.content.split('</think>')[-1] + eos_token }}"
    "{% else %}{{ m.role + ': ' + m.content + '\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'A: <think>\n' }}{% endif %}";

constexpr const char* kPrompt = ">\x1b[0m ";  // of the chat

// The character that a byte of a text belongs to.
std::string character_at(const std::string& text, std::size_t at) {
  const auto continues = [&](std::size_t i) { return (text[i] & 0xC0) == 0x80; };
  while (at > 0 && continues(at)) --at;
  std::size_t end = at + 1;
  while (end < text.size() && continues(end)) ++end;
  return text.substr(at, end - at);
}

std::string read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

void write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

void expect_error(const ProgramResult& result, int exit_code, const std::string& part) {
  EXPECT_EQ(result.exit_code, exit_code);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, AllOf(StartsWith("error: "), HasSubstr(part)));
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
}

json parse(const ProgramResult& result) {
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return json::parse(result.out);
}

TEST(Cli, HelpNamesEveryCommandAndVersionTheVersion) {
  const ProgramResult help = run_program({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const char* name : {"run", "score", "tokenize", "show", "convert", "quantize", "train",
                           "report", "tasks", "eval"}) {
    EXPECT_THAT(help.out, HasSubstr(std::string("\n  ") + name + " ")) << name;
    const ProgramResult more = run_program({name, "--help"});
    EXPECT_EQ(more.exit_code, 0);
    EXPECT_THAT(more.out, HasSubstr(std::string("usage: r1 ") + name + " "));
    EXPECT_EQ(more.err, "");
  }
  const ProgramResult version = run_program({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.out, MatchesRegex("r1 [0-9]+[.][0-9]+[.][0-9]+\n"));
}

TEST(Cli, WrongUsageIsOneLineAndExitCode2) {
  EXPECT_EQ(run_program({}).exit_code, 2);
  expect_error(run_program({"rnu"}), 2, "did you mean 'run'?");
  expect_error(run_program({"xyzxyzxyz"}), 2, "r1 --help");
  expect_error(run_program({"run"}), 2, "MODEL");
  expect_error(run_program({"run", "m", "p", "--no-such-flag"}), 2, "r1 run --help");
  expect_error(run_program({"run", "m", "p", "--temperature", "warm"}), 2, "--temperature");
  expect_error(run_program({"run", "m", "p", "--top-p", "1.5"}), 2, "--top-p");
  expect_error(run_program({"eval", "m", "--samples", "0"}), 2, "--samples");
  expect_error(run_program({"tasks"}), 2, "r1 tasks --help");
  expect_error(run_program({"tasks", "show", "gcd", "--language", "fr"}), 2, "--language");
}

TEST(Cli, OutsideFailuresAreOneLineAndExitCode1) {
  expect_error(run_program({"run", "/no/such/model", "1 + 1"}), 1, "/no/such/model");
  expect_error(run_program({"train", "/no/such/recipe.yaml"}), 1, "/no/such/recipe.yaml");
  expect_error(run_program({"tasks", "show", "gdc"}), 1, "did you mean 'gcd'?");
  expect_error(run_program({"report", "/no/such/run"}), 1, "/no/such/run");
}

TEST(Cli, TasksAreDeterministicAndTheirSplitsDiffer) {
  const std::string list = "\n" + run_program({"tasks", "list"}).out;
  for (const char* name : {"arithmetic", "countdown", "gcd", "linear", "base", "list", "knights"}) {
    EXPECT_THAT(list, HasSubstr(std::string("\n") + name)) << name;
  }
  const std::vector<std::string> show = {"tasks", "show", "gcd", "--seed", "3", "--count", "20"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), show.begin(), show.end());
    return run_program(more).out;
  };
  EXPECT_EQ(with({}), with({}));
  EXPECT_NE(with({}), with({"--split", "held-out"}));
  EXPECT_NE(with({}), with({"--seed", "4"}));

  std::istringstream lines(with({"--json", "--style", "careful", "--language", "zh"}));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const json problem = json::parse(line);
    EXPECT_EQ(problem["language"], "zh");
    EXPECT_EQ(problem["correct"], true) << line;
  }
  EXPECT_EQ(count, 20);
}

// With a model of a few thousand parameters, made by the binary itself.
class CliModel : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = fs::temp_directory_path() / ("r1-cli-test-" + std::to_string(getpid()));
    fs::create_directories(folder_);
    write(folder_ / "base.yaml", kRecipe);
    const ProgramResult result = run_program(train_arguments());
    ASSERT_EQ(result.exit_code, 0) << result.err;
    ASSERT_TRUE(fs::exists(fs::path(model()) / "model.safetensors"));
    // The same weights with a context that takes a while to fill, and ended only by padding.
    fs::copy(model(), folder_ / "long");
    json config = json::parse(read(folder_ / "long/config.json"));
    config["max_position_embeddings"] = 100'000;
    write(folder_ / "long/config.json", config.dump());
    constexpr int kPadding = 2;
    write(folder_ / "long/generation_config.json", json{{"eos_token_id", kPadding}}.dump());
    // The same with a chat template.
    fs::copy(model(), folder_ / "chat");
    json tokenizer = json::parse(read(folder_ / "chat/tokenizer_config.json"));
    tokenizer["chat_template"] = kChatTemplate;
    write(folder_ / "chat/tokenizer_config.json", tokenizer.dump());
    write(folder_ / "chat/generation_config.json",
          json{{"eos_token_id", {1, 2}}, {"temperature", 0.0}}.dump());
  }
  static void TearDownTestSuite() { fs::remove_all(folder_); }

  static std::vector<std::string> train_arguments(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"train", (folder_ / "base.yaml").string(), "--set",
                                          "output_dir=" + (folder_ / "run").string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  static std::string model() { return (folder_ / "run/model").string(); }
  static std::string chat_model() { return (folder_ / "chat").string(); }
  static std::string decoded(const std::string& of, const json& ids) {
    const std::string list = ids.dump();
    const std::string text =
        run_program({"tokenize", of, "--decode", list.substr(1, list.size() - 2)}).out;
    return text.substr(0, text.size() - 1);
  }
  static std::string long_model() { return (folder_ / "long").string(); }

  static inline fs::path folder_;
};

TEST_F(CliModel, ARunThatExistsIsNotOverwrittenAndResumesToTheSameBytes) {
  const std::string before = read(fs::path(model()) / "model.safetensors");
  const ProgramResult again = run_program(train_arguments());
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_THAT(again.err, HasSubstr("--resume"));
  EXPECT_EQ(run_program(train_arguments({"--resume"})).exit_code, 0);
  EXPECT_EQ(read(fs::path(model()) / "model.safetensors"), before);
}

TEST_F(CliModel, ARecipeWithAnUnknownKeyNamesTheNearest) {
  expect_error(run_program(train_arguments({"--set", "learning_rat=1"})), 1, "learning_rate");
}

TEST_F(CliModel, ReportWritesItsFiles) {
  const fs::path out = folder_ / "report";
  const ProgramResult result =
      run_program({"report", (folder_ / "run").string(), "--out", out.string()});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(read(out / "report.html"), HasSubstr("<svg"));
  EXPECT_THAT(result.out, HasSubstr((out / "curves.svg").string()));
}

TEST_F(CliModel, ShowTellsTheShape) {
  const json shape = parse(run_program({"show", model(), "--json"}));
  EXPECT_EQ(shape["layers"], 2);
  EXPECT_EQ(shape["context"], 192);
  EXPECT_EQ(shape["prompt_template"], "r1-zero-nano");
  EXPECT_THAT(run_program({"show", model()}).out, HasSubstr("2 of 4 per token"));
}

TEST_F(CliModel, TokenizeIsUndoneByDecode) {
  const std::string text = "What is 12 + 30? 十二加三十";
  const json encoded = parse(run_program({"tokenize", model(), text, "--json"}));
  std::string ids;
  for (const json& id : encoded["ids"]) ids += id.dump() + ",";
  EXPECT_EQ(run_program({"tokenize", model(), "--decode", ids}).out, text + "\n");
  EXPECT_EQ(parse(run_program({"tokenize", model(), "--json"}, text)), encoded);
  EXPECT_THAT(run_program({"tokenize", model(), text}).out, HasSubstr("\""));
  expect_error(run_program({"tokenize", model(), "--decode", "1,400000"}), 1, "400000");
  expect_error(run_program({"tokenize", model(), "--decode", "1,x"}), 1, "'x' is not a token id");
}

TEST_F(CliModel, ScoreGivesTheVeryLogProbsThatSamplingHad) {
  const std::string question = "1 + 2 * 3";
  const json answer = parse(run_program(
      {"run", model(), question, "--json", "--logprobs", "--temperature", "1", "--seed", "5"}));
  ASSERT_EQ(answer["ids"].size(), answer["tokens"].get<std::size_t>());
  const std::string prompt = text::render_r1_zero("r1-zero-nano", question);
  json ids = parse(run_program({"tokenize", model(), prompt, "--bos", "--json"}))["ids"];
  ASSERT_EQ(ids.size(), answer["prompt_tokens"].get<std::size_t>());
  for (const json& id : answer["ids"]) ids.push_back(id);
  std::string list = ids.dump();
  list = list.substr(1, list.size() - 2);

  const json score = parse(run_program({"score", model(), "--ids", list, "--json"}));
  const json& log_probs = score["log_probs"];
  ASSERT_EQ(log_probs.size(), ids.size() - 1);
  const std::size_t drawn = answer["ids"].size();
  double total = 0;
  for (std::size_t i = 0; i < log_probs.size(); ++i) {
    total += log_probs[i].get<double>();
    if (i + drawn >= log_probs.size()) {
      EXPECT_EQ(log_probs[i], answer["log_probs"][i + drawn - log_probs.size()]) << i;
    }
  }
  EXPECT_DOUBLE_EQ(score["total_log_prob"], total);
  EXPECT_DOUBLE_EQ(score["perplexity"], std::exp(-total / static_cast<double>(log_probs.size())));
}

TEST_F(CliModel, ScoreRefusesWhatCannotBeScored) {
  expect_error(run_program({"score", model(), "--ids", "1,2,400000"}), 1, "400000");
  expect_error(run_program({"score", model(), "--ids", "-1"}), 1, "'-1' is not a token id");
  expect_error(run_program({"score", model(), "--ids", "7"}), 1, "at least two tokens");
  expect_error(run_program({"score", model()}, ""), 1, "empty");
  std::string ids = "1";
  for (int i = 0; i < 300; ++i) ids += ",1";
  expect_error(run_program({"score", model(), "--ids", ids}), 1, "context");
}

TEST_F(CliModel, TheSeedDecidesTheAnswer) {
  const auto answer = [](std::vector<std::string> more, const std::string& input = {}) {
    more.insert(more.begin(), {"run", model()});
    more.insert(more.end(), {"--json", "--temperature", "1"});
    return parse(run_program(more, input))["text"].get<std::string>();
  };
  const std::string first = answer({"2 + 2", "--seed", "1"});
  EXPECT_EQ(answer({"2 + 2", "--seed", "1", "--threads", "1"}), first);
  EXPECT_EQ(answer({"--seed", "1"}, "2 + 2\n"), first);
  EXPECT_NE(answer({"2 + 2", "--seed", "2"}), first);
}

TEST_F(CliModel, AnswersEndAtTheirLimits) {
  const std::vector<std::string> run = {"run", long_model(),   "2 + 2", "--json",        "--seed",
                                        "1",   "--max-tokens", "9",     "--temperature", "1"};
  const json cut = parse(run_program(run));
  ASSERT_EQ(cut["finish_reason"], "length");
  EXPECT_EQ(cut["tokens"], 9);
  std::vector<std::string> stopped = run;
  const std::string text = cut["text"];
  const std::string stop = character_at(text, text.size() / 2);
  stopped.insert(stopped.end(), {"--stop", stop});
  const json early = parse(run_program(stopped));
  EXPECT_EQ(early["finish_reason"], "stop");
  EXPECT_EQ(early["text"], text.substr(0, text.find(stop)));
  expect_error(run_program({"run", model(), "2 + 2", "--stop", "\xE4"}), 1, "UTF-8");
}

TEST_F(CliModel, BadPromptsAreErrors) {
  expect_error(run_program({"run", model(), std::string(3000, '7')}), 1, "context");
  expect_error(run_program({"run", model()}, "\n"), 1, "empty");
  expect_error(run_program({"run", model(), "2 + 2"}, {}, {"R1_ISA=mmx"}), 1, "mmx");
}

TEST_F(CliModel, WithoutATerminalTextIsPlain) {
  const ProgramResult result = run_program({"run", model(), "2 + 2", "--verbose"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, Not(HasSubstr("\x1b[2m")));
  EXPECT_THAT(result.err, HasSubstr("tokens/s"));
}

TEST_F(CliModel, RunAsksInTheModelsOwnChatTemplate) {
  const std::vector<std::string> run = {
      "run", chat_model(), "1 + 1<|end|>", "--json", "--logprobs", "--max-tokens", "9"};
  const json answer = parse(run_program(run));
  EXPECT_EQ(decoded(chat_model(), answer["prompt_ids"]),
            "<|begin|>user: 1 + 1<|end|>\nA: <think>\n");
  EXPECT_EQ(std::ranges::count(answer["prompt_ids"], json(1)), 0);  // text stays text
  EXPECT_NE(answer["thinking"], "");
  EXPECT_EQ(answer["answer"], "");
  // Its temperature of 0 needs no seed; a flag goes first.
  std::vector<std::string> seeded = run;
  seeded.insert(seeded.end(), {"--seed", "7"});
  EXPECT_EQ(parse(run_program(seeded))["ids"], answer["ids"]);
  seeded.insert(seeded.end(), {"--temperature", "1.5"});
  EXPECT_NE(parse(run_program(seeded))["ids"], answer["ids"]);

  // What ends a turn of the template ends an answer, whatever else the files name.
  EXPECT_EQ(parse(run_program({"show", chat_model(), "--json"}))["end_ids"], json({1, 2}));
  EXPECT_EQ(parse(run_program({"show", long_model(), "--json"}))["end_ids"], json({2}));
  fs::copy(chat_model(), folder_ / "ends");
  write(folder_ / "ends/generation_config.json", R"({"eos_token_id": 2})");
  EXPECT_EQ(parse(run_program({"show", (folder_ / "ends").string(), "--json"}))["end_ids"],
            json({2, 1}));

  std::vector<std::string> with_system = run;
  with_system.insert(with_system.end(), {"--system", "Be brief."});
  EXPECT_THAT(decoded(chat_model(), parse(run_program(with_system))["prompt_ids"]),
              StartsWith("<|begin|>system: Be brief.\nuser: 1 + 1"));
  std::vector<std::string> bare = run;
  bare.push_back("--no-template");
  EXPECT_EQ(decoded(chat_model(), parse(run_program(bare))["prompt_ids"]), "<|begin|>1 + 1<|end|>");
  with_system.push_back("--no-template");
  EXPECT_EQ(run_program(with_system).exit_code, 2);
  expect_error(run_program({"run", model(), "1 + 1", "--system", "x"}), 2, "r1-zero-nano");
}

TEST_F(CliModel, AGgufFileKeepsHowTheModelIsAsked) {
  for (const std::string& source : {chat_model(), model()}) {
    SCOPED_TRACE(source);
    const std::string file = (folder_ / (fs::path(source).filename().string() + ".gguf")).string();
    const ProgramResult converted = run_program({"convert", source, file, "--type", "bf16"});
    EXPECT_EQ(converted.exit_code, 0) << converted.err;
    EXPECT_THAT(converted.out, HasSubstr("nextn.eh_proj.weight"));
    const std::string back = file + "-back";
    EXPECT_EQ(run_program({"convert", file, back}).exit_code, 0);
    const auto ask = [](const std::string& of) {
      json answer = parse(run_program(
          {"run", of, "2 + 2", "--json", "--logprobs", "--temperature", "0", "--max-tokens", "6"}));
      answer.erase("timings");
      return answer;
    };
    const json answer = ask(source);
    EXPECT_EQ(ask(file), answer);
    EXPECT_EQ(ask(back), answer);
    const json shown = parse(run_program({"show", file, "--json"}));
    EXPECT_EQ(shown["prompt_template"],
              parse(run_program({"show", source, "--json"}))["prompt_template"]);
    EXPECT_GT(shown["tensors"], 10);
  }
}

TEST_F(CliModel, ABrokenTemplateIsNamedAndCanBeDoneWithout) {
  const fs::path broken = folder_ / "broken";
  fs::copy(chat_model(), broken);
  write(broken / "chat_template.jinja", "{% for m in messages %}");
  expect_error(run_program({"run", broken.string(), "2 + 2"}), 1, "chat_template.jinja");
  EXPECT_EQ(run_program({"run", broken.string(), "2 + 2", "--no-template"}).exit_code, 0);
  EXPECT_EQ(run_program({"score", broken.string(), "--text", "2 + 2"}).exit_code, 0);
  EXPECT_THAT(run_program({"show", broken.string()}).out, HasSubstr("unusable: "));
  fs::remove(broken / "chat_template.jinja");
  write(broken / "tokenizer_config.json", R"({"eos_token": "<|end|>"})");
  const ProgramResult bare = run_program({"run", broken.string(), "2 + 2", "--max-tokens", "3"});
  EXPECT_EQ(bare.exit_code, 0);
  EXPECT_THAT(bare.err, HasSubstr("does not say in which form"));
}

TEST_F(CliModel, QuantizeTellsWhatItCosts) {
  const std::string file = (folder_ / "small.gguf").string();
  const json report = parse(run_program({"quantize", model(), file, "--type", "q4_k_m", "--json"}));
  EXPECT_GT(report["tensors"].size(), 10u);
  for (const json& tensor : report["tensors"]) EXPECT_LT(tensor["relative_error"], 0.02) << tensor;
  EXPECT_THAT(report["notes"].dump(), HasSubstr("is Q8_0 instead of Q4_K"));
  const json& change = report["log_probs"];
  EXPECT_EQ(change["tokens"], 191);  // up to the end of the context
  EXPECT_NE(change["mean_change"], 0.0);
  EXPECT_LT(std::abs(change["mean_change"].get<double>()), 0.05);
  EXPECT_EQ(report["bytes"], fs::file_size(file));
  expect_error(run_program({"quantize", model(), file, "--type", "q8_0"}), 1, "exists already");
  expect_error(run_program({"quantize", model(), "x.gguf", "--type", "q9"}), 1, "Q8_0");
  expect_error(run_program({"quantize", model(), "x", "--type", "q8_0"}), 2, ".gguf");
}

TEST_F(CliModel, QuantisedWeightsAndCacheAreAskedForByName) {
  const std::string file = (folder_ / "q8.gguf").string();
  ASSERT_EQ(run_program({"convert", model(), file, "--type", "q8_0"}).exit_code, 0);
  const auto score = [&](const std::vector<std::string>& flags) {
    std::vector<std::string> arguments = {"score", file, "--text", "12 + 30 = 42", "--json"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return parse(run_program(arguments))["mean_log_prob"].get<double>();
  };
  const double int8 = score({});
  EXPECT_EQ(score({"--activations", "int8"}), int8);
  EXPECT_NE(score({"--activations", "bf16"}), int8);
  EXPECT_NEAR(score({"--activations", "bf16"}), int8, 0.05);
  EXPECT_EQ(score({"--memory", "2G"}), int8);
  expect_error(run_program({"score", file, "--text", "1 + 1", "--memory", "1K"}), 1, "memory");
  expect_error(run_program({"score", file, "--text", "1 + 1", "--activations", "int4"}), 2, "int8");
  // Keys rotated in 16 dimensions are no whole block.
  expect_error(run_program({"score", file, "--text", "1 + 1", "--kv-cache", "q8_0"}), 1, "blocks");
}

// Every command takes them, with the bits of the file they are made of, and they turn back into it.
TEST_F(CliModel, FilesOfPanelsAreMadeAndUsed) {
  const std::string ordinary = (folder_ / "ordinary.gguf").string();
  // A file is named after what it was made of, and so the last one as the first.
  fs::create_directories(folder_ / "panels");
  const std::string panels = (folder_ / "panels" / fs::path(model()).filename()).string() + ".gguf";
  const std::string back = (folder_ / "back.gguf").string();
  ASSERT_EQ(run_program({"convert", model(), ordinary, "--type", "q8_0"}).exit_code, 0);
  const ProgramResult made = run_program({"convert", ordinary, panels, "--panels"});
  EXPECT_EQ(made.exit_code, 0) << made.err;
  EXPECT_THAT(made.out, HasSubstr("in panels"));
  ASSERT_EQ(run_program({"convert", panels, back, "--type", "keep"}).exit_code, 0);
  EXPECT_TRUE(read_text_file(back, 1 << 30) == read_text_file(ordinary, 1 << 30));

  const auto score = [&](const std::string& file) {
    return parse(run_program({"score", file, "--text", "12 + 30 = 42", "--json"}));
  };
  EXPECT_EQ(score(panels), score(ordinary));
  EXPECT_THAT(run_program({"show", panels}).out, HasSubstr("Q8_0 in panels"));
  EXPECT_EQ(run_program({"fit", panels, "--context", "64"}).exit_code, 0);
  expect_error(run_program({"convert", model(), back + ".gguf", "--panels", "--type", "f16"}), 2,
               "panels do not hold F16");
  expect_error(run_program({"convert", model(), (folder_ / "hf").string(), "--panels"}), 2,
               ".gguf");
}

TEST_F(CliModel, BenchMeasuresAModelAndShowItsRouting) {
  const json bench =
      parse(run_program({"bench", "--model", model(), "--prompt", "16", "--generate", "4",
                         "--sequences", "1,3", "--repetitions", "1", "--json"}));
  ASSERT_EQ(bench["tests"].size(), 3u);
  EXPECT_EQ(bench["tests"][2]["test"], "tg4 x 3");
  for (const json& test : bench["tests"]) EXPECT_GT(test["tokens_per_second"], 0.0);
  expect_error(run_program({"bench"}), 2, "--shape");
  expect_error(run_program({"bench", "--shape", "r2"}), 1, "r1-distill-qwen-1.5b");

  const json routing = parse(run_program({"show", model(), "--routing", "--json"}));
  std::int64_t load = 0;
  for (const json& tokens : routing["layers"][0]["load"]) load += tokens.get<std::int64_t>();
  EXPECT_EQ(load, 2 * routing["tokens"].get<std::int64_t>());
}

TEST_F(CliModel, AChatRemembersItsTurnsUntilANewOneBegins) {
  // Without an open <think> in the prompt, all that a model of noise says is an answer.
  const fs::path plain = folder_ / "plain-chat";
  fs::copy(chat_model(), plain);
  std::string source = kChatTemplate;
  source.replace(source.find("<think>"), 7, "");
  write(plain / "chat_template.jinja", source);
  TerminalProgram chat({"run", plain.string(), "--max-tokens", "5", "--verbose", "--seed", "1",
                        "--temperature", "1.5"});
  const auto prompt_tokens = [&](const std::string& line) {
    EXPECT_TRUE(chat.wait_for(kPrompt));
    chat.type(line + "\n");
    EXPECT_TRUE(chat.wait_for("prompt "));
    return std::stoi(chat.wait_for(" tokens").value_or("-1"));
  };
  const int alone = prompt_tokens("1 + 1");
  EXPECT_GT(prompt_tokens("1 + 1"), alone);
  EXPECT_TRUE(chat.wait_for(kPrompt));
  chat.type("/new\n");
  EXPECT_EQ(prompt_tokens("1 + 1"), alone);
  chat.type("/exit\n");
  EXPECT_EQ(chat.exit_code(), 0);
}

TEST_F(CliModel, EvalReportsEveryFamilyTheSameTwice) {
  const fs::path out = folder_ / "eval.json";
  const auto evaluate = [&] {
    json result = parse(run_program({"eval", model(), "--tasks", "gcd,list", "--problems", "6",
                                     "--samples", "3", "--json", "--out", out.string()}));
    EXPECT_EQ(json::parse(read(out)), result);
    result.erase("seconds");
    return result;
  };
  const json result = evaluate();
  EXPECT_EQ(evaluate(), result);
  EXPECT_EQ(result["tasks"].size(), 2u);
  const json& gcd = result["tasks"]["gcd"];
  EXPECT_EQ(gcd["problems"], 6);
  EXPECT_EQ(gcd["samples"], 18);
  EXPECT_LE(gcd["pass_at_1_interval"][0], gcd["pass_at_1"]);
  EXPECT_GE(gcd["pass_at_1_interval"][1], gcd["pass_at_1"]);
  EXPECT_EQ(result["overall"]["problems"], 12);
  expect_error(run_program({"eval", model(), "--tasks", "gdc"}), 1, "did you mean 'gcd'?");
}

TEST_F(CliModel, TheChatOutlivesErrorsAndPosesProblems) {
  TerminalProgram chat({"run", model(), "--max-tokens", "20"});
  ASSERT_TRUE(chat.wait_for(kPrompt));
  chat.type(std::string(2000, '7') + "\n");
  ASSERT_TRUE(chat.wait_for("error: "));
  ASSERT_TRUE(chat.wait_for("context"));
  chat.type("/nonsense\n");
  ASSERT_TRUE(chat.wait_for("error: /nonsense"));
  chat.type("/temperature hot\n");
  ASSERT_TRUE(chat.wait_for("error: /temperature"));
  chat.type("/problem gcd\n");
  ASSERT_TRUE(chat.wait_for("Verified: "));
  chat.type("/exit\n");
  EXPECT_EQ(chat.exit_code(), 0);
}

TEST_F(CliModel, CtrlCStopsTheAnswerAndTwiceAtThePromptTheChat) {
  TerminalProgram chat({"run", long_model(), "--temperature", "0"});
  ASSERT_TRUE(chat.wait_for(kPrompt));
  chat.type("2 + 2\n");
  ASSERT_TRUE(chat.wait_for("2 + 2\r\n"));
  ASSERT_TRUE(chat.wait_for_output());
  chat.type("\x03");
  ASSERT_TRUE(chat.wait_for("(stopped)"));
  ASSERT_TRUE(chat.wait_for(kPrompt));
  chat.type("\x03");
  ASSERT_TRUE(chat.wait_for("Ctrl-C once more"));
  ASSERT_TRUE(chat.wait_for(kPrompt));
  chat.type("\x03");
  EXPECT_EQ(chat.exit_code(), 0);
}

}  // namespace
}  // namespace r1
