#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/config.h"
#include "model/memory_plan.h"
#include "model/model.h"
#include "reasoning/reasoning_model.h"
#include "serve/config.h"

namespace r1::serve {

// A model that can be served: all of it but the weights.
struct CatalogEntry {
  std::string name;                        // "r1-zero-nano"
  std::vector<std::string> aliases;        // other names for it, "deepseek-reasoner"
  std::vector<std::string> quick_aliases;  // names under which it does not think: "deepseek-chat"
  std::filesystem::path path;
  ModelConfig config;
  StoredTensors contents;
  reasoning::PromptSide side;
  std::int64_t modified = 0;      // seconds since 1970, of its files
  std::int64_t file_bytes = 0;    // of its weights
  std::int64_t weight_bytes = 0;  // in memory
  std::string digest;  // names its files' state, 64 hex digits; not a hash of the weights

  // The ids of <think> and </think>, where the vocabulary has them as tokens; -1 otherwise.
  std::int32_t think_id = -1, think_end_id = -1;
  // Whether it can think before it answers.
  bool thinks() const;
  // Whether it does so when it is asked under this name and nothing is said about it.
  bool thinks_as(std::string_view name) const;
  // All names, its own first.
  std::vector<std::string> names() const;
  std::int64_t context() const { return config.max_position_embeddings; }
};

// The models of a server by their names. Immutable, read by all threads.
class Catalog {
 public:
  // Reads all but the weights of every model, so that a broken one is found at the start. Throws
  // Error.
  explicit Catalog(const ServerConfig& config);

  // By name or alias; Ollama's ":latest" is overlooked. Empty: the first. Throws ApiError (404).
  const CatalogEntry& find(std::string_view name) const;
  const std::vector<std::unique_ptr<CatalogEntry>>& entries() const { return entries_; }

 private:
  std::vector<std::unique_ptr<CatalogEntry>> entries_;
};

}  // namespace r1::serve
