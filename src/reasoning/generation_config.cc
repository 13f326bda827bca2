#include "reasoning/generation_config.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "formats/gguf.h"
#include "formats/hf_directory.h"
#include "formats/json.h"
#include "model/weight_source.h"

namespace r1::reasoning {
namespace {

constexpr std::size_t kMaxEndIds = 64;
constexpr std::string_view kFormKey = "r1_prompt_template";
constexpr std::string_view kGgufFormKey = "r1.prompt_template";

// tokenizer.ggml.KIND_token_id: the ends of a text, of a turn, and of a message.
constexpr std::array<std::string_view, 3> kEndKinds = {"eos", "eot", "eom"};

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

text::TemplateKind form_named(std::string_view name, std::string_view key, std::string_view where) {
  try {
    return text::template_kind(name);
  } catch (const Error& error) {
    throw Error(where, fmt::format("\"{}\": {}", key, error.what()));
  }
}

void check(const GenerationConfig& config, std::string_view where) {
  if (config.temperature && !(*config.temperature >= 0.0f)) {
    throw Error(where, "\"temperature\" must not be negative");
  }
  if (config.top_p && !(*config.top_p > 0.0f && *config.top_p <= 1.0f)) {
    throw Error(where, "\"top_p\" must be above 0 and at most 1");
  }
  if (config.top_k && *config.top_k < 0) throw Error(where, "\"top_k\" must not be negative");
}

// A field that may be absent or null.
template <typename T>
std::optional<T> read_field(const nlohmann::json& object, std::string_view key,
                            std::string_view where) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return {};
  return convert_json<T>(*found, key, where);
}

template <typename T>
std::optional<T> read_key(const GgufMetadata& metadata, std::string_view key) {
  if (!metadata.has(key)) return {};
  return metadata.require<T>(key);
}

}  // namespace

void GenerationConfig::apply(SamplingParams& sampling) const {
  sampling.temperature = temperature.value_or(sampling.temperature);
  sampling.top_p = top_p.value_or(sampling.top_p);
  sampling.top_k = top_k.value_or(sampling.top_k);
}

GenerationConfig parse_generation_config(std::string_view json, std::string_view where) {
  const nlohmann::json object = parse_json(json, where);
  GenerationConfig config;
  const auto form = get_or<std::string>(object, kFormKey, where, "");
  if (!form.empty()) config.r1_zero_form = form_named(form, kFormKey, where);
  config.end_ids = read_end_ids(object, where);
  config.temperature = read_field<float>(object, "temperature", where);
  config.top_p = read_field<float>(object, "top_p", where);
  config.top_k = read_field<std::int64_t>(object, "top_k", where);
  if (!get_or(object, "do_sample", where, true)) config.temperature = 0.0f;
  check(config, where);
  return config;
}

GenerationConfig generation_config_of(const GgufMetadata& metadata, std::string_view where) {
  GenerationConfig config;
  if (const auto form = read_key<std::string>(metadata, kGgufFormKey)) {
    config.r1_zero_form = form_named(*form, kGgufFormKey, where);
  }
  for (const std::string_view kind : kEndKinds) {
    const auto id =
        read_key<std::int32_t>(metadata, fmt::format("tokenizer.ggml.{}_token_id", kind));
    if (id && std::ranges::find(config.end_ids, *id) == config.end_ids.end()) {
      config.end_ids.push_back(*id);
    }
  }
  config.temperature = read_key<float>(metadata, "general.sampling.temp");
  config.top_p = read_key<float>(metadata, "general.sampling.top_p");
  config.top_k = read_key<std::int64_t>(metadata, "general.sampling.top_k");
  check(config, where);
  return config;
}

std::string write_generation_config(const GenerationConfig& config) {
  nlohmann::ordered_json object;
  if (config.end_ids.size() == 1) {
    object["eos_token_id"] = config.end_ids.front();
  } else if (!config.end_ids.empty()) {
    object["eos_token_id"] = config.end_ids;
  }
  if (config.recommends_sampling()) object["do_sample"] = config.temperature != 0.0f;
  // As a short decimal: 0.6, not the digits of its neighbour in double precision.
  const auto decimal = [](float value) { return std::stod(fmt::format("{}", value)); };
  if (config.temperature && *config.temperature != 0.0f) {
    object["temperature"] = decimal(*config.temperature);
  }
  if (config.top_p) object["top_p"] = decimal(*config.top_p);
  if (config.top_k) object["top_k"] = *config.top_k;
  if (config.r1_zero_form) object[kFormKey] = text::template_name(*config.r1_zero_form);
  return object.is_null() ? "{}\n" : object.dump(2) + "\n";
}

void describe(const GenerationConfig& config, std::optional<std::int32_t> eos,
              GgufMetadataBuilder& metadata) {
  std::vector<std::string_view> keys(kEndKinds.begin(), kEndKinds.end());
  if (eos) keys.erase(keys.begin());
  auto key = keys.begin();
  for (const std::int32_t id : config.end_ids) {
    if (id == eos || key == keys.end()) continue;
    metadata.set(fmt::format("tokenizer.ggml.{}_token_id", *key++), static_cast<std::uint32_t>(id));
  }
  if (config.temperature) metadata.set("general.sampling.temp", *config.temperature);
  if (config.top_p) metadata.set("general.sampling.top_p", *config.top_p);
  if (config.top_k) {
    metadata.set("general.sampling.top_k",
                 static_cast<std::int32_t>(std::min<std::int64_t>(*config.top_k, INT32_MAX)));
  }
  if (config.r1_zero_form) metadata.set(kGgufFormKey, text::template_name(*config.r1_zero_form));
}

GenerationConfig read_generation_config(const std::filesystem::path& model) {
  if (is_gguf(model)) {
    return generation_config_of(GgufFile::open(model).metadata(), model.string());
  }
  const HfDirectory files = HfDirectory::open(model);
  if (!files.generation_config()) return {};
  return parse_generation_config(*files.generation_config(),
                                 (model / "generation_config.json").string());
}

std::vector<std::int32_t> read_config_end_ids(const std::filesystem::path& directory) {
  const std::string where = (directory / "config.json").string();
  return read_end_ids(parse_json(HfDirectory::open(directory).config(), where), where);
}

}  // namespace r1::reasoning
