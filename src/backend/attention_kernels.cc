#include "backend/attention_kernels.h"

#include "base/error.h"

namespace r1 {

void check_attention(const AttentionQueries& queries, std::int64_t key_dim,
                     std::int64_t value_dim) {
  R1_CHECK(queries.tokens >= 0 && queries.heads > 0 && queries.start >= 0,
           "tokens {} heads {} start {}", queries.tokens, queries.heads, queries.start);
  R1_CHECK(key_dim > 0 && value_dim > 0 && key_dim <= kMaxAttentionDims - value_dim,
           "key_dim {} value_dim {}", key_dim, value_dim);
}

}  // namespace r1
