#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;

namespace r1::text {

// A regular expression of a tokenizer.json, compiled by PCRE2 with its just-in-time compiler.
//
// Those files are written for Oniguruma. The pattern is translated where the two dialects differ
// (\s, \w, \d are Unicode properties) and refused where they mean different things (\h, \v, nested
// and POSIX classes, `{n}+`, back-references, verbs), so that a file never splits differently in
// silence. Cheap to copy; matching is const and safe from many threads, each with its own
// RegexMatcher.
class Regex {
 public:
  // `where` names the file and field in the Error of a bad pattern.
  Regex(std::string_view pattern, std::string_view where);

  const pcre2_real_code_8* code() const { return code_.get(); }

 private:
  std::shared_ptr<pcre2_real_code_8> code_;
};

class RegexMatcher {
 public:
  explicit RegexMatcher(const Regex& regex);

  // Finds the leftmost match at or after `from`; `subject` must be valid UTF-8 and `from` the start
  // of a code point. Throws Error when the pattern backtracks without end.
  bool find(std::string_view subject, std::size_t from);

  std::size_t begin() const { return begin_; }
  std::size_t end() const { return end_; }

 private:
  struct Free {
    void operator()(pcre2_real_match_data_8* data) const;
  };
  const pcre2_real_code_8* code_;
  std::unique_ptr<pcre2_real_match_data_8, Free> data_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace r1::text
