#include "backend/matmul.h"
#include "backend/matmul_plan.h"

namespace r1 {
namespace {

// The two precisions' kernels under one name.
template <typename T>
struct Kernels;
template <>
struct Kernels<float> {
  static std::int64_t padded(std::int64_t tokens) { return tokens; }
  static std::int64_t stride(std::int64_t tokens) { return rounded_stride(tokens); }
  static auto multiply(const GemmKernels& g) { return g.f32; }
  static auto pack_rows(const GemmKernels& g) { return g.pack_rows_f32; }
  static auto transpose(const GemmKernels& g) { return g.transpose_f32; }
};
template <>
struct Kernels<bf16> {
  static std::int64_t padded(std::int64_t tokens) { return padded_k_bf16(tokens); }
  static std::int64_t stride(std::int64_t tokens) { return rounded_stride(tokens); }
  static auto multiply(const GemmKernels& g) { return g.bf16; }
  static auto pack_rows(const GemmKernels& g) { return g.pack_rows_bf16; }
  static auto transpose(const GemmKernels& g) { return g.transpose_bf16; }
};

// dW [n, k] as a product over tokens: A = dY^T [n, tokens], B = X [tokens, k] in panels.
// Taken in chunks of tokens: where dW is small, a chunk's factors stay in cache between packing and
// multiplying; where it is large, going through dW once more costs more than that saves. Chunks are
// whole k blocks, so the sum goes on in C as if it had never stopped.
template <typename T>
std::int64_t tokens_per_chunk(const WeightGradientTask& task) {
  constexpr std::int64_t kCachedBytes = 1 << 20, kLeastTokens = 512, kMostTokens = 4096;
  const auto token_bytes = (task.n + task.k) * static_cast<std::int64_t>(sizeof(T));
  const std::int64_t cached = kCachedBytes / token_bytes / kBf16KBlock * kBf16KBlock;
  const std::int64_t chunk = cached >= kLeastTokens ? std::min(cached, kMostTokens) : kMostTokens;
  return std::min(chunk, round_up(task.m, kBf16KBlock));
}

template <typename T>
std::int64_t packed_elements(const WeightGradientTask& task, std::int64_t tokens) {
  return panels_of(task.k) * kPanelWidth * Kernels<T>::padded(tokens);
}
template <typename T>
std::int64_t chunk_elements(const WeightGradientTask& task) {
  const std::int64_t tokens = tokens_per_chunk<T>(task);
  return packed_elements<T>(task, tokens) + task.n * Kernels<T>::stride(tokens);
}

// One chunk of tokens with its two factors in scratch memory.
template <typename T>
struct Chunk {
  const GemmKernels& kernels;
  const WeightGradientTask& task;
  std::int64_t first_token, tokens;
  T* packed_x;       // panels
  T* transposed_dy;  // [n, stride]

  Chunk(const GemmKernels& g, const WeightGradientTask& t, std::int64_t first, T* memory)
      : kernels(g),
        task(t),
        first_token(first),
        tokens(std::min(tokens_per_chunk<T>(t), t.m - first)),
        packed_x(memory),
        transposed_dy(memory + packed_elements<T>(t, tokens)) {}

  void pack(std::int64_t first_panel, std::int64_t last_panel) const {
    Kernels<T>::pack_rows(kernels)(task.x + first_token * task.x_stride, task.x_stride, tokens,
                                   task.k, first_panel, last_panel, packed_x);
  }
  void transpose(std::int64_t first_row, std::int64_t last_row) const {
    Kernels<T>::transpose(kernels)(task.dy + first_token * task.dy_stride, task.dy_stride, tokens,
                                   first_row, last_row, transposed_dy, Kernels<T>::stride(tokens));
  }
  void multiply(std::int64_t row, std::int64_t rows, std::int64_t panel,
                std::int64_t panels) const {
    const std::int64_t k = Kernels<T>::padded(tokens), stride = Kernels<T>::stride(tokens);
    const std::int64_t column = panel * kPanelWidth;
    const GemmShape shape{
        rows, std::min(panels * kPanelWidth, task.k - column), k, stride, task.dw_stride, true};
    Kernels<T>::multiply(kernels)(shape, transposed_dy + row * stride, packed_x + column * k,
                                  task.dw + row * task.dw_stride + column);
  }
};

// A product that all threads work on: pack a chunk together, then multiply it together.
template <typename T>
void run_shared(Backend& backend, const WeightGradientTask& task, T* memory) {
  const GemmKernels& kernels = backend.kernels().gemm;
  constexpr std::int64_t kPanelsPerPiece = 4, kRowsPerPiece = kPanelsPerPiece * kPanelWidth;
  const std::int64_t panel_pieces = ceil_div(panels_of(task.k), kPanelsPerPiece);
  const std::int64_t row_pieces = ceil_div(task.n, kRowsPerPiece);
  for (std::int64_t first = 0; first < task.m; first += tokens_per_chunk<T>(task)) {
    const Chunk<T> chunk(kernels, task, first, memory);
    backend.parallel_for(panel_pieces + row_pieces, [&](std::int64_t i) {
      if (i < panel_pieces) {
        chunk.pack(i * kPanelsPerPiece, std::min((i + 1) * kPanelsPerPiece, panels_of(task.k)));
      } else {
        const std::int64_t row = (i - panel_pieces) * kRowsPerPiece;
        chunk.transpose(row, std::min(row + kRowsPerPiece, task.n));
      }
    });
    const std::int64_t cost = product_cost(task.n, task.k, chunk.tokens);
    const Cut cut =
        cut_output(task.n, task.k, chunk.tokens, unit_cost_for(cost, backend.threads()));
    backend.parallel_for(cut.units(), [&](std::int64_t i) {
      const std::int64_t row = i / cut.panel_groups * cut.rows;
      const std::int64_t panel = i % cut.panel_groups * cut.panels;
      chunk.multiply(row, std::min(cut.rows, task.n - row), panel,
                     std::min(cut.panels, panels_of(task.k) - panel));
    });
  }
}

// A product that one thread does alone, its chunks in its own cache.
template <typename T>
void run_alone(const GemmKernels& kernels, const WeightGradientTask& task, T* memory) {
  for (std::int64_t first = 0; first < task.m; first += tokens_per_chunk<T>(task)) {
    const Chunk<T> chunk(kernels, task, first, memory);
    chunk.pack(0, panels_of(task.k));
    chunk.transpose(0, task.n);
    chunk.multiply(0, task.n, 0, panels_of(task.k));
  }
}

template <typename T>
void run_grouped(Backend& backend, const WeightGradientTask* tasks, std::int64_t count) {
  GemmWorkspace& workspace = backend.gemm_workspace();
  std::int64_t total_cost = 0;
  for (std::int64_t t = 0; t < count; ++t) {
    R1_CHECK(tasks[t].m >= 0, "m {}", tasks[t].m);
    total_cost += product_cost(tasks[t].n, tasks[t].k, tasks[t].m);
  }
  const std::int64_t unit_cost = unit_cost_for(total_cost, backend.threads());
  std::vector<const WeightGradientTask*> alone;
  std::int64_t own_elements = 0;
  for (std::int64_t t = 0; t < count; ++t) {
    const WeightGradientTask& task = tasks[t];
    if (task.m == 0 || task.n == 0 || task.k == 0) continue;
    // A task of up to two units' work leaves enough others to even out the threads.
    if (product_cost(task.n, task.k, task.m) <= 2 * unit_cost) {
      alone.push_back(&task);
      own_elements = std::max(own_elements, chunk_elements<T>(task));
    } else {
      run_shared<T>(backend, task, reserve<T>(workspace.shared, chunk_elements<T>(task)));
    }
  }
  workspace.per_worker.resize(static_cast<std::size_t>(backend.threads()));
  for (AlignedBuffer<std::byte>& own : workspace.per_worker) reserve<T>(own, own_elements);
  parallel_with_worker(
      backend, static_cast<std::int64_t>(alone.size()), [&](std::int64_t worker, std::int64_t i) {
        AlignedBuffer<std::byte>& own = workspace.per_worker[static_cast<std::size_t>(worker)];
        run_alone<T>(backend.kernels().gemm, *alone[static_cast<std::size_t>(i)],
                     reserve<T>(own, own_elements));
      });
}

}  // namespace

void matmul_weight_gradient(Backend& backend, Precision precision, const float* dy,
                            std::int64_t dy_stride, const float* x, std::int64_t x_stride,
                            std::int64_t m, std::int64_t n, std::int64_t k, float* dw) {
  const WeightGradientTask task{dy, dy_stride, x, x_stride, m, n, k, dw, k};
  matmul_weight_gradient_grouped(backend, precision, &task, 1);
}

void matmul_weight_gradient_grouped(Backend& backend, Precision precision,
                                    const WeightGradientTask* tasks, std::int64_t count) {
  if (precision == Precision::f32) {
    run_grouped<float>(backend, tasks, count);
  } else {
    run_grouped<bf16>(backend, tasks, count);
  }
}

}  // namespace r1
