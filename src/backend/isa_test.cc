#include "backend/isa.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "base/error.h"

namespace r1 {
namespace {

// Sets R1_ISA for one test and puts back what was there.
class WithIsa {
 public:
  explicit WithIsa(const char* value) {
    if (const char* before = std::getenv("R1_ISA")) before_ = before;
    setenv("R1_ISA", value, 1);
  }
  ~WithIsa() {
    if (before_.empty()) {
      unsetenv("R1_ISA");
    } else {
      setenv("R1_ISA", before_.c_str(), 1);
    }
  }

 private:
  std::string before_;
};

TEST(Isa, SupportedSetsRiseFromScalar) {
  const std::vector<Isa> isas = supported_isas();
  ASSERT_FALSE(isas.empty());
  EXPECT_EQ(isas.front(), Isa::scalar);
  EXPECT_TRUE(std::is_sorted(isas.begin(), isas.end()));
}

TEST(Isa, EnvironmentForcesASet) {
  for (const Isa isa : supported_isas()) {
    const WithIsa forced(std::string(name_of(isa)).c_str());
    EXPECT_EQ(choose_isa(), isa);
  }
  const WithIsa unset("");
  EXPECT_EQ(choose_isa(), supported_isas().back());
}

TEST(Isa, UnknownNameIsAnErrorThatListsTheKnown) {
  const WithIsa forced("avx1024");
  try {
    choose_isa();
    FAIL();
  } catch (const Error& error) {
    const std::string text = error.what();
    for (const char* part : {"R1_ISA", "avx1024", "scalar, avx2, avx512, amx"}) {
      EXPECT_NE(text.find(part), std::string::npos) << text;
    }
  }
}

TEST(Isa, LackingSetIsAnErrorThatListsThePresent) {
  const std::vector<Isa> supported = supported_isas();
  for (const Isa isa : {Isa::avx2, Isa::avx512, Isa::amx}) {
    if (std::find(supported.begin(), supported.end(), isa) != supported.end()) continue;
    const WithIsa forced(std::string(name_of(isa)).c_str());
    try {
      choose_isa();
      FAIL();
    } catch (const Error& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find("lacks " + std::string(name_of(isa))), std::string::npos) << text;
      EXPECT_NE(text.find("scalar"), std::string::npos) << text;
    }
  }
}

}  // namespace
}  // namespace r1
