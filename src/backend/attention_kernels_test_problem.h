#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "backend/attention_kernels.h"
#include "base/rng.h"

namespace r1::attention_test {

struct Shape {
  std::int64_t tokens, heads, start, key_dim, value_dim;
  bool latent = false;        // the value is the head of the key, as in MLA
  std::int64_t misalign = 0;  // elements before every array and page

  std::int64_t positions() const { return start + tokens; }
  std::int64_t key_offset() const { return 1; }
  std::int64_t value_offset() const { return latent ? key_offset() : key_offset() + key_dim + 2; }
  // Gaps before, between and after key and value, which no kernel may touch.
  std::int64_t row_stride() const {
    return std::max(key_offset() + key_dim, value_offset() + value_dim) + 3;
  }
  std::int64_t q_stride() const { return heads * key_dim + 5; }
  std::int64_t out_stride() const { return heads * value_dim + 3; }
  std::int64_t lse_stride() const { return heads + 1; }
};

template <typename T>
T stored(float value);
template <>
inline float stored(float value) {
  return value;
}
template <>
inline bf16 stored(float value) {
  return round_to_bf16(value);
}
inline float widened(float value) { return value; }
inline float widened(bf16 value) { return to_float(value); }

// Queries and one sequence's rows, drawn from a seed. The rows lie in pages of their own, each as
// long as needed and no longer, so that a sanitizer sees any read beyond.
template <typename T>
struct Problem {
  Shape shape;
  float scale;
  std::vector<float> q;
  std::vector<T> rows;  // [positions, row_stride], what the pages hold

  Problem(const Shape& s, std::uint64_t seed, float spread = 1.0f)
      : shape(s), scale(1.0f / std::sqrt(static_cast<float>(s.key_dim))) {
    Rng rng(seed);
    q.resize(s.misalign + s.tokens * s.q_stride());
    for (float& x : q) x = spread * rng.normal();
    rows.resize(s.positions() * s.row_stride());
    for (T& x : rows) x = stored<T>(rng.normal());
  }

  float* query(std::int64_t token, std::int64_t head) {
    return q.data() + shape.misalign + token * shape.q_stride() + head * shape.key_dim;
  }
  const float* query(std::int64_t token, std::int64_t head) const {
    return const_cast<Problem*>(this)->query(token, head);
  }
  T* key(std::int64_t position) {
    return rows.data() + position * shape.row_stride() + shape.key_offset();
  }
  const T* key(std::int64_t position) const { return const_cast<Problem*>(this)->key(position); }
  T* value(std::int64_t position) {
    return rows.data() + position * shape.row_stride() + shape.value_offset();
  }
  const T* value(std::int64_t position) const {
    return const_cast<Problem*>(this)->value(position);
  }

  AttentionQueries queries() const {
    return {shape.tokens,     shape.heads, shape.start, q.data() + shape.misalign,
            shape.q_stride(), scale};
  }
};

// Pages of a problem's rows, allocated in random order.
template <typename T>
struct Pages {
  std::vector<std::vector<T>> storage;
  std::vector<const T*> table;
  KvRows<T> rows;

  explicit Pages(const Problem<T>& problem, std::uint64_t seed = 1) {
    const Shape& s = problem.shape;
    const std::int64_t count = (s.positions() + kPageTokens - 1) / kPageTokens;
    std::vector<std::int64_t> order(count);
    for (std::int64_t p = 0; p < count; ++p) order[p] = p;
    Rng(seed).shuffle(order);
    storage.resize(count);
    table.resize(count);
    for (const std::int64_t p : order) {
      const std::int64_t first = p * kPageTokens;
      const std::int64_t tokens = std::min(kPageTokens, s.positions() - first);
      storage[p].resize(s.misalign + tokens * s.row_stride());
      std::copy_n(problem.rows.data() + first * s.row_stride(), tokens * s.row_stride(),
                  storage[p].data() + s.misalign);
      table[p] = storage[p].data() + s.misalign;
    }
    rows = {table.data(), s.row_stride(), s.key_offset(), s.value_offset(), s.key_dim, s.value_dim};
  }
};

// Every array as a kernel leaves it, gaps included, so that comparing them whole also shows writes
// where none belong.
struct ForwardResult {
  std::vector<float> out, lse;
};
struct BackwardResult {
  std::vector<float> dq, dkv;
};

inline void forward(const AttentionKernels& k, const AttentionQueries& q, const KvRows<float>& kv,
                    float* out, std::int64_t stride, float* lse, std::int64_t lse_stride) {
  k.forward_f32(q, kv, out, stride, lse, lse_stride);
}
inline void forward(const AttentionKernels& k, const AttentionQueries& q, const KvRows<bf16>& kv,
                    float* out, std::int64_t stride, float* lse, std::int64_t lse_stride) {
  k.forward_bf16(q, kv, out, stride, lse, lse_stride);
}
inline auto backward_of(const AttentionKernels& k, const KvRows<float>&) { return k.backward_f32; }
inline auto backward_of(const AttentionKernels& k, const KvRows<bf16>&) { return k.backward_bf16; }

inline constexpr float kUntouched = 12345.0f;

template <typename T>
ForwardResult run_forward(const AttentionKernels& kernels, const Problem<T>& problem,
                          const KvRows<T>& rows) {
  const Shape& s = problem.shape;
  ForwardResult result{std::vector<float>(s.misalign + s.tokens * s.out_stride(), kUntouched),
                       std::vector<float>(s.misalign + s.tokens * s.lse_stride(), kUntouched)};
  forward(kernels, problem.queries(), rows, result.out.data() + s.misalign, s.out_stride(),
          result.lse.data() + s.misalign, s.lse_stride());
  return result;
}

// The gradient of out that tests send back: drawn from a seed, laid out as out.
inline std::vector<float> draw_dout(const Shape& s, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> dout(s.misalign + s.tokens * s.out_stride());
  for (float& x : dout) x = rng.normal();
  return dout;
}

// Gradients added to arrays that are drawn too, since kernels add to what is there; or to zeros.
template <typename T>
BackwardResult run_backward(const AttentionKernels& kernels, const Problem<T>& problem,
                            const KvRows<T>& rows, const ForwardResult& fwd,
                            const std::vector<float>& dout, bool drawn = true) {
  const Shape& s = problem.shape;
  BackwardResult result{std::vector<float>(problem.q.size()),
                        std::vector<float>(s.misalign + problem.rows.size())};
  if (drawn) {
    Rng rng(99);
    for (float& x : result.dq) x = rng.normal();
    for (float& x : result.dkv) x = rng.normal();
  }
  backward_of(kernels, rows)(problem.queries(), rows, fwd.out.data() + s.misalign,
                             dout.data() + s.misalign, s.out_stride(), fwd.lse.data() + s.misalign,
                             s.lse_stride(), result.dq.data() + s.misalign,
                             result.dkv.data() + s.misalign);
  return result;
}

// Bit for bit, any NaN equal to any other: index of the first difference, or -1.
inline std::int64_t first_difference(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    if (std::memcmp(&a[i], &b[i], sizeof(float)) != 0) return static_cast<std::int64_t>(i);
  }
  return -1;
}

}  // namespace r1::attention_test
