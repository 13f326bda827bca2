#include "model/expert_memory.h"

#include <gtest/gtest.h>

#include <vector>

#include "model/layers.h"

namespace r1 {
namespace {

constexpr std::int64_t kExperts = 4, kLayers = 2, kSize = 32;

class ExpertMemoryTest : public testing::Test {
 protected:
  ExpertMemoryTest() {
    for (std::vector<ExpertWeight>* layer : {&first_, &second_}) {
      for (std::int64_t i = 0; i < kExperts; ++i) layer->push_back(make_expert());
    }
  }

  ExpertWeight make_expert() {
    ExpertWeight expert{make_linear("gate", kSize, kSize), make_linear("up", kSize, kSize),
                        make_linear("down", kSize, kSize)};
    for (LinearWeight* linear : {&expert.gate, &expert.up, &expert.down}) {
      linear->weight.stored = StoredRows{GgmlType::bf16, values_};
    }
    return expert;
  }
  ExpertMemory memory_of(std::int64_t slots) {
    return ExpertMemory(slots, ExpertMemory::bytes_for(first_[0]), kExperts, kLayers, false);
  }
  void require(ExpertMemory& memory, std::vector<ExpertWeight>& layer,
               std::vector<std::int32_t> indices) {
    memory.require(backend_, layer, indices);
    for (const std::int32_t index : indices) {
      EXPECT_GE(layer[static_cast<std::size_t>(index)].slot, 0);
    }
  }

  Backend backend_{1};
  std::vector<std::byte> values_ = std::vector<std::byte>(kSize * kSize * sizeof(bf16));
  std::vector<ExpertWeight> first_, second_;
};

TEST_F(ExpertMemoryTest, WhatIsNeededOftenStaysThoughOthersWereNeededLater) {
  ExpertMemory memory = memory_of(kExperts + 1);
  for (int i = 0; i < 10; ++i) require(memory, first_, {0});
  require(memory, second_, {0, 1, 2, 3});
  require(memory, first_, {1});
  EXPECT_GE(first_[0].slot, 0);
  EXPECT_EQ(memory.stats().packed, 6);
}

TEST_F(ExpertMemoryTest, WhatWasNeededLongAgoGoesThoughItWasNeededOften) {
  ExpertMemory memory = memory_of(kExperts + 1);
  for (int i = 0; i < 10; ++i) require(memory, first_, {0});
  for (int i = 0; i < 1000; ++i) require(memory, second_, {0, 1, 2, 3});
  require(memory, first_, {1});
  EXPECT_EQ(first_[0].slot, -1);
}

TEST_F(ExpertMemoryTest, ExpectsOfTheNextLayerWhatItNeededOfLate) {
  ExpertMemory memory = memory_of(kExperts);
  require(memory, first_, {2, 3});
  require(memory, second_, {0, 1, 2, 3});
  memory.expect(first_);
  EXPECT_EQ(memory.stats().expected, 2);
  require(memory, first_, {1, 2});
  EXPECT_EQ(memory.stats().foreseen, 1);
  EXPECT_EQ(memory.stats().required, 8);
  EXPECT_EQ(memory.stats().packed, 8);
}

TEST_F(ExpertMemoryTest, ExpectsNothingWhereThereIsRoomForAll) {
  ExpertMemory memory = memory_of(kExperts * kLayers);
  require(memory, first_, {0});
  memory.expect(second_);
  EXPECT_TRUE(memory.holds_all());
  EXPECT_EQ(memory.stats().expected, 0);
}

}  // namespace
}  // namespace r1
