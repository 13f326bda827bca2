#include <omp.h>

#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

#include "gemm_peers.h"

namespace r1 {
namespace {

// bf16 activations, bf16 weights in the layout that oneDNN prefers, f32 result.
struct OneDnnMatmul {
  using Dims = dnnl::memory::dims;
  using Type = dnnl::memory::data_type;
  using Tag = dnnl::memory::format_tag;

  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  int threads;
  dnnl::matmul matmul;
  dnnl::memory a, c;
  std::vector<dnnl::memory> weights;
  std::size_t next = 0;

  explicit OneDnnMatmul(const GemmProblem& p) : threads(p.threads) {
    omp_set_num_threads(threads);
    const dnnl::memory::desc a_desc({p.m, p.k}, Type::bf16, Tag::ab);
    const dnnl::memory::desc b_desc({p.k, p.n}, Type::bf16, Tag::any);
    const dnnl::memory::desc c_desc({p.m, p.n}, Type::f32, Tag::ab);
    const dnnl::matmul::primitive_desc primitive({a_desc, b_desc, c_desc}, engine);
    matmul = dnnl::matmul(primitive);
    a = dnnl::memory(primitive.src_desc(), engine);
    c = dnnl::memory(primitive.dst_desc(), engine);
    fill({p.m, p.k}, a);
    for (std::int64_t i = 0; i < weight_copies(p); ++i) {
      fill({p.k, p.n}, weights.emplace_back(primitive.weights_desc(), engine));
    }
  }

  void fill(const Dims& dims, dnnl::memory& memory) {
    dnnl::memory plain({dims, Type::f32, Tag::ab}, engine);
    auto* values = static_cast<float*>(plain.get_data_handle());
    for (std::int64_t i = 0; i < dims[0] * dims[1]; ++i) {
      values[i] = static_cast<float>(i % 17) / 17.0f - 0.5f;
    }
    dnnl::reorder(plain, memory).execute(stream, plain, memory);
    stream.wait();
  }

  void run() {
    omp_set_num_threads(threads);
    const dnnl::memory& b = weights[next++ % weights.size()];
    matmul.execute(stream, {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}});
    stream.wait();
  }
};

}  // namespace

std::vector<GemmPeer> gemm_peers() {
  return {{"oneDNN", [](const GemmProblem& problem) -> std::function<void()> {
             const auto product = std::make_shared<OneDnnMatmul>(problem);
             return [product] { product->run(); };
           }}};
}

}  // namespace r1
