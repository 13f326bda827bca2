#include "formats/gguf_panels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>

#include "backend/stored_panels.h"
#include "base/error.h"
#include "base/file.h"
#include "formats/gguf.h"
#include "formats/gguf_test_file.h"
#include "formats/gguf_writer.h"

namespace r1 {
namespace {

namespace fs = std::filesystem;
namespace t = gguf_test;
using testing::HasSubstr;

constexpr std::uint32_t kU32 = 4;  // of metadata values

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// A matrix of Q8_0 [20, 64] in panels.
t::Parts one_matrix() {
  t::Parts parts;
  parts.alignment = 64;
  parts.entries = {
      t::entry("general.alignment", kU32, t::number(std::uint32_t{64})),
      t::entry(gguf_panels::kPanelVersionKey, kU32, t::number(kPanelVersion)),
  };
  parts.tensors = {
      t::tensor("w", {64, 20}, gguf_panels::number_of(GgmlType::q8_0), 0),
  };
  parts.data.assign(static_cast<std::size_t>(stored_panel_bytes(GgmlType::q8_0, 20, 64)), '\1');
  return parts;
}

std::string refusal(const t::Parts& parts) {
  const std::string bytes = t::file(parts);
  return message_of([&] { GgufFile::parse(std::as_bytes(std::span(bytes)), "f"); });
}

TEST(GgufPanels, AreReadWithTheirTypeAndLogicalShape) {
  const std::string bytes = t::file(one_matrix());
  const GgufFile file = GgufFile::parse(std::as_bytes(std::span(bytes)), "f");
  const GgufTensor& w = file.at("w");
  EXPECT_TRUE(w.panels);
  EXPECT_EQ(w.type, GgmlType::q8_0);
  EXPECT_EQ(w.type_name(), "Q8_0 in panels");
  EXPECT_THAT(w.shape, testing::ElementsAre(20, 64));
  EXPECT_EQ(std::ssize(w.bytes), stored_panel_bytes(GgmlType::q8_0, 20, 64));
  EXPECT_EQ(load_f32(w).size(), 20u * 64u);
}

TEST(GgufPanels, OtherVersionsAreRefused) {
  t::Parts parts = one_matrix();
  parts.entries[1] =
      t::entry(gguf_panels::kPanelVersionKey, kU32, t::number(std::uint32_t{kPanelVersion + 1}));
  EXPECT_EQ(refusal(parts), fmt::format("f: holds panels of version {}, r1 reads {}; convert the "
                                        "model again from the file it was made of",
                                        kPanelVersion + 1, kPanelVersion));
  parts.entries.pop_back();
  EXPECT_THAT(refusal(parts),
              HasSubstr("tensor \"w\": lies in panels, but the file does not tell"));
  parts.entries.push_back(t::entry(gguf_panels::kPanelVersionKey, 8, t::text("1")));
  EXPECT_THAT(refusal(parts), HasSubstr("\"r1.panels.version\" must be an integer"));
}

TEST(GgufPanels, TypesWithoutPanelsAreRefused) {
  for (const std::uint32_t type : {0u, 1u, 10u, 0xFFFFu}) {  // F32, F16, Q2_K, none
    t::Parts parts = one_matrix();
    parts.tensors = {t::tensor("w", {64, 20}, gguf_panels::kFirstNumber + type, 0)};
    EXPECT_THAT(refusal(parts), HasSubstr("lies in panels of the unknown type")) << type;
  }
}

TEST(GgufPanels, PlacesAndSizesAreChecked) {
  EXPECT_EQ(refusal(one_matrix()), "no error");
  t::Parts parts = one_matrix();
  parts.data.pop_back();
  EXPECT_THAT(refusal(parts), HasSubstr("the file is truncated"));

  parts = one_matrix();
  parts.alignment = 32;
  parts.entries.erase(parts.entries.begin());
  EXPECT_THAT(refusal(parts), HasSubstr("\"general.alignment\" is 32 and no multiple of 64"));

  parts = one_matrix();
  parts.tensors = {t::tensor("w", {64, 20}, gguf_panels::number_of(GgmlType::q8_0), 32)};
  EXPECT_THAT(refusal(parts), HasSubstr("its offset 32 is not a multiple of 64"));

  const std::vector<std::vector<std::uint64_t>> shapes = {
      {64}, {0, 20}, {64, 0}, {64, 20, 0}, {64, 1ull << 52}, {64, 20, 1ull << 50}};
  for (const auto& shape : shapes) {
    parts.tensors = {t::tensor("w", shape, gguf_panels::number_of(GgmlType::q8_0), 0)};
    EXPECT_NE(refusal(parts), "no error") << fmt::format("{}", fmt::join(shape, ", "));
  }
  parts.tensors = {t::tensor("w", {65, 20}, gguf_panels::number_of(GgmlType::q8_0), 0)};
  EXPECT_THAT(refusal(parts), HasSubstr("Q8_0 needs a multiple of 32"));
}

TEST(GgufPanels, TheWriterAlignsAndTellsTheVersion) {
  std::string pattern = (fs::temp_directory_path() / "r1_panels_test_XXXXXX").native();
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  const fs::path path = fs::path(pattern) / "m.gguf";
  const std::vector<std::byte> panels(
      static_cast<std::size_t>(3 * stored_panel_bytes(GgmlType::q4_k, 40, 256)), std::byte{5});
  {
    GgufWriter writer(path, {},
                      {{"v", GgmlType::f32, {5}}, {"e", GgmlType::q4_k, {3, 40, 256}, true}});
    writer.append("v", std::vector<float>(5));
    writer.append("e", panels);
    writer.commit();
  }
  const GgufFile file = GgufFile::open(path);
  EXPECT_EQ(file.alignment(), 64u);
  EXPECT_EQ(file.metadata().require<std::uint32_t>(gguf_panels::kPanelVersionKey), kPanelVersion);
  const GgufTensor& e = file.at("e");
  EXPECT_TRUE(e.panels && std::ranges::equal(e.bytes, panels));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(e.bytes.data()) % kPanelAlignment, 0u);
  EXPECT_FALSE(file.at("v").panels);
  fs::remove_all(pattern);
}

}  // namespace
}  // namespace r1
