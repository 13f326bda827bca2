#include "backend/matmul.h"

#include <algorithm>
#include <cstring>

#include "backend/matmul_plan.h"
#include "quant/ggml_blocks.h"

namespace r1 {
namespace {

constexpr std::int64_t kPackGrain = 64 << 10;  // elements that one packing call covers

template <typename PackPanels>
void pack_all(Backend& backend, Precision precision, std::int64_t k, std::int64_t n,
              PackedMatrix& packed, const PackPanels& pack_panels) {
  R1_CHECK(k >= 0 && n >= 0, "k {} n {}", k, n);
  packed.precision = precision;
  packed.quantized_type.reset();
  packed.k = k;
  packed.n = n;
  std::byte* const memory = packed.place();
  const std::int64_t panels = panels_of(n);
  const std::int64_t panel_elements = std::max<std::int64_t>(k * kPanelWidth, 1);
  const std::int64_t grain = std::max<std::int64_t>(kPackGrain / panel_elements, 1);
  backend.parallel_ranges(panels, grain, [&](std::int64_t first, std::int64_t last) {
    pack_panels(memory, first, last);
  });
}

void describe_stored(GgmlType type, std::int64_t n, std::int64_t k, QuantizedProduct product,
                     PackedMatrix& packed) {
  packed.precision = Precision::bf16;
  packed.k = k;
  packed.n = n;
  packed.quantized_type.reset();
  packed.quantized_product = product;
  if (has_quantized_panels(type)) packed.quantized_type = type;
}

// Panels [first, last) of rows that are bf16 already, bit for bit.
void pack_bf16(const GemmKernels& kernels, std::span<const std::byte> rows, std::int64_t n,
               std::int64_t k, std::int64_t first, std::int64_t last, std::byte* panels) {
  constexpr std::int64_t kPairBytes = 2 * sizeof(bf16);
  const std::int64_t padded = padded_k_bf16(k), panel_bytes = kPanelWidth * padded / 2 * kPairBytes;
  const bool whole_pairs =
      k % 2 == 0 && reinterpret_cast<std::uintptr_t>(rows.data()) % kPairBytes == 0;
  for (std::int64_t panel = first; panel < last; ++panel) {
    const std::int64_t row = panel * kPanelWidth, columns = std::min(kPanelWidth, n - row);
    const std::byte* from = rows.data() + row * k * std::int64_t{sizeof(bf16)};
    std::byte* to = panels + panel * panel_bytes;
    const std::int64_t filled = whole_pairs ? kPanelWidth * k / 2 * kPairBytes : 0;
    std::memset(to + filled, 0, static_cast<std::size_t>(panel_bytes - filled));
    if (whole_pairs) {
      // Pairs of neighbouring k take the places that single numbers have in f32 panels.
      kernels.pack_columns_f32(reinterpret_cast<const float*>(from), k / 2, k / 2, columns, 0, 1,
                               reinterpret_cast<float*>(to));
      continue;
    }
    for (std::int64_t column = 0; column < columns; ++column) {
      for (std::int64_t p = 0; p < k; ++p) {
        std::memcpy(to + (p / 2 * kPanelWidth + column) * kPairBytes + p % 2 * 2,
                    from + (column * k + p) * 2, sizeof(bf16));
      }
    }
  }
}

bool is_int8(const PackedMatrix& b) {
  return b.quantized_type && b.quantized_product == QuantizedProduct::int8;
}
// Whether rows of A are converted before they are multiplied.
bool converts_rows(const PackedMatrix& b) {
  return b.quantized_type.has_value() || b.precision == Precision::bf16;
}

// Rows of a task's A, as its product reads them: rounded to bf16, or quantised.
struct ConvertedRows {
  const MatmulTask* task = nullptr;
  std::int64_t rows = 0;  // that the memory holds
  std::byte* memory = nullptr;

  static std::int64_t bytes_for(const PackedMatrix& b, std::int64_t rows) {
    if (!converts_rows(b)) return 0;
    if (!is_int8(b)) return rows * rounded_stride(b.k) * std::int64_t{sizeof(bf16)};
    const std::int64_t groups = b.k / kQuantizedGroup;
    return round_up(rows * (b.k + groups * std::int64_t{sizeof(ActivationGroup)}), 64);
  }
  bf16* rounded(std::int64_t row) const {
    return reinterpret_cast<bf16*>(memory) + row * rounded_stride(task->b->k);
  }
  std::int8_t* codes(std::int64_t row) const {
    return reinterpret_cast<std::int8_t*>(memory) + row * task->b->k;
  }
  ActivationGroup* groups(std::int64_t row) const {
    return reinterpret_cast<ActivationGroup*>(memory + rows * task->b->k) +
           row * (task->b->k / kQuantizedGroup);
  }

  // Rows [first, first + count) of the task's A become rows [to, ...) here.
  void convert(const KernelTable& kernels, std::int64_t first, std::int64_t count,
               std::int64_t to) const {
    const PackedMatrix& b = *task->b;
    const float* from = task->a + first * task->lda;
    if (is_int8(b)) {
      kernels.quantized.quantize_rows(*b.quantized_type, from, task->lda, count, b.k, codes(to),
                                      b.k, groups(to));
    } else {
      kernels.gemm.round_rows(from, task->lda, count, b.k, rounded(to), rounded_stride(b.k));
    }
  }
};

// A piece of one product's output.
struct Unit {
  const MatmulTask* task;
  std::int64_t first_row, rows, first_panel, panels;
  const ConvertedRows* shared;  // where several units read the same rows; null: its own
};

// Decodes a few panels at a time, as many as stay in the cache until they are multiplied; all of
// them pass a block of A before the next one is read.
void multiply_decoded(const KernelTable& kernels, const MatmulTask& task, const Unit& unit,
                      const bf16* a, AlignedBuffer<std::byte>& scratch) {
  constexpr std::int64_t kPanels = 4, kLength = 1024;
  const PackedMatrix& b = *task.b;
  bf16* decoded = reserve<bf16>(scratch, kPanels * kPanelWidth * kLength);
  const std::int64_t panel_bytes = quantized_panel_bytes(*b.quantized_type, b.k);
  for (std::int64_t k = 0; k < b.k; k += kLength) {
    const std::int64_t count = std::min(kLength, b.k - k);
    for (std::int64_t done = 0; done < unit.panels; done += kPanels) {
      const std::int64_t first = unit.first_panel + done;
      const std::int64_t panels = std::min(kPanels, unit.panels - done);
      kernels.quantized.decode(*b.quantized_type, b.k, b.quantized() + first * panel_bytes, panels,
                               k, count, decoded);
      const GemmShape shape{unit.rows, std::min(panels * kPanelWidth, b.n - first * kPanelWidth),
                            count,     rounded_stride(b.k),
                            task.ldc,  task.accumulate || k > 0};
      kernels.gemm.bf16(shape, a + k, decoded,
                        task.c + unit.first_row * task.ldc + first * kPanelWidth);
    }
  }
}

void run_unit(const KernelTable& kernels, const Unit& unit, std::byte* own,
              AlignedBuffer<std::byte>& scratch) {
  const MatmulTask& task = *unit.task;
  const PackedMatrix& b = *task.b;
  const std::int64_t first_column = unit.first_panel * kPanelWidth;
  const std::int64_t columns = std::min(unit.panels * kPanelWidth, b.n - first_column);
  float* c = task.c + unit.first_row * task.ldc + first_column;
  if (!converts_rows(b)) {
    kernels.gemm.f32({unit.rows, columns, b.k, task.lda, task.ldc, task.accumulate},
                     task.a + unit.first_row * task.lda, b.f32() + first_column * b.k, c);
    return;
  }
  ConvertedRows a{&task, unit.rows, own};
  std::int64_t row = 0;
  if (unit.shared != nullptr) {
    a = *unit.shared;
    row = unit.first_row;
  } else {
    a.convert(kernels, unit.first_row, unit.rows, 0);
  }
  if (is_int8(b)) {
    const std::int64_t panel_bytes = quantized_panel_bytes(*b.quantized_type, b.k);
    kernels.quantized.multiply(
        *b.quantized_type, {unit.rows, columns, b.k, b.k, task.ldc, task.accumulate}, a.codes(row),
        a.groups(row), b.quantized() + unit.first_panel * panel_bytes, c);
  } else if (b.quantized_type) {
    multiply_decoded(kernels, task, unit, a.rounded(row), scratch);
  } else {
    const std::int64_t k = padded_k_bf16(b.k);
    kernels.gemm.bf16({unit.rows, columns, k, rounded_stride(b.k), task.ldc, task.accumulate},
                      a.rounded(row), b.panels() + first_column * k, c);
  }
}

}  // namespace

std::int64_t PackedMatrix::bytes() const {
  if (quantized_type) return quantized_panels_of(n) * quantized_panel_bytes(*quantized_type, k);
  const std::int64_t columns = panels_of(n) * kPanelWidth;
  return precision == Precision::f32 ? columns * k * std::int64_t{sizeof(float)}
                                     : columns * padded_k_bf16(k) * std::int64_t{sizeof(bf16)};
}

std::byte* PackedMatrix::place(std::span<std::byte> given) {
  const auto size = static_cast<std::size_t>(bytes());
  if (!given.empty()) {
    R1_CHECK(given.size() >= size, "{} bytes for {}", given.size(), size);
    own_ = {};
    memory_ = given.first(size);
    return given.data();
  }
  if (own_.size() != size) {
    own_ = {};  // before the new one is asked for, so that both are never held
    own_ = AlignedBuffer<std::byte>(size, Fill::none);
  }
  memory_ = own_.span();
  return own_.data();
}

void PackedMatrix::view(std::span<const std::byte> panels) {
  R1_CHECK(std::ssize(panels) == bytes() &&
               reinterpret_cast<std::uintptr_t>(panels.data()) % kCacheLine == 0,
           "{} bytes for {}", panels.size(), bytes());
  own_ = {};
  memory_ = panels;
}

void pack_transposed(Backend& backend, Precision precision, const float* w, std::int64_t stride,
                     std::int64_t n, std::int64_t k, PackedMatrix& packed) {
  const GemmKernels& kernels = backend.kernels().gemm;
  pack_all(
      backend, precision, k, n, packed,
      [&](std::byte* memory, std::int64_t first, std::int64_t last) {
        if (precision == Precision::f32) {
          kernels.pack_columns_f32(w, stride, k, n, first, last, reinterpret_cast<float*>(memory));
        } else {
          kernels.pack_columns_bf16(w, stride, k, n, first, last, reinterpret_cast<bf16*>(memory));
        }
      });
}

void view_stored(GgmlType type, std::span<const std::byte> panels, std::int64_t n, std::int64_t k,
                 QuantizedProduct product, PackedMatrix& packed) {
  describe_stored(type, n, k, product, packed);
  packed.view(panels);
}

void pack_stored(Backend& backend, GgmlType type, std::span<const std::byte> rows, std::int64_t n,
                 std::int64_t k, QuantizedProduct product, PackedMatrix& packed,
                 std::span<std::byte> memory) {
  const std::int64_t grain =
      std::max<std::int64_t>(kPackGrain / std::max<std::int64_t>(k * kPanelWidth, 1), 1);
  describe_stored(type, n, k, product, packed);
  std::byte* const panels = packed.place(memory);
  if (packed.quantized_type) {
    backend.parallel_ranges(quantized_panels_of(n), grain,
                            [&](std::int64_t first, std::int64_t last) {
                              pack_quantized(type, rows, n, k, first, last, panels);
                            });
    return;
  }
  const std::size_t row_bytes = static_cast<std::size_t>(k) * block_size(type).bytes;
  R1_CHECK(rows.size() == static_cast<std::size_t>(n) * row_bytes, "{} x {} in {} bytes", n, k,
           rows.size());
  if (type == GgmlType::bf16) {
    backend.parallel_ranges(panels_of(n), grain, [&](std::int64_t first, std::int64_t last) {
      pack_bf16(backend.kernels().gemm, rows, n, k, first, last, panels);
    });
    return;
  }
  backend.parallel_ranges(panels_of(n), grain, [&](std::int64_t first, std::int64_t last) {
    AlignedBuffer<float> values(static_cast<std::size_t>(kPanelWidth * k), Fill::none);
    for (std::int64_t panel = first; panel < last; ++panel) {
      const std::int64_t row = panel * kPanelWidth, count = std::min(kPanelWidth, n - row);
      const auto elements = static_cast<std::size_t>(count * k);
      dequantize(type,
                 rows.subspan(static_cast<std::size_t>(row) * row_bytes,
                              elements * block_size(type).bytes),
                 values.span(0, elements));
      backend.kernels().gemm.pack_columns_bf16(
          values.data(), k, k, count, 0, 1,
          reinterpret_cast<bf16*>(panels) + row * padded_k_bf16(k));
    }
  });
}

void pack(Backend& backend, Precision precision, const float* w, std::int64_t stride,
          std::int64_t k, std::int64_t n, PackedMatrix& packed) {
  const GemmKernels& kernels = backend.kernels().gemm;
  pack_all(
      backend, precision, k, n, packed,
      [&](std::byte* memory, std::int64_t first, std::int64_t last) {
        if (precision == Precision::f32) {
          kernels.pack_rows_f32(w, stride, k, n, first, last, reinterpret_cast<float*>(memory));
        } else {
          kernels.pack_rows_bf16(w, stride, k, n, first, last, reinterpret_cast<bf16*>(memory));
        }
      });
}

void matmul(Backend& backend, const float* a, std::int64_t lda, std::int64_t m,
            const PackedMatrix& b, float* c, std::int64_t ldc, bool accumulate) {
  const MatmulTask task{a, lda, m, &b, c, ldc, accumulate};
  matmul_grouped(backend, &task, 1);
}

void matmul_grouped(Backend& backend, const MatmulTask* tasks, std::int64_t count) {
  const KernelTable& kernels = backend.kernels();
  GemmWorkspace& workspace = backend.gemm_workspace();
  std::int64_t total_cost = 0;
  for (std::int64_t t = 0; t < count; ++t) {
    R1_CHECK(tasks[t].m >= 0, "m {}", tasks[t].m);
    total_cost += product_cost(tasks[t].m, tasks[t].b->n, tasks[t].b->k);
  }
  const std::int64_t unit_cost = unit_cost_for(total_cost, backend.threads());

  std::vector<Unit> units;
  std::vector<ConvertedRows> shared;
  shared.reserve(static_cast<std::size_t>(count));  // units point into it
  std::int64_t own_bytes = 0, shared_bytes = 0;
  for (std::int64_t t = 0; t < count; ++t) {
    const MatmulTask& task = tasks[t];
    const PackedMatrix& b = *task.b;
    const Cut cut = cut_output(task.m, b.n, b.k, unit_cost);
    const ConvertedRows* rows_of_task = nullptr;
    if (converts_rows(b) && cut.panel_groups > 1) {
      rows_of_task = &shared.emplace_back(ConvertedRows{&task, task.m, nullptr});
      shared_bytes += ConvertedRows::bytes_for(b, task.m);
    } else {
      own_bytes = std::max(own_bytes, ConvertedRows::bytes_for(b, cut.rows));
    }
    for (std::int64_t row = 0; row < task.m; row += cut.rows) {
      const std::int64_t rows = std::min(cut.rows, task.m - row);
      for (std::int64_t panel = 0; panel < panels_of(b.n); panel += cut.panels) {
        const std::int64_t panels = std::min(cut.panels, panels_of(b.n) - panel);
        units.push_back({&task, row, rows, panel, panels, rows_of_task});
      }
    }
  }

  if (!shared.empty()) {
    struct Piece {
      const ConvertedRows* whole;
      std::int64_t first, count;
    };
    constexpr std::int64_t kPieceRows = 32;
    std::byte* memory = reserve<std::byte>(workspace.shared, shared_bytes);
    std::vector<Piece> pieces;
    for (ConvertedRows& whole : shared) {
      whole.memory = memory;
      memory += ConvertedRows::bytes_for(*whole.task->b, whole.rows);
      for (std::int64_t row = 0; row < whole.rows; row += kPieceRows) {
        pieces.push_back({&whole, row, std::min(kPieceRows, whole.rows - row)});
      }
    }
    backend.parallel_for(static_cast<std::int64_t>(pieces.size()), [&](std::int64_t i) {
      const Piece& piece = pieces[static_cast<std::size_t>(i)];
      piece.whole->convert(kernels, piece.first, piece.count, piece.first);
    });
  }

  workspace.per_worker.resize(static_cast<std::size_t>(backend.threads()));
  workspace.decoded.resize(static_cast<std::size_t>(backend.threads()));
  for (AlignedBuffer<std::byte>& own : workspace.per_worker) reserve<std::byte>(own, own_bytes);
  parallel_with_worker(backend, static_cast<std::int64_t>(units.size()),
                       [&](std::int64_t worker, std::int64_t i) {
                         const auto w = static_cast<std::size_t>(worker);
                         run_unit(kernels, units[static_cast<std::size_t>(i)],
                                  workspace.per_worker[w].data(), workspace.decoded[w]);
                       });
}

}  // namespace r1
