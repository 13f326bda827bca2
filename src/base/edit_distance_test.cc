#include "base/edit_distance.h"

#include <gtest/gtest.h>

namespace r1 {
namespace {

TEST(EditDistance, CountsEdits) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("gcd", "gcd"), 0u);
  EXPECT_EQ(edit_distance("", "gcd"), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("learning_rat", "learning_rate"), 1u);
}

TEST(EditDistance, ASwapIsOneEdit) {
  EXPECT_EQ(edit_distance("countdwon", "countdown"), 1u);
  EXPECT_EQ(edit_distance("ab", "ba"), 1u);
}

TEST(EditDistance, IsSymmetric) {
  for (const auto& [a, b] : {std::pair("linear", "liner"), {"modular", "molar"}, {"x", "list"}}) {
    EXPECT_EQ(edit_distance(a, b), edit_distance(b, a));
  }
}

}  // namespace
}  // namespace r1
