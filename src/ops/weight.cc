#include "ops/weight.h"

#include <algorithm>

#include "ops/parallel.h"
#include "quant/ggml_blocks.h"

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

std::size_t StoredRows::row_bytes(std::int64_t row_size) const {
  const GgmlBlockSize block = block_size(type);
  return static_cast<std::size_t>(row_size) / block.values * block.bytes;
}

std::span<const std::byte> StoredRows::rows(const Shape& shape, std::int64_t first,
                                            std::int64_t count,
                                            AlignedBuffer<std::byte>& unpacked) const {
  const std::size_t size = row_bytes(shape[1]), wanted = static_cast<std::size_t>(count) * size;
  if (!panels) return bytes.subspan(static_cast<std::size_t>(first) * size, wanted);
  if (unpacked.size() != wanted) unpacked = AlignedBuffer<std::byte>(wanted, Fill::none);
  unpack_stored(type, bytes, shape[0], shape[1], first, count, unpacked.span());
  return unpacked.span();
}

StoredRows StoredRows::clone() const {
  StoredRows copy{type,  {},     AlignedBuffer<std::byte>(bytes.size(), Fill::none),
                  false, panels, product};
  std::ranges::copy(bytes, copy.owned.begin());
  copy.bytes = copy.owned.span();
  return copy;
}

void Weight::decode_stored(Backend& backend) {
  if (!stored) return;
  value = AlignedBuffer<float>(static_cast<std::size_t>(count()), Fill::none);
  const auto row_size = static_cast<std::size_t>(shape[1]);
  backend.parallel_ranges(shape[0], kPanelWidth, [&](std::int64_t first, std::int64_t last) {
    AlignedBuffer<std::byte> unpacked;
    dequantize(stored->type, stored->rows(shape, first, last - first, unpacked),
               value.span(static_cast<std::size_t>(first) * row_size,
                          static_cast<std::size_t>(last - first) * row_size));
  });
  stored.reset();
}

void LinearWeight::refresh_bias(Backend& backend, Precision precision) {
  if (has_bias()) derive_working(backend, precision, bias, bias_working);
}

void LinearWeight::refresh(Backend& backend, Precision precision, bool training) {
  const std::int64_t out = out_features(), in = in_features();
  if (weight.stored) {
    R1_CHECK(precision == Precision::bf16 && !training, "{} is stored", weight.name);
    const StoredRows& rows = *weight.stored;
    if (rows.panels) {
      view_stored(rows.type, rows.bytes, out, in, rows.product, forward);
    } else {
      pack_stored(backend, rows.type, rows.bytes, out, in, rows.product, forward);
    }
    refresh_bias(backend, precision);
    return;
  }
  pack_transposed(backend, precision, weight.value.data(), in, out, in, forward);
  if (training) pack(backend, precision, weight.value.data(), in, out, in, backward);
  refresh_bias(backend, precision);
}

void LinearWeight::refresh_f32(Backend& backend, Precision precision, bool training) {
  AlignedBuffer<float> rounded;
  weight.decode_stored(backend);
  derive_working(backend, precision, weight, rounded);
  const std::int64_t out = out_features(), in = in_features();
  pack_transposed(backend, Precision::f32, rounded.data(), in, out, in, forward);
  if (training) pack(backend, Precision::f32, rounded.data(), in, out, in, backward);
  refresh_bias(backend, precision);
}

void LatentUpWeight::refresh(Backend& backend, Precision precision, bool training) {
  const std::int64_t stride = latent();
  weight.decode_stored(backend);
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
  if (weight.stored && weight.shape.rank() == 2) {
    R1_CHECK(precision == Precision::bf16, "{} is stored", weight.name);
    stored = weight.stored->mapped ? weight.stored->view() : weight.stored->clone();
    return;
  }
  weight.decode_stored(backend);
  derive_working(backend, precision, weight, working);
}

void TableWeight::read_row(const VectorKernels& kernels, std::int64_t index, float* out) const {
  const std::int64_t size = weight.shape[1];
  if (!stored) {
    std::copy_n(working.data() + index * size, size, out);
    return;
  }
  AlignedBuffer<std::byte> unpacked;
  dequantize(stored->type, stored->rows(weight.shape, index, 1, unpacked),
             {out, static_cast<std::size_t>(size)});
  kernels.round_to_bf16_values(size, out, out);
}

}  // namespace r1
