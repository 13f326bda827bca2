#include "text/jinja/marked_text.h"

#include <algorithm>

namespace r1::text::jinja {

MarkedText::MarkedText(std::string bytes, bool from_user) : bytes_(std::move(bytes)) {
  if (from_user) mark({0, bytes_.size()});
}

void MarkedText::mark(Span part) {
  if (part.size() == 0) return;
  if (!user_.empty() && user_.back().end == part.begin) {
    user_.back().end = part.end;
  } else {
    user_.push_back(part);
  }
}

void MarkedText::append(const MarkedText& other, Span part) {
  const std::size_t start = bytes_.size();
  const std::size_t ranges = other.user_.size();  // `other` may be this very text
  bytes_.append(other.bytes_, part.begin, part.size());
  const auto ends_before = [](const Span& range, std::size_t at) { return range.end <= at; };
  const auto first =
      std::lower_bound(other.user_.begin(), other.user_.end(), part.begin, ends_before);
  for (auto i = static_cast<std::size_t>(first - other.user_.begin()); i < ranges; ++i) {
    const Span range = other.user_[i];
    if (range.begin >= part.end) break;
    mark({start + std::max(range.begin, part.begin) - part.begin,
          start + std::min(range.end, part.end) - part.begin});
  }
}

MarkedText MarkedText::cut(Span part) const {
  MarkedText result;
  result.append(*this, part);
  return result;
}

std::vector<PromptSegment> MarkedText::segments() const {
  std::vector<PromptSegment> segments;
  std::size_t done = 0;
  const auto add = [&](std::size_t end, bool from_user) {
    if (done < end) segments.push_back({bytes_.substr(done, end - done), from_user});
    done = end;
  };
  for (const Span& range : user_) {
    add(range.begin, false);
    add(range.end, true);
  }
  add(bytes_.size(), false);
  return segments;
}

}  // namespace r1::text::jinja
