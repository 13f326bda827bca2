#include <fmt/format.h>

#include "base/file.h"
#include "text/json_field.h"
#include "text/tokenizer_json.h"

namespace r1::text {
namespace {

namespace fs = std::filesystem;

// A token in tokenizer_config.json: its content, or an object that holds it; null for none.
std::optional<std::int32_t> named_token(const JsonField& field, const Tokenizer& tokenizer) {
  if (field.is_null()) return {};
  const JsonField content = field.json().is_object() ? field.member("content") : field;
  const auto id = tokenizer.id_of(content.string());
  if (!id) content.fail(fmt::format("\"{}\" is no token of the tokenizer.json", content.string()));
  return id;
}

}  // namespace

Tokenizer load_tokenizer(const fs::path& path) {
  const fs::path file = fs::is_directory(path) ? path / "tokenizer.json" : path;
  const Tokenizer tokenizer =
      parse_tokenizer_json(read_text_file(file, kMaxTokenizerBytes), file.string());
  const fs::path config_file = file.parent_path() / "tokenizer_config.json";
  if (!fs::exists(config_file)) return tokenizer;
  const Json document = parse_json(read_text_file(config_file, kMaxTokenizerBytes),
                                   config_file.string(), kMaxTokenizerDepth);
  const JsonField config(document, config_file.string(), "");
  TokenizerSpec spec = tokenizer.spec();
  if (const auto bos = named_token(config.member("bos_token"), tokenizer)) spec.bos = bos;
  spec.eos = named_token(config.member("eos_token"), tokenizer);
  spec.pad = named_token(config.member("pad_token"), tokenizer);
  return Tokenizer(std::move(spec), file.string());
}

void save_tokenizer(const Tokenizer& tokenizer, const fs::path& folder) {
  write_file_atomically(folder / "tokenizer.json", to_tokenizer_json(tokenizer));
  write_file_atomically(folder / "tokenizer_config.json", to_tokenizer_config_json(tokenizer));
}

}  // namespace r1::text
