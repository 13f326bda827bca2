#include "train/packing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "model/model.h"
#include "model/model_test_config.h"

namespace r1::train {
namespace {

constexpr std::int32_t kNone = kIgnoredLabel;

TEST(Packing, SequencesStandOneBehindAnother) {
  const PackedBatch packed = pack(std::vector<Sequence>{{1, 2, 3}, {4}, {5, 6}});
  EXPECT_EQ(packed.batch.ids, (Sequence{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(packed.batch.positions, (Sequence{0, 1, 2, 0, 0, 1}));
  ASSERT_EQ(packed.batch.spans.size(), 3u);
  EXPECT_EQ(packed.batch.spans[1].first_row, 3);
  EXPECT_EQ(packed.batch.spans[1].rows, 1);
  EXPECT_EQ(packed.batch.spans[2].first_row, 4);
  EXPECT_EQ(packed.batch.spans[2].start, 0);
}

TEST(Packing, LabelsStayInsideTheirSequence) {
  const PackedBatch packed = pack(std::vector<Sequence>{{1, 2, 3}, {4}, {5, 6}});
  EXPECT_EQ(packed.labels(1), (Sequence{2, 3, kNone, kNone, 6, kNone}));
  EXPECT_EQ(packed.labels(2), (Sequence{3, kNone, kNone, kNone, kNone, kNone}));
  EXPECT_EQ(packed.labels(3), Sequence(6, kNone));
  for (std::int64_t places = 1; places < 5; ++places) {
    const Sequence labels = packed.labels(places);
    EXPECT_EQ(packed.label_count(places), std::ssize(labels) - std::ranges::count(labels, kNone));
  }
}

TEST(Packing, PromptsAreReadAndNotLearned) {
  // The second sequence is all prompt, the third learned whole.
  const std::vector<Sequence> sequences = {{1, 2, 3, 4}, {5, 6}, {7, 8}};
  const std::vector<std::vector<bool>> learned = {
      {false, false, true, true}, {false, false}, {true, true}};
  const PackedBatch packed = pack(sequences, learned);
  EXPECT_EQ(packed.labels(1), (Sequence{kNone, 3, 4, kNone, kNone, kNone, 8, kNone}));
  EXPECT_EQ(packed.labels(2), (Sequence{3, 4, kNone, kNone, kNone, kNone, kNone, kNone}));
  EXPECT_EQ(packed.label_count(1), 3);
  EXPECT_EQ(packed.label_count(2), 2);
  EXPECT_EQ(packed.label_count(9), 0);
}

TEST(Packing, WhatIsLearnedMayLieAnywhere) {
  const std::vector<Sequence> sequences = {{1, 2, 3, 4, 5}};
  const PackedBatch packed =
      pack(sequences, std::vector<std::vector<bool>>{{false, true, false, false, true}});
  EXPECT_EQ(packed.labels(1), (Sequence{2, kNone, kNone, 5, kNone}));
  EXPECT_EQ(packed.labels(2), (Sequence{kNone, kNone, 5, kNone, kNone}));
}

TEST(Packing, GroupsAreFilledInOrder) {
  using Lengths = std::vector<std::int64_t>;
  using Ends = std::vector<std::size_t>;
  EXPECT_EQ(cut_by_tokens(Lengths{}, 10), Ends{});
  EXPECT_EQ(cut_by_tokens(Lengths{4, 6, 1}, 10), (Ends{2, 3}));
  EXPECT_EQ(cut_by_tokens(Lengths{4, 7, 1}, 10), (Ends{1, 3}));
  // A sequence longer than a group stands alone, wherever it comes.
  EXPECT_EQ(cut_by_tokens(Lengths{50, 1, 50, 50, 2, 3}, 10), (Ends{1, 2, 3, 4, 6}));
  EXPECT_EQ(lengths_of(std::vector<Sequence>{{1, 2}, {}, {3}}), (Lengths{2, 0, 1}));
}

// No attention across sequences: in company every sequence gets the bits it gets alone.
TEST(Packing, CompanyChangesNothing) {
  Backend backend(2);
  const ModelConfig config = model_test::tiny_config();
  for (const r1::Precision precision : {r1::Precision::f32, r1::Precision::bf16}) {
    const auto model = Model::initialise(backend, config, precision, 1);
    std::vector<Sequence> sequences;
    for (const std::int64_t length : {17, 1, 70, 33}) {
      sequences.push_back(
          model_test::random_tokens(config, static_cast<std::uint64_t>(length), length));
    }
    const auto states = [&](std::span<const Sequence> some) {
      Arena arena;
      const ForwardContext ctx{backend, arena, precision, nullptr};
      const Tensor found = model->forward(ctx, pack(some).batch);
      return std::vector<float>(found.data, found.data + found.shape.count());
    };
    const std::vector<float> together = states(sequences);
    std::vector<float> apart;
    for (const Sequence& sequence : sequences) {
      const std::vector<float> alone = states(std::span(&sequence, 1));
      apart.insert(apart.end(), alone.begin(), alone.end());
    }
    ASSERT_EQ(together.size(), apart.size());
    EXPECT_EQ(std::memcmp(together.data(), apart.data(), together.size() * sizeof(float)), 0);
  }
}

}  // namespace
}  // namespace r1::train
