#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "text/prompt_segment.h"

namespace r1::text::jinja {

// Bytes [begin, end) of a text.
struct Span {
  std::size_t begin = 0, end = 0;

  std::size_t size() const { return end - begin; }
  bool operator==(const Span&) const = default;
};

// Text that remembers which of its bytes a user wrote. Joining and cutting keep the marks byte for
// byte.
class MarkedText {
 public:
  MarkedText() = default;
  explicit MarkedText(std::string bytes, bool from_user = false);

  const std::string& bytes() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  // Bytes it takes, marks included.
  std::size_t memory() const { return bytes_.size() + user_.size() * sizeof(Span); }
  bool has_user_text() const { return !user_.empty(); }

  // Text of the template's own.
  void append(std::string_view text) { bytes_ += text; }
  void append(const MarkedText& other) { append(other, {0, other.size()}); }
  // A part of another text (or of this one).
  void append(const MarkedText& other, Span part);

  MarkedText cut(Span part) const;

  // The result of an operation that keeps no track of single bytes: all of it is the user's if any
  // of this text is.
  MarkedText remade(std::string bytes) const {
    return MarkedText(std::move(bytes), has_user_text());
  }

  // Alternating authors, no empty segment.
  std::vector<PromptSegment> segments() const;

 private:
  void mark(Span part);

  std::string bytes_;
  std::vector<Span> user_;  // ascending, apart, none empty
};

}  // namespace r1::text::jinja
