#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backend/matmul.h"
#include "backend/stored_panels.h"
#include "ops/tensor.h"
#include "tensor/aligned_buffer.h"

namespace r1 {

// Values of a matrix as a file holds them: row after row of blocks of one type, or the panels that
// products read (backend/stored_panels.h). `owned` is used where the file lays rows out otherwise,
// or is not there for as long.
struct StoredRows {
  GgmlType type;
  std::span<const std::byte> bytes;
  AlignedBuffer<std::byte> owned = {};
  bool mapped = false;  // the bytes are a mapped file's
  bool panels = false;  // ready to be multiplied: the bytes must outlive the weight
  QuantizedProduct product = QuantizedProduct::int8;  // how a quantised type is multiplied

  std::size_t row_bytes(std::int64_t row_size) const;
  // Rows [first, first + count) of the matrix of that shape, as blocks: where they lie, or out of
  // the panels, in `unpacked`.
  std::span<const std::byte> rows(const Shape& shape, std::int64_t first, std::int64_t count,
                                  AlignedBuffer<std::byte>& unpacked) const;
  // A copy that owns its bytes; a view of the same bytes, which must outlive it.
  StoredRows clone() const;
  StoredRows view() const { return {type, bytes, {}, mapped, panels, product}; }
};

// One parameter as the checkpoint knows it. `value` is the fp32 master; what a forward pass reads
// is the working copy derived from it (rounded to bf16 in bf16 precision), held by the layers below
// and renewed by their refresh() after every optimiser step.
struct Weight {
  std::string name;  // as in the checkpoint: "model.layers.0.self_attn.o_proj.weight"
  Shape shape;       // [out, in] for matrices, [n] for vectors
  AlignedBuffer<float> value;
  std::optional<StoredRows> stored = {};  // instead of `value`, when loaded without training
  AlignedBuffer<float> gradient;          // empty unless training
  bool trainable = true;  // false: moved by rules, not by gradients (the routing bias)
  bool decay = true;      // whether weight decay applies

  std::int64_t count() const { return shape.count(); }
  // Decodes what is stored into `value`, for those that need the numbers.
  void decode_stored(Backend& backend);
  // Null where no gradient is wanted.
  float* gradient_data() { return trainable ? gradient.data() : nullptr; }
};

// y = x W^T + bias.
struct LinearWeight {
  Weight weight;                      // [out, in]
  Weight bias;                        // [out], or without a shape
  AlignedBuffer<float> bias_working;  // as a TableWeight's
  PackedMatrix forward;               // W^T in panels
  PackedMatrix backward;              // W in panels, only when training

  std::int64_t out_features() const { return weight.shape[0]; }
  std::int64_t in_features() const { return weight.shape[1]; }
  bool has_bias() const { return bias.shape.rank() > 0; }
  // Packs the working copy. With a product in `precision`; stored rows are packed as they are, for
  // products in bf16 or in the mode that is wanted for quantised ones. Stored panels are multiplied
  // where they lie.
  void refresh(Backend& backend, Precision precision, bool training);
  // With products in f32 of values rounded as `precision` asks: the router's gate.
  void refresh_f32(Backend& backend, Precision precision, bool training);

 private:
  void refresh_bias(Backend& backend, Precision precision);
};

// The up-projection of MLA's latent, kv_b_proj [heads * (key_dim + value_dim), latent], seen per
// head: the absorbed form multiplies queries by the key half and outputs by the value half.
struct LatentUpWeight {
  Weight weight;
  std::int64_t heads = 0, key_dim = 0, value_dim = 0;  // key_dim is qk_nope_head_dim
  // Per head: key half [key_dim, latent] as B (q W_uk) and transposed for the backward; value half
  // [value_dim, latent] transposed (u W_uv^T) and as B for the backward.
  std::vector<PackedMatrix> key_forward, key_backward, value_forward, value_backward;

  std::int64_t latent() const { return weight.shape[1]; }
  void refresh(Backend& backend, Precision precision, bool training);
};

// A vector (norm weight, bias) or a table of rows (embedding) read as numbers, not multiplied.
struct TableWeight {
  Weight weight;
  AlignedBuffer<float> working;  // rounded to bf16 values in bf16 precision
  // Instead of `working`: a table is decoded row by row. A mapped file's rows stay where they are.
  std::optional<StoredRows> stored;

  const float* data() const { return working.data(); }
  // Row `index` as numbers, into out [row size].
  void read_row(const VectorKernels& kernels, std::int64_t index, float* out) const;
  void refresh(Backend& backend, Precision precision);
};

}  // namespace r1
