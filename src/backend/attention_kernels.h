#pragma once

#include <cstdint>

#include "tensor/bf16.h"

namespace r1 {

// Keys and values come in pages of this many tokens, position 0 first. Attention walks them in
// blocks of kAttentionBlock positions counted from position 0, so a row's bits do not depend on
// how the cache is paged, chunked or shared.
inline constexpr std::int64_t kPageTokens = 64;
inline constexpr std::int64_t kAttentionBlock = 16;

// The longest key and value together that a kernel's scratch on the stack is made for.
inline constexpr std::int64_t kMaxAttentionDims = 2048;

// Where the keys and values of one sequence and one KV head lie. `T` is float or bf16.
// pages[p] points at the row of position p * kPageTokens; rows are row_stride elements apart.
// The key is [key_dim] at key_offset, the value [value_dim] at value_offset of a row; for MLA the
// value is the latent, which is also the head of the key, so the two overlap.
template <typename T>
struct KvRows {
  const T* const* pages;
  std::int64_t row_stride;
  std::int64_t key_offset, value_offset;
  std::int64_t key_dim, value_dim;
};

// Queries of `tokens` consecutive positions from `start`, `heads` query heads that share one KV
// head. Token t, head h: q + t * q_token_stride + h * key_dim; the outputs likewise with value_dim.
// Token t sees positions [0, start + t].
struct AttentionQueries {
  std::int64_t tokens, heads, start;
  const float* q;
  std::int64_t q_token_stride;
  float scale;
};

// R1_CHECKs the shapes of a call; every kernel below does so first.
void check_attention(const AttentionQueries& queries, std::int64_t key_dim, std::int64_t value_dim);

struct AttentionKernels {
  // Softmax attention with an online maximum per block (docs/numerics.md, "Attention").
  // out [tokens, heads, value_dim]; lse [tokens, heads] = log sum exp of the scaled scores
  // (token stride lse_token_stride), may be null.
  void (*forward_f32)(const AttentionQueries& queries, const KvRows<float>& kv, float* out,
                      std::int64_t out_token_stride, float* lse, std::int64_t lse_token_stride);
  void (*forward_bf16)(const AttentionQueries& queries, const KvRows<bf16>& kv, float* out,
                       std::int64_t out_token_stride, float* lse, std::int64_t lse_token_stride);

  // Gradients of the rows of a call; a whole sequence has start = 0, and calls on consecutive
  // pieces of one, in order, give the bits of a call on the whole. out, dout and lse as in the
  // forward; dq is laid out as q. dkv holds f32 rows in the layout of the KV rows (row_stride,
  // offsets), one per position from 0, contiguous. Everything is added to what is there.
  void (*backward_f32)(const AttentionQueries& queries, const KvRows<float>& kv, const float* out,
                       const float* dout, std::int64_t out_token_stride, const float* lse,
                       std::int64_t lse_token_stride, float* dq, float* dkv);
  void (*backward_bf16)(const AttentionQueries& queries, const KvRows<bf16>& kv, const float* out,
                        const float* dout, std::int64_t out_token_stride, const float* lse,
                        std::int64_t lse_token_stride, float* dq, float* dkv);
};

}  // namespace r1
