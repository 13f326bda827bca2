#pragma once

#include <filesystem>
#include <memory>

#include "formats/gguf.h"
#include "model/weight_source.h"

// GGUF files of the architectures qwen2, qwen3, llama and deepseek2 (llama.cpp, gguf-py/constants).
namespace r1 {

// The shape that a file's metadata describes. Throws Error for an architecture or a scaling of the
// rotation that the model does not have. DeepSeek's two layouts of the latent's up-projection
// (attn_kv_b; attn_k_b and attn_v_b) read the same.
ModelConfig config_from_gguf(const GgufFile& file, std::string_view where);

// The file's name for a weight's Hugging Face name: "model.layers.0.mlp.up_proj.weight" is
// "blk.0.ffn_up.weight". One expert of several is a slice of "blk.N.ffn_up_exps.weight".
struct GgufName {
  std::string name;
  std::int64_t slice = -1;  // of the outermost axis; -1: the whole tensor
};
GgufName gguf_name_of(const std::string& name);

std::unique_ptr<WeightSource> open_gguf_weights(const std::filesystem::path& path);

}  // namespace r1
