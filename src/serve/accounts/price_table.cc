#include "serve/accounts/price_table.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "formats/yaml.h"

namespace r1::serve {
namespace {

constexpr std::int64_t kTokensPerPrice = 1'000'000;
// Keeps the price of kMaxRequestTokens of each kind in Money's range.
constexpr std::int64_t kMaxPricePerMillion = 10'000;

class Reader {
 public:
  explicit Reader(std::string_view where) : where_(where) {}

  [[noreturn]] void fail(const YamlNode& node, std::string_view what,
                         std::string_view advice = {}) const {
    throw Error(place(node), what, advice);
  }
  std::string place(const YamlNode& node) const {
    return fmt::format("{}:{}", where_, std::max(node.line, 1));
  }

  void expect_map(const YamlNode& node, std::string_view what) const {
    if (node.kind == YamlNode::Kind::kMap) return;
    fail(node, fmt::format("{} must be a mapping, not {}", what, node.describe()));
  }

  std::string currency(const YamlNode& node) const {
    const bool valid = node.kind == YamlNode::Kind::kScalar && node.text.size() == 3 &&
                       std::ranges::all_of(node.text, [](char c) { return c >= 'A' && c <= 'Z'; });
    if (!valid) {
      fail(node, fmt::format("currency is {}, expected three capital letters", node.describe()),
           "write USD or CNY");
    }
    return node.text;
  }

  // Of one token.
  Money per_token(std::string_view model, std::string_view kind, const YamlNode& node) const {
    const std::string name = fmt::format("{} of {}", kind, model);
    if (node.kind != YamlNode::Kind::kScalar) {
      fail(node,
           fmt::format("{} is {}, expected a price per million tokens", name, node.describe()));
    }
    const Money million = Money::parse(node.text, fmt::format("{}: {}", place(node), name));
    if (million < Money() ||
        million > Money::from_picos(Money::kPicosPerUnit) * kMaxPricePerMillion) {
      fail(node, fmt::format("{} is {}, expected a price from 0 to {}", name, node.text,
                             kMaxPricePerMillion));
    }
    if (million.picos() % kTokensPerPrice != 0) {
      fail(node, fmt::format("{} is {}, a price has at most six decimals", name, node.text));
    }
    return Money::from_picos(million.picos() / kTokensPerPrice);
  }

  Price price(std::string_view model, const YamlNode& node) const {
    expect_map(node, fmt::format("the prices of {}", model));
    Price price;
    std::array<std::pair<std::string_view, Money*>, 3> kinds = {{
        {"cache_hit", &price.cache_hit},
        {"cache_miss", &price.cache_miss},
        {"output", &price.output},
    }};
    for (std::size_t i = 0; i < node.keys.size(); ++i) {
      const auto kind = std::ranges::find(kinds, std::string_view(node.keys[i]),
                                          &std::pair<std::string_view, Money*>::first);
      if (kind == kinds.end()) {
        fail(node.children[i], fmt::format("unknown key '{}' of {}", node.keys[i], model),
             "the keys are cache_hit, cache_miss and output");
      }
      *kind->second = per_token(model, kind->first, node.children[i]);
    }
    for (const auto& [kind, target] : kinds) {
      if (std::ranges::find(node.keys, kind) == node.keys.end()) {
        fail(node, fmt::format("{} has no {}", model, kind), "write 0 for what is free");
      }
    }
    return price;
  }

 private:
  std::string where_;
};

}  // namespace

Money Price::of(const Usage& usage) const {
  return cache_hit * usage.cache_hit_tokens + cache_miss * usage.cache_miss_tokens +
         output * usage.completion_tokens;
}

Money Price::worst_case(std::int64_t prompt_tokens, std::int64_t max_output_tokens) const {
  return std::max(cache_hit, cache_miss) * prompt_tokens + output * max_output_tokens;
}

PriceTable PriceTable::parse(std::string_view yaml, std::string_view where) {
  const YamlNode root = parse_yaml(yaml, where);
  const Reader reader(where);
  reader.expect_map(root, "a price table");
  PriceTable table;
  bool has_currency = false;
  for (std::size_t i = 0; i < root.keys.size(); ++i) {
    const YamlNode& node = root.children[i];
    if (root.keys[i] == "currency") {
      table.currency_ = reader.currency(node);
      has_currency = true;
    } else if (root.keys[i] == "models") {
      reader.expect_map(node, "models");
      for (std::size_t m = 0; m < node.keys.size(); ++m) {
        table.prices_.emplace(node.keys[m], reader.price(node.keys[m], node.children[m]));
      }
    } else {
      reader.fail(node, fmt::format("unknown key '{}'", root.keys[i]),
                  "the keys are currency and models");
    }
  }
  if (!has_currency) reader.fail(root, "there is no currency", "write currency: USD or CNY");
  if (table.prices_.empty())
    reader.fail(root, "there are no models", "without prices, give no file");
  return table;
}

PriceTable PriceTable::load(const std::filesystem::path& file) {
  return parse(read_text_file(file, kMaxYamlBytes), file.native());
}

const Price* PriceTable::find(std::string_view model) const {
  auto found = prices_.find(model);
  if (found == prices_.end()) found = prices_.find(std::string_view("*"));
  if (found != prices_.end()) return &found->second;
  static constexpr Price kFree;
  return prices_.empty() ? &kFree : nullptr;
}

}  // namespace r1::serve
