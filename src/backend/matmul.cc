#include "backend/matmul.h"

#include "backend/matmul_plan.h"

namespace r1 {
namespace {

constexpr std::int64_t kPackGrain = 64 << 10;  // elements that one packing call covers

template <typename PackPanels>
void pack_all(Backend& backend, Precision precision, std::int64_t k, std::int64_t n,
              PackedMatrix& packed, const PackPanels& pack_panels) {
  R1_CHECK(k >= 0 && n >= 0, "k {} n {}", k, n);
  packed.precision = precision;
  packed.k = k;
  packed.n = n;
  const std::int64_t panels = panels_of(n);
  const auto fit = [&](auto& buffer, std::int64_t rows) {
    const auto size = static_cast<std::size_t>(panels * rows * kPanelWidth);
    if (buffer.size() != size) {
      buffer = {};
      buffer = std::remove_reference_t<decltype(buffer)>(size, Fill::none);
    }
  };
  fit(packed.f32, precision == Precision::f32 ? k : 0);
  fit(packed.panels, precision == Precision::bf16 ? padded_k_bf16(k) : 0);
  const std::int64_t panel_elements = std::max<std::int64_t>(k * kPanelWidth, 1);
  const std::int64_t grain = std::max<std::int64_t>(kPackGrain / panel_elements, 1);
  backend.parallel_ranges(panels, grain, pack_panels);
}

// A piece of one product's output.
struct Unit {
  const MatmulTask* task;
  std::int64_t first_row, rows, first_panel, panels;
  const bf16* rounded;  // the task's A where several units share it; null: the unit rounds its rows
};

// Rows of a shared A to be rounded.
struct Rounding {
  const MatmulTask* task;
  std::int64_t first_row, rows;
  bf16* rounded;  // of row 0
};

void run_unit(const GemmKernels& kernels, const Unit& unit, bf16* own) {
  const MatmulTask& task = *unit.task;
  const PackedMatrix& b = *task.b;
  const bool is_bf16 = b.precision == Precision::bf16;
  const std::int64_t k = is_bf16 ? padded_k_bf16(b.k) : b.k;
  const std::int64_t first_column = unit.first_panel * kPanelWidth;
  GemmShape shape{unit.rows, std::min(unit.panels * kPanelWidth, b.n - first_column),
                  k,         task.lda,
                  task.ldc,  task.accumulate};
  float* c = task.c + unit.first_row * task.ldc + first_column;
  if (!is_bf16) {
    kernels.f32(shape, task.a + unit.first_row * task.lda, b.f32.data() + first_column * k, c);
    return;
  }
  shape.lda = rounded_stride(b.k);
  const bf16* a = own;
  if (unit.rounded != nullptr) {
    a = unit.rounded + unit.first_row * shape.lda;
  } else {
    kernels.round_rows(task.a + unit.first_row * task.lda, task.lda, unit.rows, b.k, own,
                       shape.lda);
  }
  kernels.bf16(shape, a, b.panels.data() + first_column * k, c);
}

}  // namespace

std::int64_t PackedMatrix::bytes() const {
  return static_cast<std::int64_t>(f32.size() * sizeof(float) + panels.size() * sizeof(bf16));
}

void pack_transposed(Backend& backend, Precision precision, const float* w, std::int64_t stride,
                     std::int64_t n, std::int64_t k, PackedMatrix& packed) {
  const GemmKernels& kernels = backend.kernels().gemm;
  pack_all(backend, precision, k, n, packed, [&](std::int64_t first, std::int64_t last) {
    if (precision == Precision::f32) {
      kernels.pack_columns_f32(w, stride, k, n, first, last, packed.f32.data());
    } else {
      kernels.pack_columns_bf16(w, stride, k, n, first, last, packed.panels.data());
    }
  });
}

void pack(Backend& backend, Precision precision, const float* w, std::int64_t stride,
          std::int64_t k, std::int64_t n, PackedMatrix& packed) {
  const GemmKernels& kernels = backend.kernels().gemm;
  pack_all(backend, precision, k, n, packed, [&](std::int64_t first, std::int64_t last) {
    if (precision == Precision::f32) {
      kernels.pack_rows_f32(w, stride, k, n, first, last, packed.f32.data());
    } else {
      kernels.pack_rows_bf16(w, stride, k, n, first, last, packed.panels.data());
    }
  });
}

void matmul(Backend& backend, const float* a, std::int64_t lda, std::int64_t m,
            const PackedMatrix& b, float* c, std::int64_t ldc, bool accumulate) {
  const MatmulTask task{a, lda, m, &b, c, ldc, accumulate};
  matmul_grouped(backend, &task, 1);
}

void matmul_grouped(Backend& backend, const MatmulTask* tasks, std::int64_t count) {
  const GemmKernels& kernels = backend.kernels().gemm;
  GemmWorkspace& workspace = backend.gemm_workspace();
  std::int64_t total_cost = 0;
  for (std::int64_t t = 0; t < count; ++t) {
    R1_CHECK(tasks[t].m >= 0, "m {}", tasks[t].m);
    total_cost += product_cost(tasks[t].m, tasks[t].b->n, tasks[t].b->k);
  }
  const std::int64_t unit_cost = unit_cost_for(total_cost, backend.threads());

  std::vector<Unit> units;
  std::vector<Rounding> roundings;
  std::int64_t own_elements = 0, shared_elements = 0;
  for (std::int64_t t = 0; t < count; ++t) {
    const MatmulTask& task = tasks[t];
    const PackedMatrix& b = *task.b;
    const Cut cut = cut_output(task.m, b.n, b.k, unit_cost);
    const std::int64_t stride = rounded_stride(b.k);
    const bool shared = b.precision == Precision::bf16 && cut.panel_groups > 1;
    for (std::int64_t row = 0; row < task.m; row += cut.rows) {
      const std::int64_t rows = std::min(cut.rows, task.m - row);
      for (std::int64_t panel = 0; panel < panels_of(b.n); panel += cut.panels) {
        const std::int64_t panels = std::min(cut.panels, panels_of(b.n) - panel);
        units.push_back({&task, row, rows, panel, panels, nullptr});
      }
    }
    if (shared) {
      roundings.push_back({&task, 0, task.m, nullptr});
      shared_elements += task.m * stride;
    } else if (b.precision == Precision::bf16) {
      own_elements = std::max(own_elements, cut.rows * stride);
    }
  }

  if (!roundings.empty()) {
    bf16* memory = reserve<bf16>(workspace.shared, shared_elements);
    std::size_t unit = 0;
    for (Rounding& rounding : roundings) {
      rounding.rounded = memory;
      memory += rounding.task->m * rounded_stride(rounding.task->b->k);
      while (units[unit].task != rounding.task) ++unit;
      for (; unit < units.size() && units[unit].task == rounding.task; ++unit) {
        units[unit].rounded = rounding.rounded;
      }
    }
    constexpr std::int64_t kRoundingRows = 32;
    std::vector<Rounding> pieces;
    for (const Rounding& whole : roundings) {
      for (std::int64_t row = 0; row < whole.rows; row += kRoundingRows) {
        pieces.push_back(
            {whole.task, row, std::min(kRoundingRows, whole.rows - row), whole.rounded});
      }
    }
    backend.parallel_for(static_cast<std::int64_t>(pieces.size()), [&](std::int64_t i) {
      const Rounding& piece = pieces[static_cast<std::size_t>(i)];
      const MatmulTask& task = *piece.task;
      const std::int64_t stride = rounded_stride(task.b->k);
      kernels.round_rows(task.a + piece.first_row * task.lda, task.lda, piece.rows, task.b->k,
                         piece.rounded + piece.first_row * stride, stride);
    });
  }

  workspace.per_worker.resize(static_cast<std::size_t>(backend.threads()));
  for (AlignedBuffer<std::byte>& own : workspace.per_worker) reserve<bf16>(own, own_elements);
  parallel_with_worker(
      backend, static_cast<std::int64_t>(units.size()), [&](std::int64_t worker, std::int64_t i) {
        AlignedBuffer<std::byte>& own = workspace.per_worker[static_cast<std::size_t>(worker)];
        run_unit(kernels, units[static_cast<std::size_t>(i)], reserve<bf16>(own, own_elements));
      });
}

}  // namespace r1
