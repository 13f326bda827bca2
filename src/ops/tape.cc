#include "ops/tape.h"

#include <algorithm>
#include <utility>

namespace r1 {

void Tape::watch(Tensor& tensor) { watch(tensor, {}); }

void Tape::watch(Tensor& tensor, Slot slot) {
  tensor.node = static_cast<int>(nodes_.size());
  nodes_.push_back(
      {.count = tensor.shape.count(), .gradient = slot.data, .written = slot.accumulate});
}

void Tape::watch_result(Tensor& tensor) {
  watch(tensor);
  nodes_.back().result = true;
}

Tape::Node* Tape::node_of(const Tensor& tensor) {
  if (tensor.node == kNoNode) return nullptr;
  R1_CHECK(tensor.node >= 0 && static_cast<std::size_t>(tensor.node) < nodes_.size(),
           "node {} of {}", tensor.node, nodes_.size());
  Node& node = nodes_[static_cast<std::size_t>(tensor.node)];
  R1_CHECK(node.count == tensor.shape.count(), "node of {} elements, tensor {}", node.count,
           to_string(tensor.shape));
  R1_CHECK(!node.released, "the gradient of node {} is gone: its backward has run", tensor.node);
  return &node;
}

Tape::Node* Tape::node_with_memory(const Tensor& tensor) {
  Node* node = node_of(tensor);
  if (node == nullptr || node->gradient != nullptr) return node;
  std::vector<float*>& released = released_[node->count];
  if (released.empty()) {
    node->gradient = arena_.allocate(node->count);
  } else {
    node->gradient = released.back();
    released.pop_back();
  }
  return node;
}

void Tape::release(Node& node) {
  if (!node.result) return;
  if (node.gradient != nullptr) released_[node.count].push_back(node.gradient);
  node.gradient = nullptr;
  node.written = false;
  node.released = true;
}

float* Tape::gradient(const Tensor& tensor) {
  Node* node = node_with_memory(tensor);
  if (node == nullptr) return nullptr;
  if (!node->written) {
    std::fill_n(node->gradient, node->count, 0.0f);
    node->written = true;
  }
  return node->gradient;
}

Tape::Slot Tape::claim(const Tensor& tensor) {
  Node* node = node_with_memory(tensor);
  if (node == nullptr) return {};
  return {node->gradient, std::exchange(node->written, true)};
}

Tape::Slot Tape::inherit(const Tensor& tensor, const Tensor& result) {
  Node* from = node_of(result);
  Node* to = node_of(tensor);
  R1_CHECK(from != nullptr, "node {} has no gradient", result.node);
  if (to == nullptr) return {};
  if (to->gradient != nullptr || !from->written || !from->result) return claim(tensor);
  R1_CHECK(to->count == from->count, "{} from {}", to->count, from->count);
  to->gradient = std::exchange(from->gradient, nullptr);
  to->written = true;
  return {};
}

bool Tape::has_gradient(const Tensor& tensor) const {
  return tensor.node != kNoNode && nodes_[static_cast<std::size_t>(tensor.node)].written;
}

void Tape::backward() {
  while (!records_.empty()) {
    const Record record = std::move(records_.back());
    records_.pop_back();
    if (observer_ != nullptr) observer_->begin(record.where, Pass::backward);
    record.backward();
    // Whatever read or added to these gradients was recorded later, so it has run.
    for (std::size_t i = records_.empty() ? 0 : records_.back().nodes; i < record.nodes; ++i) {
      release(nodes_[i]);
    }
  }
}

}  // namespace r1
