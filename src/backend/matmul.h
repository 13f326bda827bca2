#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "backend/backend.h"
#include "backend/stored_panels.h"
#include "quant/ggml_type.h"
#include "tensor/aligned_buffer.h"

namespace r1 {

// Arithmetic of matrix products. bf16 rounds both factors to bf16 and sums in f32; f32 keeps both.
enum class Precision { f32, bf16 };

// How a product reads quantised weights. `bf16` decodes them and rounds x to bf16: the bits of the
// product with the decoded weights. `int8` quantises x as well, in groups of 32
// (quantized_kernels.h): several times faster, with an error of its own.
enum class QuantizedProduct { bf16, int8 };

// The right-hand factor B [k, n] of a product, in panels (gemm_kernels.h, quantized_panels.h).
// Packed once, used by trainer and sampler alike.
struct PackedMatrix {
  Precision precision = Precision::bf16;
  std::int64_t k = 0, n = 0;
  // Of weights that stay quantised; `precision` is then bf16.
  std::optional<GgmlType> quantized_type;
  QuantizedProduct quantized_product = QuantizedProduct::bf16;

  const float* f32() const { return reinterpret_cast<const float*>(memory_.data()); }
  const bf16* panels() const { return reinterpret_cast<const bf16*>(memory_.data()); }
  const std::byte* quantized() const { return memory_.data(); }

  // Of the panels that the fields above describe.
  std::int64_t bytes() const;
  // Memory for the panels: `given`, of at least bytes() and aligned to a cache line, which must
  // outlive this; or its own, kept where it has the size already.
  // Returns where to pack to.
  std::byte* place(std::span<std::byte> given = {});
  // Panels that were packed before, of exactly bytes() and aligned to a cache line; they must
  // outlive this.
  void view(std::span<const std::byte> panels);

 private:
  AlignedBuffer<std::byte> own_;
  std::span<const std::byte> memory_;
};

// B = W^T of a weight W [n, k] (rows `stride` apart): y = x W^T.
void pack_transposed(Backend& backend, Precision precision, const float* w, std::int64_t stride,
                     std::int64_t n, std::int64_t k, PackedMatrix& packed);
// The same of a weight as a file holds it: rows of blocks of a quantised type, which stay as they
// are, or of a plain type, which become bf16 panels. `k` is a whole number of blocks; `memory` as
// for PackedMatrix::place().
void pack_stored(Backend& backend, GgmlType type, std::span<const std::byte> rows, std::int64_t n,
                 std::int64_t k, QuantizedProduct product, PackedMatrix& packed,
                 std::span<std::byte> memory = {});
// Panels as pack_stored() makes them, found in a file, read where they lie (PackedMatrix::view()).
void view_stored(GgmlType type, std::span<const std::byte> panels, std::int64_t n, std::int64_t k,
                 QuantizedProduct product, PackedMatrix& packed);
// B = W of a weight W [k, n]: dx = dy W.
void pack(Backend& backend, Precision precision, const float* w, std::int64_t stride,
          std::int64_t k, std::int64_t n, PackedMatrix& packed);

// C [m, n] (rows ldc apart) = A [m, k] (rows lda apart) B, or += if accumulate. Threaded over
// outputs. A row of C depends on its row of A alone, bit for bit, whatever m and the thread count.
void matmul(Backend& backend, const float* a, std::int64_t lda, std::int64_t m,
            const PackedMatrix& b, float* c, std::int64_t ldc, bool accumulate);

// dW [n, k] (rows k apart) += dY^T X for dY [m, n], X [m, k]: the sum runs over the m rows in
// order.
void matmul_weight_gradient(Backend& backend, Precision precision, const float* dy,
                            std::int64_t dy_stride, const float* x, std::int64_t x_stride,
                            std::int64_t m, std::int64_t n, std::int64_t k, float* dw);

// Several products at once, one task pool: the experts of an MoE layer or the heads of MLA. Each
// is the same bits as its own matmul() call.
struct MatmulTask {
  const float* a;
  std::int64_t lda, m;
  const PackedMatrix* b;
  float* c;
  std::int64_t ldc;
  bool accumulate;
};
void matmul_grouped(Backend& backend, const MatmulTask* tasks, std::int64_t count);

struct WeightGradientTask {
  const float* dy;
  std::int64_t dy_stride;
  const float* x;
  std::int64_t x_stride;
  std::int64_t m, n, k;
  float* dw;
  std::int64_t dw_stride;
};
void matmul_weight_gradient_grouped(Backend& backend, Precision precision,
                                    const WeightGradientTask* tasks, std::int64_t count);

}  // namespace r1
