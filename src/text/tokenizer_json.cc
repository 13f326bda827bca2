#include "text/tokenizer_json.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "base/error.h"
#include "text/byte_alphabet.h"
#include "text/json_field.h"

namespace r1::text {
namespace {

constexpr std::array<std::pair<std::string_view, SplitBehavior>, 5> kBehaviors = {{
    {"Isolated", SplitBehavior::kIsolated},
    {"Removed", SplitBehavior::kRemoved},
    {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
    {"MergedWithNext", SplitBehavior::kMergedWithNext},
    {"Contiguous", SplitBehavior::kContiguous},
}};

// Collects the parts of a tokenizer from the document's fields, one function per field.
class Reader {
 public:
  explicit Reader(const JsonField& root) : root_(root) {}

  TokenizerSpec read() {
    if (const JsonField version = root_.member("version");
        !version.is_null() && version.string() != "1.0") {
      version.fail(fmt::format("is \"{}\"", version.string()), "only 1.0 is known");
    }
    read_model(root_.member("model"));
    read_added_tokens(root_.member("added_tokens"));
    read_normalizer(root_.member("normalizer"));
    read_pre_tokenizer(root_.member("pre_tokenizer"));
    read_post_processor(root_.member("post_processor"));
    read_decoder(root_.member("decoder"));
    if (!spec_.prefix.empty()) spec_.bos = spec_.prefix.front();
    return std::move(spec_);
  }

 private:
  static std::string type_of(const JsonField& part) { return part.member("type").string(); }

  [[noreturn]] static void unsupported(const JsonField& part, std::string_view type) {
    part.fail(fmt::format("\"{}\" is not supported", type),
              "only byte-level BPE models can be read");
  }

  // Options that would change the model's tokens and that no byte-level model sets.
  static void require_off(const JsonField& option) {
    const Json& value = option.json();
    const bool off = value.is_null() || value == false || value == "" ||
                     (value.is_number() && value.get<double>() == 0.0);
    if (!off) option.fail("is not supported", "it must be off");
  }

  VocabEntry& entry(std::size_t id) {
    if (spec_.vocab.size() <= id) spec_.vocab.resize(id + 1);
    return spec_.vocab[id];
  }

  static void check_token(const std::string& token, const JsonField& field) {
    if (token.empty() || token.size() > kMaxTokenBytes) {
      field.fail(fmt::format("holds a token of {} bytes", token.size()),
                 fmt::format("1 to {} are allowed", kMaxTokenBytes));
    }
  }

  void read_model(const JsonField& model) {
    const JsonField type = model.member("type");
    if (!type.is_null() && type.string() != "BPE") unsupported(model, type.string());
    for (const char* option :
         {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"}) {
      require_off(model.member(option));
    }
    spec_.ignore_merges = model.member("ignore_merges").boolean(false);
    read_vocab(model.member("vocab"));
    read_merges(model.member("merges"));
  }

  void read_vocab(const JsonField& vocab) {
    const auto& tokens = vocab.object();
    if (tokens.size() > kMaxTokens) vocab.fail(fmt::format("holds {} tokens", tokens.size()));
    for (const auto& [text, id_json] : tokens) {
      check_token(text, vocab);
      const std::size_t limit = tokens.size() + kMaxUnusedIds;
      if (!id_json.is_number_unsigned() || id_json.get<std::uint64_t>() >= limit) {
        vocab.member(text).index(limit);  // throws, naming the token
      }
      const auto id = id_json.get<std::size_t>();
      VocabEntry& slot = entry(id);
      if (slot.in_model) vocab.fail(fmt::format("gives two tokens the id {}", id));
      const auto bytes = from_byte_alphabet(text);
      slot = {bytes ? *bytes : text, true, bytes.has_value()};
      ids_.emplace(text, static_cast<std::int32_t>(id));
    }
  }

  void read_merges(const JsonField& merges) {
    const auto& list = merges.array();
    if (list.size() > kMaxTokens) merges.fail(fmt::format("holds {} merges", list.size()));
    spec_.merges.reserve(list.size());
    for (std::size_t rank = 0; rank < list.size(); ++rank) {
      const auto fail = [&](std::string_view what) {
        merges.fail(fmt::format("the merge of rank {} {}", rank, what));
      };
      std::string_view left;
      std::string_view right;
      if (const Json& merge = list[rank]; merge.is_string()) {
        const std::string_view both = merge.get_ref<const std::string&>();
        const std::size_t space = both.find(' ');
        if (space == std::string_view::npos || both.find(' ', space + 1) != both.npos) {
          fail("is not two tokens with a space between");
        }
        left = both.substr(0, space);
        right = both.substr(space + 1);
      } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
                 merge[1].is_string()) {
        left = merge[0].get_ref<const std::string&>();
        right = merge[1].get_ref<const std::string&>();
      } else {
        fail("is neither \"a b\" nor [\"a\", \"b\"]");
      }
      const auto left_id = ids_.find(left);
      const auto right_id = ids_.find(right);
      if (left_id == ids_.end() || right_id == ids_.end()) {
        fail("names a token that is not in the vocabulary");
      }
      spec_.merges.emplace_back(left_id->second, right_id->second);
    }
  }

  void read_added_tokens(const JsonField& added) {
    if (added.is_null()) return;
    const std::size_t limit = spec_.vocab.size() + added.array().size() + kMaxUnusedIds;
    if (added.array().size() > kMaxUnusedIds) added.fail("holds too many tokens");
    added.for_each([&](const JsonField& field) {
      AddedToken token;
      token.content = field.member("content").string();
      check_token(token.content, field);
      token.id = static_cast<std::int32_t>(field.member("id").index(limit));
      token.single_word = field.member("single_word").boolean(false);
      token.lstrip = field.member("lstrip").boolean(false);
      token.rstrip = field.member("rstrip").boolean(false);
      token.special = field.member("special").boolean(false);
      token.normalized = field.member("normalized").boolean(!token.special);
      VocabEntry& slot = entry(static_cast<std::size_t>(token.id));
      const auto in_vocab = ids_.find(token.content);
      if (in_vocab != ids_.end() ? in_vocab->second != token.id : slot.in_model) {
        field.fail(fmt::format("disagrees with model.vocab about the id {}", token.id));
      }
      slot.bytes = token.content;
      // A content of letters that the byte-level alphabet uses for other bytes stands for itself.
      slot.byte_level = slot.byte_level && from_byte_alphabet(token.content) == token.content;
      spec_.added.push_back(std::move(token));
    });
  }

  void read_normalizer(const JsonField& normalizer) {
    if (normalizer.is_null()) return;
    const std::string type = type_of(normalizer);
    if (type == "NFC") {
      spec_.nfc = true;
    } else if (type == "Sequence") {
      normalizer.member("normalizers").for_each([&](const JsonField& part) {
        if (part.is_null()) part.fail("must be an object");
        read_normalizer(part);
      });
    } else {
      unsupported(normalizer, type);
    }
  }

  void read_pre_tokenizer(const JsonField& pre_tokenizer) {
    read_pre_tokenizer_part(pre_tokenizer);
    if (!byte_level_seen_)
      pre_tokenizer.fail("has no ByteLevel", "only byte-level BPE can be read");
  }

  void read_pre_tokenizer_part(const JsonField& part) {
    const std::string type = type_of(part);
    if (type == "Sequence") {
      part.member("pretokenizers").for_each([&](const JsonField& p) {
        read_pre_tokenizer_part(p);
      });
      return;
    }
    if (byte_level_seen_) part.fail(fmt::format("{} comes after ByteLevel", type));
    if (type == "ByteLevel") {
      byte_level_seen_ = true;
      spec_.pre_tokenizer.add_prefix_space = part.member("add_prefix_space").boolean(true);
      spec_.pre_tokenizer.gpt2_split = part.member("use_regex").boolean(true);
    } else if (type == "Digits") {
      const bool each = part.member("individual_digits").boolean(false);
      spec_.pre_tokenizer.splits.push_back(
          {.kind = SplitRule::Kind::kDigits,
           .pattern = {},
           .behavior = each ? SplitBehavior::kIsolated : SplitBehavior::kContiguous});
    } else if (type == "Split") {
      spec_.pre_tokenizer.splits.push_back(read_split(part));
    } else {
      unsupported(part, type);
    }
  }

  static SplitRule read_split(const JsonField& part) {
    SplitRule rule;
    const JsonField pattern = part.member("pattern");
    const bool regex = !pattern.member("Regex").is_null();
    rule.kind = regex ? SplitRule::Kind::kRegex : SplitRule::Kind::kLiteral;
    rule.pattern = pattern.member(regex ? "Regex" : "String").string();
    const JsonField behavior = part.member("behavior");
    const auto known = std::find_if(kBehaviors.begin(), kBehaviors.end(),
                                    [&](const auto& b) { return b.first == behavior.string(); });
    if (known == kBehaviors.end())
      behavior.fail(fmt::format("\"{}\" is unknown", behavior.string()));
    rule.behavior = known->second;
    rule.invert = part.member("invert").boolean(false);
    return rule;
  }

  void read_post_processor(const JsonField& post_processor) {
    if (post_processor.is_null()) return;
    const std::string type = type_of(post_processor);
    if (type == "Sequence") {
      post_processor.member("processors").for_each([&](const JsonField& part) {
        if (part.is_null()) part.fail("must be an object");
        read_post_processor(part);
      });
    } else if (type == "TemplateProcessing") {
      read_template(post_processor);
    } else if (type != "ByteLevel") {  // which only moves offsets, and we report none
      unsupported(post_processor, type);
    }
  }

  void read_template(const JsonField& part) {
    if (!spec_.prefix.empty()) part.fail("is a second TemplateProcessing");
    bool sequence_seen = false;
    part.member("single").for_each([&](const JsonField& item) {
      if (!item.member("Sequence").is_null()) {
        if (sequence_seen) item.fail("puts the text in twice");
        sequence_seen = true;
        return;
      }
      if (sequence_seen) item.fail("adds a token after the text, which is not supported");
      const std::string name = item.member("SpecialToken").member("id").string();
      const JsonField special = part.member("special_tokens").member(name);
      special.member("ids").for_each([&](const JsonField& id) {
        if (spec_.prefix.size() == 16) id.fail("is one token too many in front of the text");
        spec_.prefix.push_back(static_cast<std::int32_t>(id.index(spec_.vocab.size())));
      });
    });
    if (!sequence_seen) part.fail("leaves the text out");
  }

  void read_decoder(const JsonField& decoder) {
    if (decoder.is_null()) return;
    const std::string type = type_of(decoder);
    if (type != "ByteLevel") unsupported(decoder, type);
  }

  const JsonField& root_;
  TokenizerSpec spec_;
  std::unordered_map<std::string_view, std::int32_t> ids_;  // vocabulary by spelling in the file
  bool byte_level_seen_ = false;
};

Json byte_level_json(bool add_prefix_space, bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", add_prefix_space},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

Json split_json(const SplitRule& rule) {
  if (rule.kind == SplitRule::Kind::kDigits) {
    return {{"type", "Digits"}, {"individual_digits", rule.behavior == SplitBehavior::kIsolated}};
  }
  const auto name = std::find_if(kBehaviors.begin(), kBehaviors.end(),
                                 [&](const auto& b) { return b.second == rule.behavior; });
  const char* kind = rule.kind == SplitRule::Kind::kRegex ? "Regex" : "String";
  return {{"type", "Split"},
          {"pattern", {{kind, rule.pattern}}},
          {"behavior", name->first},
          {"invert", rule.invert}};
}

Json pre_tokenizer_json(const PreTokenizerSpec& spec) {
  Json parts = Json::array();
  for (const SplitRule& rule : spec.splits) parts.push_back(split_json(rule));
  parts.push_back(byte_level_json(spec.add_prefix_space, spec.gpt2_split));
  return {{"type", "Sequence"}, {"pretokenizers", parts}};
}

// How the vocabulary spells a token.
std::string spelling(const TokenizerSpec& spec, std::int32_t id) {
  const VocabEntry& entry = spec.vocab[static_cast<std::size_t>(id)];
  return entry.byte_level ? to_byte_alphabet(entry.bytes) : entry.bytes;
}

Json added_tokens_json(const TokenizerSpec& spec) {
  Json tokens = Json::array();
  for (const AddedToken& token : spec.added) {
    tokens.push_back({{"id", token.id},
                      {"content", token.content},
                      {"single_word", token.single_word},
                      {"lstrip", token.lstrip},
                      {"rstrip", token.rstrip},
                      {"normalized", token.normalized},
                      {"special", token.special}});
  }
  return tokens;
}

Json model_json(const TokenizerSpec& spec) {
  Json vocab = Json::object();
  for (std::size_t id = 0; id < spec.vocab.size(); ++id) {
    if (spec.vocab[id].in_model) vocab[spelling(spec, static_cast<std::int32_t>(id))] = id;
  }
  Json merges = Json::array();
  for (const auto& [left, right] : spec.merges) {
    merges.push_back({spelling(spec, left), spelling(spec, right)});
  }
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", spec.ignore_merges},
          {"vocab", vocab},
          {"merges", merges}};
}

Json post_processor_json(const TokenizerSpec& spec) {
  if (spec.prefix.empty()) return byte_level_json(false, false);
  Json single = Json::array();
  Json pair = Json::array();
  Json special = Json::object();
  const auto sequence = [](const char* name, int type) -> Json {
    return {{"Sequence", {{"id", name}, {"type_id", type}}}};
  };
  const auto add_prefix = [&](Json& list, int type) {
    for (const std::int32_t id : spec.prefix) {
      list.push_back({{"SpecialToken", {{"id", spelling(spec, id)}, {"type_id", type}}}});
    }
  };
  for (const std::int32_t id : spec.prefix) {
    const std::string name = spelling(spec, id);
    special[name] = {{"id", name}, {"ids", Json::array({id})}, {"tokens", Json::array({name})}};
  }
  add_prefix(single, 0);
  single.push_back(sequence("A", 0));
  add_prefix(pair, 0);
  pair.push_back(sequence("A", 0));
  add_prefix(pair, 1);
  pair.push_back(sequence("B", 1));
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", pair},
          {"special_tokens", special}};
}

}  // namespace

Tokenizer parse_tokenizer_json(std::string_view json, std::string_view where) {
  if (json.size() > kMaxTokenizerBytes) {
    throw Error(where, fmt::format("{} bytes", json.size()),
                fmt::format("at most {} are read", kMaxTokenizerBytes));
  }
  const Json document = parse_json(json, where, kMaxTokenizerDepth);
  return Tokenizer(Reader(JsonField(document, std::string(where), "")).read(), where);
}

std::string to_tokenizer_json(const Tokenizer& tokenizer) {
  const TokenizerSpec& spec = tokenizer.spec();
  const Json document = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", added_tokens_json(spec)},
      {"normalizer", spec.nfc ? Json{{"type", "NFC"}} : Json()},
      {"pre_tokenizer", pre_tokenizer_json(spec.pre_tokenizer)},
      {"post_processor", post_processor_json(spec)},
      {"decoder", byte_level_json(false, false)},
      {"model", model_json(spec)},
  };
  return document.dump(1) + "\n";
}

std::string to_tokenizer_config_json(const Tokenizer& tokenizer) {
  const TokenizerSpec& spec = tokenizer.spec();
  Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                 {"clean_up_tokenization_spaces", false}};
  const auto name = [&](const char* key, std::optional<std::int32_t> id) {
    if (id) config[key] = spelling(spec, *id);
  };
  name("bos_token", spec.bos);
  name("eos_token", spec.eos);
  name("pad_token", spec.pad);
  return config.dump(1) + "\n";
}

}  // namespace r1::text
