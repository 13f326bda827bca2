#include "ops/weight.h"

#include "ops/parallel.h"

namespace r1 {
namespace {

// The values that the forward pass reads, as f32 numbers.
void derive_working(Backend& backend, Precision precision, const Weight& weight,
                    AlignedBuffer<float>& working) {
  const std::size_t count = weight.value.size();
  if (working.size() != count) working = AlignedBuffer<float>(count, Fill::none);
  backend.parallel_ranges(static_cast<std::int64_t>(count), kTaskElements,
                          [&](std::int64_t first, std::int64_t last) {
                            const float* from = weight.value.data() + first;
                            float* to = working.data() + first;
                            if (precision == Precision::bf16) {
                              backend.kernels().vector.round_to_bf16_values(last - first, from, to);
                            } else {
                              copy_floats(last - first, from, to);
                            }
                          });
}

}  // namespace

void LinearWeight::refresh_bias(Backend& backend, Precision precision) {
  if (has_bias()) derive_working(backend, precision, bias, bias_working);
}

void LinearWeight::refresh(Backend& backend, Precision precision, bool training) {
  const std::int64_t out = out_features(), in = in_features();
  pack_transposed(backend, precision, weight.value.data(), in, out, in, forward);
  if (training) pack(backend, precision, weight.value.data(), in, out, in, backward);
  refresh_bias(backend, precision);
}

void LinearWeight::refresh_f32(Backend& backend, Precision precision, bool training) {
  AlignedBuffer<float> rounded;
  derive_working(backend, precision, weight, rounded);
  const std::int64_t out = out_features(), in = in_features();
  pack_transposed(backend, Precision::f32, rounded.data(), in, out, in, forward);
  if (training) pack(backend, Precision::f32, rounded.data(), in, out, in, backward);
  refresh_bias(backend, precision);
}

void LatentUpWeight::refresh(Backend& backend, Precision precision, bool training) {
  const std::int64_t stride = latent();
  R1_CHECK(weight.shape[0] == heads * (key_dim + value_dim), "{} heads {} key {} value {}",
           to_string(weight.shape), heads, key_dim, value_dim);
  const auto count = static_cast<std::size_t>(heads);
  key_forward.resize(count);
  value_forward.resize(count);
  key_backward.resize(training ? count : 0);
  value_backward.resize(training ? count : 0);
  for (std::size_t head = 0; head < count; ++head) {
    const float* key =
        weight.value.data() + static_cast<std::int64_t>(head) * (key_dim + value_dim) * stride;
    const float* value = key + key_dim * stride;
    pack(backend, precision, key, stride, key_dim, stride, key_forward[head]);
    pack_transposed(backend, precision, value, stride, value_dim, stride, value_forward[head]);
    if (!training) continue;
    pack_transposed(backend, precision, key, stride, key_dim, stride, key_backward[head]);
    pack(backend, precision, value, stride, value_dim, stride, value_backward[head]);
  }
}

void TableWeight::refresh(Backend& backend, Precision precision) {
  derive_working(backend, precision, weight, working);
}

}  // namespace r1
