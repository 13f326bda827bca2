#include "train/benchmark_shape.h"

#include <algorithm>

#include "base/rng.h"

namespace r1::train {
namespace {

// Coprime to the number of lengths of either shape, so that steps of it meet each length once.
constexpr std::int64_t kLengthStride = 37;

BenchmarkShape nano() {
  BenchmarkShape shape;
  shape.name = "nano";
  ModelConfig& m = shape.model;
  m.vocab_size = 984;  // what its tokenizer comes to
  m.hidden_size = 192;
  m.intermediate_size = 512;
  m.moe_intermediate_size = 128;
  m.num_hidden_layers = 5;
  m.first_k_dense_replace = 1;
  m.num_attention_heads = 6;
  m.n_routed_experts = 8;
  m.n_shared_experts = 1;
  m.num_experts_per_tok = 2;
  m.n_group = 4;
  m.topk_group = 2;
  m.kv_lora_rank = 64;
  m.qk_nope_head_dim = 32;
  m.qk_rope_head_dim = 16;
  m.v_head_dim = 32;
  m.max_position_embeddings = 512;
  m.num_nextn_predict_layers = 1;
  m.initializer_range = 0.03;
  shape.tokens_per_step = 4096;
  shape.micro_batch_tokens = 4096;
  // 56 tokens on average, as the documents of the nano corpus.
  shape.shortest_document = 16;
  shape.longest_document = 96;
  shape.prompt = 48;
  shape.completion = 128;
  return shape;
}

BenchmarkShape hundred_million() {
  BenchmarkShape shape;
  shape.name = "100m";
  ModelConfig& m = shape.model;
  m.vocab_size = 32000;
  m.hidden_size = 768;
  m.intermediate_size = 2048;
  m.moe_intermediate_size = 192;
  m.num_hidden_layers = 12;
  m.first_k_dense_replace = 1;
  m.num_attention_heads = 12;
  m.n_routed_experts = 16;
  m.n_shared_experts = 1;
  m.num_experts_per_tok = 4;
  m.n_group = 4;
  m.topk_group = 2;
  m.kv_lora_rank = 256;
  m.qk_nope_head_dim = 64;
  m.qk_rope_head_dim = 32;
  m.v_head_dim = 64;
  m.max_position_embeddings = 1024;
  m.num_nextn_predict_layers = 1;
  shape.tokens_per_step = 2048;
  shape.micro_batch_tokens = 2048;
  shape.shortest_document = 128;
  shape.longest_document = 896;
  shape.prompt = 128;
  shape.completion = 64;
  return shape;
}

}  // namespace

BenchmarkShape benchmark_shape(std::string_view name) {
  if (name == "nano") return nano();
  if (name == "100m") return hundred_million();
  throw UsageError("--shape", fmt::format("there is no shape '{}'", name),
                   "the shapes are nano and 100m");
}

std::vector<std::int64_t> document_lengths(const BenchmarkShape& shape) {
  const std::int64_t kinds = shape.longest_document - shape.shortest_document + 1;
  std::vector<std::int64_t> lengths;
  for (std::int64_t left = shape.tokens_per_step, i = 0; left > 0; ++i) {
    const std::int64_t length = shape.shortest_document + i * kLengthStride % kinds;
    lengths.push_back(std::min(length, left));
    left -= lengths.back();
  }
  return lengths;
}

std::vector<Sequence> random_documents(const BenchmarkShape& shape) {
  Rng rng(1, 0, 0);
  std::vector<Sequence> documents;
  for (const std::int64_t length : document_lengths(shape)) {
    Sequence ids;
    for (std::int64_t i = 0; i < length; ++i) {
      ids.push_back(
          static_cast<std::int32_t>(rng.below(static_cast<std::uint32_t>(shape.model.vocab_size))));
    }
    documents.push_back(std::move(ids));
  }
  return documents;
}

}  // namespace r1::train
