#include "model/memory_plan.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <numeric>
#include <string_view>

#include "backend/matmul.h"
#include "model/batch.h"
#include "model/model.h"
#include "model/rope.h"
#include "tensor/allocated_bytes.h"

namespace r1 {
namespace {

// Of one pass of the engine (engine/engine.h): rows of one sequence's prompt, and of all.
constexpr std::int64_t kPrefillRows = 512, kBatchRows = 2048;
constexpr std::int64_t kLogitBytes = std::int64_t{16} << 20;
constexpr std::int64_t kLineBytes = 64;
// The program itself, its libraries and threads.
constexpr std::int64_t kProgramBytes = std::int64_t{16} << 20;
constexpr std::int64_t kVocabularyBytesPerToken = 250;  // of the tokenizer

std::int64_t held(std::int64_t bytes) {
  return static_cast<std::int64_t>(allocated_bytes(static_cast<std::size_t>(bytes)));
}

// Panels of a matrix that is read as numbers.
std::int64_t panels(Precision precision, std::int64_t n, std::int64_t k) {
  PackedMatrix packed;
  packed.precision = precision;
  packed.n = n;
  packed.k = k;
  return packed.bytes();
}

std::string_view kind_of(const std::string& name) {
  constexpr std::pair<std::string_view, std::string_view> kKinds[] = {
      {"model.embed_tokens", "embedding"}, {"lm_head", "output head"},
      {".mlp.experts.", "routed experts"}, {".mlp.shared_experts.", "shared experts"},
      {".mlp.gate.", "routers"},           {".mlp.", "feed-forward"},
      {".self_attn.", "attention"},
  };
  for (const auto& [part, kind] : kKinds) {
    if (name.find(part) != name.npos) return kind;
  }
  return "norms and others";
}

// Adds up what each weight becomes when it is loaded. The rules are those of Model::load and of the
// weights' refresh().
class Loaded {
 public:
  Loaded(const WeightSource& source, MemoryPlan& plan)
      : source_(source), config_(source.config()), precision_(config_.precision()), plan_(plan) {}

  void add(const Weight& weight) {
    if (weight.shape.rank() != 2) {
      add_to(kind_of(weight.name), held(weight.count() * std::int64_t{sizeof(float)}));
      return;
    }
    const std::int64_t n = weight.shape[0], k = weight.shape[1];
    std::optional<StoredRows> rows;
    if (precision_ == Precision::bf16) rows = source_.stored(weight.name, weight.shape);
    const std::int64_t as_panels = rows ? rows->panel_bytes(n, k) : panels(precision_, n, k);
    if (is_routed_expert(weight.name)) {
      add_expert(as_panels, rows.has_value());
    } else if (weight.name.starts_with("model.embed_tokens")) {
      add_to("embedding", held(rows ? static_cast<std::int64_t>(rows->bytes.size())
                                    : weight.count() * std::int64_t{sizeof(float)}));
      if (config_.tie_word_embeddings) add_to("output head", held(as_panels));
    } else if (weight.name.ends_with(".mlp.gate.weight")) {
      add_to("routers", held(panels(Precision::f32, n, k)));
    } else if (weight.name.ends_with(".kv_b_proj.weight")) {
      const std::int64_t key = panels(precision_, k, config_.qk_nope_head_dim);
      const std::int64_t value = panels(precision_, config_.v_head_dim, k);
      add_to("attention", config_.num_attention_heads * (held(key) + held(value)));
    } else {
      add_to(kind_of(weight.name), held(as_panels));
    }
  }

  void finish() {
    plan_.experts_on_demand = experts_ > 0 && all_stored_;
    // Stored experts share one piece of memory, in slots of equal size.
    plan_.routed_experts = plan_.experts_on_demand ? held(experts_ * slot_) : expert_bytes_;
    plan_.least_experts = config_.n_routed_experts * slot_;
    if (experts_ > 0) add_to("routed experts", plan_.routed_experts);
    const std::int64_t positions = rope_positions(config_, plan_.context);
    add_to("rotations", 2 * held(positions * config_.rope_dim() / 2 * std::int64_t{sizeof(float)}));
  }

 private:
  void add_to(std::string_view kind, std::int64_t bytes) {
    const auto found = std::ranges::find(plan_.parts, kind, &MemoryPlan::Part::name);
    if (found != plan_.parts.end()) {
      found->bytes += bytes;
    } else {
      plan_.parts.push_back({std::string(kind), bytes});
    }
  }

  // The three matrices of an expert come one after another.
  void add_expert(std::int64_t bytes, bool is_stored) {
    expert_bytes_ += held(bytes);
    all_stored_ = all_stored_ && is_stored;
    open_slot_ += (bytes + kLineBytes - 1) / kLineBytes * kLineBytes;
    if (++matrices_ % 3 != 0) return;
    slot_ = std::max(slot_, open_slot_);
    open_slot_ = 0;
    ++experts_;
  }

  const WeightSource& source_;
  const ModelConfig& config_;
  Precision precision_;
  MemoryPlan& plan_;
  std::int64_t matrices_ = 0, experts_ = 0, expert_bytes_ = 0, slot_ = 0, open_slot_ = 0;
  bool all_stored_ = true;
};

// Numbers that one row leaves behind on its way through a layer: model/*_attention.cc,
// feed_forward.cc and ops/experts.cc, tensor by tensor.
std::int64_t attention_row(const ModelConfig& c) {
  const std::int64_t heads = c.num_attention_heads;
  if (!c.has_latent_attention()) {
    const std::int64_t q = heads * c.head_dim, kv = c.num_key_value_heads * c.head_dim;
    return (c.qk_norm ? 3 : 2) * (q + kv) + kv + q;
  }
  const std::int64_t row = c.kv_row_size();
  return 2 * c.q_lora_rank + heads * (c.qk_nope_head_dim + c.qk_rope_head_dim) + heads * row +
         3 * row + heads * c.kv_lora_rank + heads * c.v_head_dim;
}

std::int64_t feed_forward_row(const ModelConfig& c) {
  const std::int64_t dense = 3 * c.intermediate_size;
  if (c.n_routed_experts == 0) return dense;
  // What the routed experts work with is free again when the shared ones begin.
  const std::int64_t routed = c.num_experts_per_tok * (c.hidden_size + 3 * c.moe_intermediate_size);
  const std::int64_t shared = c.hidden_size + 3 * c.n_shared_experts * c.moe_intermediate_size;
  const std::int64_t experts = 2 * c.n_routed_experts + c.hidden_size + std::max(routed, shared);
  return c.first_k_dense_replace > 0 ? std::max(dense, experts) : experts;
}

std::int64_t workspace(const ModelConfig& config, std::int64_t context, std::int64_t parallel) {
  const std::int64_t rows =
      std::min(kBatchRows, std::min(context, kPrefillRows) * std::min(parallel, kBatchRows));
  const std::int64_t row =
      8 * config.hidden_size + attention_row(config) + feed_forward_row(config);
  const std::int64_t logits = std::min<std::int64_t>(
      std::max<std::int64_t>(kLogitBytes, 4 * config.vocab_size), 4 * config.vocab_size * parallel);
  // Factors of products are rounded to bf16 in memory of their own.
  const std::int64_t widest = std::max({config.intermediate_size, config.hidden_size,
                                        config.num_attention_heads * config.v_head_dim,
                                        config.num_attention_heads * config.head_dim});
  return rows * (row * std::int64_t{sizeof(float)} + widest * std::int64_t{sizeof(bf16)}) + logits +
         kProgramBytes + kVocabularyBytesPerToken * config.vocab_size;
}

std::int64_t pages_of(std::int64_t context) { return (context + kPageTokens - 1) / kPageTokens; }

// The number in a file of the system's; -1 where it has none.
std::int64_t read_number(const char* path) {
  std::ifstream file(path);
  std::string text;
  std::int64_t number = -1;
  if (file >> text) std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

std::int64_t MemoryPlan::weights() const {
  return std::accumulate(parts.begin(), parts.end(), std::int64_t{0},
                         [](std::int64_t sum, const Part& part) { return sum + part.bytes; });
}

MemoryPlan plan_memory(const WeightSource& source, const MemoryNeeds& needs) {
  const ModelConfig& config = source.config();
  MemoryPlan plan;
  plan.context = needs.context > 0 ? std::min(needs.context, config.max_position_embeddings)
                                   : config.max_position_embeddings;
  plan.parallel = std::max<std::int64_t>(needs.parallel, 1);
  Loaded loaded(source, plan);
  Model shape(config, config.precision());
  shape.visit_weights([&](const Weight& weight) { loaded.add(weight); });
  loaded.finish();

  const std::int64_t pages = pages_of(plan.context) * plan.parallel;
  const auto cache = [&](KvStorage storage) {
    return pages * KvCache::bytes_per_page(config.num_hidden_layers, config.kv_row_size(),
                                           config.precision(), storage);
  };
  plan.cache_plain = cache(KvStorage::plain);
  const auto block = static_cast<std::int64_t>(block_size(GgmlType::q8_0).values);
  if (config.kv_row_size() % block == 0) plan.cache_q8_0 = cache(KvStorage::q8_0);
  plan.workspace = workspace(config, plan.context, plan.parallel);
  return plan;
}

MemoryVerdict judge(const MemoryPlan& plan, std::int64_t memory) {
  using Kind = MemoryVerdict::Kind;
  if (plan.total() <= memory) return {Kind::fits, plan.context, 0};
  const std::int64_t room = memory - plan.weights() - plan.workspace;
  const std::int64_t page = plan.cache_plain / pages_of(plan.context);
  const std::int64_t context = room > 0 ? room / page * kPageTokens : 0;
  const std::int64_t budget = memory - plan.cache_plain - plan.workspace;
  const std::int64_t least = plan.weights() - plan.routed_experts + plan.least_experts;
  const bool on_demand = plan.experts_on_demand && budget >= least;
  if (context > 0 && (!on_demand || 2 * context >= plan.context)) {
    return {Kind::short_context, context, 0};
  }
  if (on_demand) return {Kind::on_demand, plan.context, budget};
  return {};
}

std::int64_t machine_memory() {
  const std::int64_t memory = std::int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  const std::int64_t limit = read_number("/sys/fs/cgroup/memory.max");
  return limit > 0 ? std::min(memory, limit) : memory;
}

}  // namespace r1
