#include "serve/web_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"

namespace r1::serve {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string text(const WebFile& file) {
  return {reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size()};
}

// The files that a text names by a relative address.
std::vector<std::string> references(const std::string& content, const std::regex& pattern) {
  std::vector<std::string> found;
  for (std::sregex_iterator match(content.begin(), content.end(), pattern), end; match != end;
       ++match) {
    found.push_back((*match)[1]);
  }
  return found;
}

TEST(WebPage, TheRootIsThePage) {
  const WebFile* page = find_web_file("/");
  ASSERT_NE(page, nullptr);
  EXPECT_EQ(page, find_web_file("/index.html"));
  EXPECT_EQ(page->content_type, "text/html; charset=utf-8");
  EXPECT_THAT(text(*page), testing::StartsWith("<!doctype html>"));
  EXPECT_FALSE(immutable(*page));
}

TEST(WebPage, HoldsTheBytesOfTheBuiltFiles) {
  ASSERT_GT(web_page().size(), 10u);
  for (const WebFile& file : web_page()) {
    EXPECT_EQ(text(file), read_text_file("web/dist" + std::string(file.path), 1 << 20))
        << file.path;
  }
}

TEST(WebPage, IsFoundByExactPathAlone) {
  for (const WebFile& file : web_page()) EXPECT_EQ(find_web_file(file.path), &file) << file.path;
  for (const char* path :
       {"", "index.html", "/INDEX.HTML", "/index.html/", "//index.html", "/assets", "/assets/",
        "/assets/../index.html", "/../web/dist/index.html"}) {
    EXPECT_EQ(find_web_file(path), nullptr) << path;
  }
}

TEST(WebPage, IsOrderedWithDistinctEtags) {
  EXPECT_TRUE(std::ranges::is_sorted(web_page(), {}, &WebFile::path));
  std::set<std::string_view> etags;
  for (const WebFile& file : web_page()) {
    EXPECT_TRUE(etags.insert(file.etag).second) << file.path;
    EXPECT_TRUE(std::regex_match(std::string(file.etag), std::regex("\"[0-9a-f]{32}\"")))
        << file.etag;
  }
}

TEST(WebPage, IsComplete) {
  const std::string page = text(*find_web_file("/"));
  const auto of_page = references(page, std::regex("(?:src|href)=\"\\.(/[^\"]+)\""));
  EXPECT_EQ(of_page.size(), 3u);  // script, style and icon
  for (const std::string& path : of_page) {
    const WebFile* file = find_web_file(path);
    ASSERT_NE(file, nullptr) << path;
    EXPECT_TRUE(immutable(*file)) << path;
    if (!path.ends_with(".css")) continue;
    for (const std::string& font : references(text(*file), std::regex("url\\(\\./([^)]+)\\)"))) {
      EXPECT_NE(find_web_file("/assets/" + font), nullptr) << font;
    }
  }
}

// What the policy forbids would be missing on the page.
TEST(WebPage, KeepsToItsPolicy) {
  const std::string page = text(*find_web_file("/"));
  EXPECT_THAT(page, Not(HasSubstr("<style")));
  EXPECT_THAT(page, Not(HasSubstr("style=")));
  EXPECT_FALSE(std::regex_search(page, std::regex("<script[^>]*>[^<]")));
  EXPECT_FALSE(std::regex_search(page, std::regex("(?:src|href)=\"(?:https?:)?//")));
  for (const WebFile& file : web_page()) {
    if (!file.path.ends_with(".css")) continue;
    EXPECT_FALSE(
        std::regex_search(text(file), std::regex("url\\((?:https?:)?//|url\\(data:|@import")))
        << file.path;
  }
}

TEST(WebPage, ThePolicyIsAHeadersValue) {
  const std::string_view policy = content_security_policy();
  EXPECT_THAT(std::string(policy), testing::StartsWith("default-src 'none'; script-src 'self';"));
  EXPECT_THAT(std::string(policy), Not(HasSubstr("unsafe")));
  EXPECT_TRUE(std::ranges::all_of(policy, [](char c) { return std::isprint(c) != 0; }));
}

}  // namespace
}  // namespace r1::serve
