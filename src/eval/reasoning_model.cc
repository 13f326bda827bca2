#include "eval/reasoning_model.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "formats/hf_directory.h"
#include "formats/json.h"
#include "model/gguf_tokenizer.h"

namespace r1::eval {
namespace {

constexpr std::size_t kMaxEndIds = 64;

std::vector<std::int32_t> read_end_ids(const nlohmann::json& object, std::string_view where) {
  const auto found = object.find("eos_token_id");
  if (found == object.end() || found->is_null()) return {};
  std::vector<std::int32_t> ids;
  if (found->is_array()) {
    ids = convert_json<std::vector<std::int32_t>>(*found, "eos_token_id", where);
  } else {
    ids = {convert_json<std::int32_t>(*found, "eos_token_id", where)};
  }
  if (ids.size() > kMaxEndIds) {
    throw Error(where, fmt::format("\"eos_token_id\" lists more than {} ids", kMaxEndIds));
  }
  return ids;
}

}  // namespace

GenerationConfig parse_generation_config(std::string_view json, std::string_view where) {
  const nlohmann::json object = parse_json(json, where);
  GenerationConfig config;
  config.names_template = object.contains("r1_prompt_template");
  const auto name = get_or<std::string>(object, "r1_prompt_template", where,
                                        std::string(template_name(config.prompt_template)));
  try {
    config.prompt_template = text::template_kind(name);
  } catch (const Error& error) {
    throw Error(where, fmt::format("\"r1_prompt_template\": {}", error.what()));
  }
  config.end_ids = read_end_ids(object, where);

  SamplingParams& sampling = config.sampling;
  sampling.temperature = get_or(object, "temperature", where, sampling.temperature);
  sampling.top_p = get_or(object, "top_p", where, sampling.top_p);
  sampling.top_k = get_or(object, "top_k", where, sampling.top_k);
  if (!get_or(object, "do_sample", where, true)) sampling.temperature = 0.0f;
  if (!(sampling.temperature >= 0.0f)) throw Error(where, "\"temperature\" must not be negative");
  if (!(sampling.top_p > 0.0f && sampling.top_p <= 1.0f)) {
    throw Error(where, "\"top_p\" must be above 0 and at most 1");
  }
  if (sampling.top_k < 0) throw Error(where, "\"top_k\" must not be negative");
  return config;
}

GenerationConfig read_generation_config(const std::filesystem::path& model) {
  if (is_gguf(model)) return {};
  const HfDirectory files = HfDirectory::open(model);
  if (!files.generation_config()) return {};
  return parse_generation_config(*files.generation_config(),
                                 (model / "generation_config.json").string());
}

std::vector<std::int32_t> ReasoningModel::encode_prompt(std::string_view question) const {
  return tokenizer.encode(text::render_r1_zero(prompt_template, question), {.add_bos = true});
}

ReasoningModel load_reasoning_model(Backend& backend, const std::filesystem::path& directory) {
  const std::string where = (directory / "generation_config.json").string();
  GenerationConfig generation = read_generation_config(directory);
  text::Tokenizer tokenizer = load_model_tokenizer(directory);
  std::unique_ptr<Model> model = Model::load(backend, directory, LoadOptions{});

  const std::int64_t vocab_size = model->config().vocab_size;
  if (tokenizer.vocab_size() > vocab_size) {
    throw Error(directory.string(),
                fmt::format("the tokenizer has {} tokens, the model only {}",
                            tokenizer.vocab_size(), vocab_size),
                "its files belong to different models");
  }
  if (generation.end_ids.empty()) {
    const std::int64_t fallback = model->config().eos_token_id;
    generation.end_ids = {tokenizer.eos_id().value_or(static_cast<std::int32_t>(fallback))};
  }
  for (const std::int32_t id : generation.end_ids) {
    if (id < 0 || id >= vocab_size) {
      throw Error(where,
                  fmt::format("the end token {} is not in the vocabulary of {}", id, vocab_size));
    }
  }
  return {directory,
          std::move(model),
          std::move(tokenizer),
          generation.prompt_template,
          generation.names_template,
          std::move(generation.end_ids),
          generation.sampling};
}

}  // namespace r1::eval
