#include "ops/tape.h"

#include <algorithm>
#include <utility>

namespace r1 {

void Tape::watch(Tensor& tensor) { watch(tensor, {}); }

void Tape::watch(Tensor& tensor, Slot slot) {
  tensor.node = static_cast<int>(nodes_.size());
  nodes_.push_back({tensor.shape.count(), slot.data, slot.accumulate});
}

Tape::Node* Tape::node_of(const Tensor& tensor) {
  if (tensor.node == kNoNode) return nullptr;
  R1_CHECK(tensor.node >= 0 && static_cast<std::size_t>(tensor.node) < nodes_.size(),
           "node {} of {}", tensor.node, nodes_.size());
  Node& node = nodes_[static_cast<std::size_t>(tensor.node)];
  R1_CHECK(node.count == tensor.shape.count(), "node of {} elements, tensor {}", node.count,
           to_string(tensor.shape));
  if (node.gradient == nullptr) node.gradient = arena_.allocate(node.count);
  return &node;
}

float* Tape::gradient(const Tensor& tensor) {
  Node* node = node_of(tensor);
  if (node == nullptr) return nullptr;
  if (!node->written) {
    std::fill_n(node->gradient, node->count, 0.0f);
    node->written = true;
  }
  return node->gradient;
}

Tape::Slot Tape::claim(const Tensor& tensor) {
  Node* node = node_of(tensor);
  if (node == nullptr) return {};
  return {node->gradient, std::exchange(node->written, true)};
}

bool Tape::has_gradient(const Tensor& tensor) const {
  return tensor.node != kNoNode && nodes_[static_cast<std::size_t>(tensor.node)].written;
}

void Tape::backward() {
  while (!records_.empty()) {
    const Record& record = records_.back();
    if (observer_ != nullptr) observer_->begin(record.where, Pass::backward);
    record.backward();
    records_.pop_back();
  }
}

}  // namespace r1
