#include "serve/config.h"

#include <charconv>
#include <functional>
#include <type_traits>
#include <utility>

#include "base/edit_distance.h"
#include "base/error.h"
#include "base/file.h"
#include "formats/yaml.h"

namespace r1::serve {
namespace {

// Throws Error at the node's line.
[[noreturn]] void refuse_value(const YamlNode& node, std::string_view where,
                               const std::string& what) {
  throw Error(fmt::format("{}:{}", where, node.line), what);
}

template <typename T>
T value_of(const YamlNode& node, const std::string& key, std::string_view where,
           std::string_view expected) {
  const auto mistyped = [&] {
    refuse_value(node, where,
                 fmt::format("\"{}\" must be {}, not {}", key, expected, node.describe()));
  };
  if (node.kind != YamlNode::Kind::kScalar) mistyped();
  if constexpr (std::is_same_v<T, std::string>) {
    return node.text;
  } else if constexpr (std::is_same_v<T, bool>) {
    if (node.quoted || (node.text != "true" && node.text != "false")) mistyped();
    return node.text == "true";
  } else {
    T value{};
    const char* end = node.text.data() + node.text.size();
    const auto [stopped, error] = std::from_chars(node.text.data(), end, value);
    if (node.quoted || error != std::errc() || stopped != end) mistyped();
    return value;
  }
}

// The keys of one mapping, each with what reads it.
class Keys {
 public:
  using Read = std::function<void(const YamlNode&, const std::string& key)>;

  explicit Keys(std::string where) : where_(std::move(where)) {}

  void add(std::string key, Read read) { keys_.emplace(std::move(key), std::move(read)); }
  void text(std::string key, std::string& target) {
    add(std::move(key), [this, &target](const YamlNode& node, const std::string& name) {
      target = value_of<std::string>(node, name, where_, "a text");
    });
  }
  void flag(std::string key, bool& target) {
    add(std::move(key), [this, &target](const YamlNode& node, const std::string& name) {
      target = value_of<bool>(node, name, where_, "true or false");
    });
  }
  template <typename T>
  void integer(std::string key, T& target, std::int64_t low, std::int64_t high) {
    add(std::move(key), [this, &target, low, high](const YamlNode& node, const std::string& name) {
      target = static_cast<T>(number(node, name, low, high));
    });
  }
  void seconds(std::string key, std::chrono::seconds& target) {
    add(std::move(key), [this, &target](const YamlNode& node, const std::string& name) {
      target = std::chrono::seconds(number(node, name, 1, 86400));
    });
  }
  void texts(std::string key, std::vector<std::string>& target) {
    add(std::move(key), [this, &target](const YamlNode& node, const std::string& name) {
      if (node.kind == YamlNode::Kind::kSequence) {
        target.clear();
        for (const YamlNode& item : node.children) {
          target.push_back(value_of<std::string>(item, name, where_, "texts"));
        }
      } else {
        target = {value_of<std::string>(node, name, where_, "a text or a list of texts")};
      }
    });
  }
  void path(std::string key, std::optional<std::filesystem::path>& target) {
    add(std::move(key), [this, &target](const YamlNode& node, const std::string& name) {
      target = value_of<std::string>(node, name, where_, "a path");
    });
  }

  void read(const YamlNode& node) const {
    if (node.kind == YamlNode::Kind::kNull) return;
    if (node.kind != YamlNode::Kind::kMap) refuse_value(node, where_, "must be keys with values");
    for (std::size_t i = 0; i < node.keys.size(); ++i) {
      const auto found = keys_.find(node.keys[i]);
      if (found == keys_.end()) {
        throw Error(fmt::format("{}:{}", where_, node.children[i].line),
                    fmt::format("there is no key \"{}\"", node.keys[i]),
                    fmt::format("did you mean \"{}\"?", nearest(node.keys[i])));
      }
      found->second(node.children[i], node.keys[i]);
    }
  }

 private:
  std::int64_t number(const YamlNode& node, const std::string& key, std::int64_t low,
                      std::int64_t high) const {
    const auto value = value_of<std::int64_t>(node, key, where_, "a whole number");
    if (value < low || value > high) {
      refuse_value(node, where_,
                   fmt::format("\"{}\" must be from {} to {}, not {}", key, low, high, value));
    }
    return value;
  }
  std::string nearest(const std::string& given) const {
    std::string best;
    std::size_t least = std::string::npos;
    for (const auto& [key, read] : keys_) {
      if (const std::size_t distance = edit_distance(given, key); distance < least) {
        least = distance;
        best = key;
      }
    }
    return best;
  }

  std::string where_;
  std::map<std::string, Read> keys_;
};

void read_model(const YamlNode& node, const std::filesystem::path& folder, const std::string& where,
                std::vector<ModelEntry>& models) {
  ModelEntry entry;
  std::string path;
  if (node.kind == YamlNode::Kind::kScalar) {
    path = node.text;
  } else {
    Keys keys(where);
    keys.text("name", entry.name);
    keys.text("path", path);
    keys.texts("aliases", entry.aliases);
    keys.texts("quick_aliases", entry.quick_aliases);
    keys.read(node);
  }
  if (path.empty()) refuse_value(node, where, "a model of \"models\" has no path");
  // Beside the file, if it is there; else a name for the caller to resolve.
  entry.path = std::filesystem::exists(folder / path) ? folder / path : std::filesystem::path(path);
  models.push_back(std::move(entry));
}

void declare(Keys& keys, Limits& limits) {
  constexpr std::int64_t kMany = std::int64_t{1} << 40;
  keys.integer("connections", limits.connections, 1, 1'000'000);
  keys.integer("header_bytes", limits.header_bytes, 1024, 1 << 20);
  keys.integer("body_bytes", limits.body_bytes, 1024, kMany);
  keys.seconds("header_seconds", limits.header_time);
  keys.seconds("body_seconds", limits.body_time);
  keys.seconds("idle_seconds", limits.idle_time);
  keys.seconds("write_seconds", limits.write_time);
  keys.seconds("request_seconds", limits.request_time);
  keys.seconds("keep_alive_seconds", limits.quiet_time);
  keys.integer("queued_sequences", limits.queued_sequences, 1, 1'000'000);
  keys.integer("running_sequences", limits.running_sequences, 1, 4096);
}

ReasoningField reasoning_field(const std::string& name, std::string_view where) {
  if (name == "reasoning_content") return ReasoningField::reasoning_content;
  if (name == "reasoning") return ReasoningField::reasoning;
  if (name == "both") return ReasoningField::both;
  if (name == "none") return ReasoningField::none;
  throw Error(where,
              fmt::format("\"reasoning_field\" must be reasoning_content, reasoning, both or "
                          "none, not \"{}\"",
                          name));
}

}  // namespace

ServerConfig read_server_config(const std::filesystem::path& path) {
  const std::string where = path.string();
  const YamlNode root = parse_yaml(read_text_file(path, kMaxYamlBytes), where);
  ServerConfig config;
  Keys keys(where);
  keys.add("models", [&](const YamlNode& node, const std::string& key) {
    if (node.kind != YamlNode::Kind::kSequence) {
      refuse_value(node, where, fmt::format("\"{}\" must be a list", key));
    }
    for (const YamlNode& model : node.children) {
      read_model(model, path.parent_path(), where, config.models);
    }
  });
  keys.text("host", config.host);
  keys.integer("port", config.port, 0, 65535);
  keys.path("tls_certificate", config.tls_certificate);
  keys.path("tls_key", config.tls_key);
  keys.texts("origins", config.origins);
  keys.texts("hosts", config.hosts);
  keys.path("keys", config.keys);
  keys.add("prices", [&](const YamlNode& node, const std::string& key) {
    config.prices = PriceTable::load(value_of<std::string>(node, key, where, "a path"));
  });
  keys.path("log", config.log);
  keys.integer("threads", config.threads, 0, 1024);
  keys.integer("memory", config.memory, 0, std::int64_t{1} << 50);
  keys.integer("keep_alive", config.keep_alive, -1, std::int64_t{1} << 32);
  keys.add("limits", [&](const YamlNode& node, const std::string&) {
    Keys inner(where);
    declare(inner, config.limits);
    inner.read(node);
  });
  keys.add("reasoning_field", [&](const YamlNode& node, const std::string& key) {
    config.reasoning_field =
        reasoning_field(value_of<std::string>(node, key, where, "a text"), where);
  });
  keys.flag("refuse_fed_back_reasoning", config.refuse_fed_back_reasoning);
  keys.flag("strict_fields", config.strict_fields);
  keys.flag("stop_cycles", config.stop_cycles);
  keys.text("wind_down", config.wind_down);
  keys.flag("log_prompts", config.log_prompts);
  keys.read(root);
  return config;
}

}  // namespace r1::serve
