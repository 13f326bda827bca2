#include "train/muon.h"

#include <algorithm>
#include <cmath>

#include "backend/matmul.h"

namespace r1::train {
namespace {

constexpr int kIterations = 5;
// The quintic a x + b x^3 + c x^5 of the original, steepest at zero among those that stay bounded.
constexpr float kA = 3.4445f, kB = -4.7750f, kC = 2.0315f;

std::vector<float> transposed(const std::vector<float>& x, std::int64_t rows,
                              std::int64_t columns) {
  std::vector<float> result(x.size());
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) {
      result[static_cast<std::size_t>(j * rows + i)] = x[static_cast<std::size_t>(i * columns + j)];
    }
  }
  return result;
}

// x [rows, columns] with rows <= columns: x <- a x + (b s + c s^2) x for s = x x^T.
void iterate(Backend& backend, std::vector<float>& x, std::int64_t rows, std::int64_t columns) {
  std::vector<float> gram(static_cast<std::size_t>(rows * rows)), polynomial(gram.size());
  PackedMatrix packed;
  for (int i = 0; i < kIterations; ++i) {
    pack_transposed(backend, Precision::bf16, x.data(), columns, rows, columns, packed);
    matmul(backend, x.data(), columns, rows, packed, gram.data(), rows, false);
    pack(backend, Precision::bf16, gram.data(), rows, rows, rows, packed);
    matmul(backend, gram.data(), rows, rows, packed, polynomial.data(), rows, false);
    for (std::size_t j = 0; j < gram.size(); ++j) {
      polynomial[j] = kB * gram[j] + kC * polynomial[j];
    }
    pack(backend, Precision::bf16, x.data(), columns, rows, columns, packed);
    for (float& value : x) value *= kA;
    matmul(backend, polynomial.data(), rows, rows, packed, x.data(), columns, true);
  }
}

}  // namespace

bool is_hidden_matrix(const Weight& weight) {
  static constexpr std::string_view kOthers[] = {"embed_tokens.weight", "lm_head.weight",
                                                 "shared_head.head.weight", "mlp.gate.weight"};
  return weight.shape.rank() == 2 && std::ranges::none_of(kOthers, [&](std::string_view other) {
           return weight.name.ends_with(other);
         });
}

void orthogonalize(Backend& backend, std::vector<float>& x, std::int64_t rows,
                   std::int64_t columns) {
  const auto count = static_cast<std::int64_t>(x.size());
  const double norm =
      std::sqrt(static_cast<double>(backend.kernels().vector.sum_of_squares(count, x.data())));
  if (norm == 0.0) return;
  const auto scale = static_cast<float>(1.0 / norm);
  for (float& value : x) value *= scale;
  if (rows <= columns) {
    iterate(backend, x, rows, columns);
  } else {
    x = transposed(x, rows, columns);
    iterate(backend, x, columns, rows);
    x = transposed(x, columns, rows);
  }
}

void muon_step(Backend& backend, const MuonStep& step, Weight& weight, float* momentum) {
  const auto count = static_cast<std::size_t>(weight.count());
  const auto mu = static_cast<float>(step.momentum),
             scale = static_cast<float>(step.gradient_scale);
  std::vector<float> update(count);
  for (std::size_t i = 0; i < count; ++i) {
    const float gradient = scale * weight.gradient[i];
    momentum[i] = mu * momentum[i] + gradient;
    update[i] = gradient + mu * momentum[i];
  }
  const std::int64_t rows = weight.shape[0], columns = weight.shape[1];
  orthogonalize(backend, update, rows, columns);
  const auto rate = static_cast<float>(step.learning_rate * 0.2 *
                                       std::sqrt(static_cast<double>(std::max(rows, columns))));
  const auto kept = static_cast<float>(1.0 - step.learning_rate * step.weight_decay);
  for (std::size_t i = 0; i < count; ++i) {
    weight.value[i] = weight.value[i] * kept - rate * update[i];
  }
}

}  // namespace r1::train
