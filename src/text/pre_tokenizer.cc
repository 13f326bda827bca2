#include "text/pre_tokenizer.h"

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "text/utf8.h"

namespace r1::text {
namespace {

constexpr std::size_t kMaxSplits = 32;

// ByteLevel's own split, of GPT-2.
constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

}  // namespace

PreTokenizerSpec nano_pre_tokenizer() {
  PreTokenizerSpec spec;
  const auto isolate = [&](std::string pattern) {
    spec.splits.push_back({.kind = SplitRule::Kind::kRegex, .pattern = std::move(pattern)});
  };
  isolate(R"(\p{N}{1,3})");
  // CJK ideographs, hiragana, katakana.
  isolate("[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+");
  // One punctuation mark with the Latin letters after it; a word with at most one leading space or
  // control character; a run of punctuation with the line ends after it; line ends; white space,
  // leaving one space for the word that follows.
  isolate(R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
          R"(| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)");
  return spec;
}

// One pass over one text: a matcher per step and the spans of the running and the next level.
class PreTokenizer::Pass {
 public:
  explicit Pass(const std::vector<Step>& steps) : steps_(steps) {
    for (const Step& step : steps) {
      matchers_.push_back(step.regex ? std::make_unique<RegexMatcher>(*step.regex) : nullptr);
    }
  }

  const std::vector<Span>& run(std::string_view text) {
    spans_.assign(1, {0, text.size(), false});
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      next_.clear();
      for (const Span& span : spans_) {
        find(i, text.substr(span.begin, span.end - span.begin));
        arrange(steps_[i], span.begin);
      }
      spans_.swap(next_);
    }
    return spans_;
  }

 private:
  // Fills found_ with the matches of `piece` and the stretches between them.
  void find(std::size_t index, std::string_view piece) {
    const Step& step = steps_[index];
    found_.clear();
    std::size_t done = 0;  // found_ covers the piece up to here
    std::size_t from = 0;
    while (from <= piece.size()) {
      std::size_t begin = 0;
      std::size_t end = 0;
      if (RegexMatcher* matcher = matchers_[index].get()) {
        if (!matcher->find(piece, from)) break;
        begin = matcher->begin();
        end = matcher->end();
      } else {
        begin = piece.find(step.literal, from);
        if (begin == std::string_view::npos) break;
        end = begin + step.literal.size();
      }
      add(done, begin, step.invert);
      add(begin, end, !step.invert);
      done = end;
      from = end;
      if (begin == end) {  // an empty match splits here; go on after one character
        if (end == piece.size()) break;
        from = end + next_utf8(piece.substr(end)).length;
      }
    }
    add(done, piece.size(), step.invert);
  }

  void add(std::size_t begin, std::size_t end, bool match) {
    if (begin < end) found_.push_back({begin, end, match});
  }

  // Appends found_ to next_ as the step's behaviour wants it; `offset` is the piece's own.
  void arrange(const Step& step, std::size_t offset) {
    const std::size_t first = next_.size();
    for (std::size_t i = 0; i < found_.size(); ++i) {
      const Span& span = found_[i];
      const bool after_match = i > 0 && found_[i - 1].match;
      bool join = false;
      switch (step.behavior) {
        case SplitBehavior::kIsolated:
          break;
        case SplitBehavior::kRemoved:
          if (span.match) continue;
          break;
        case SplitBehavior::kMergedWithPrevious:
          join = span.match && !after_match;
          break;
        case SplitBehavior::kMergedWithNext:
          // The last match of a row of them leads the stretch that follows.
          join = !span.match && after_match;
          break;
        case SplitBehavior::kContiguous:
          join = span.match == after_match;
          break;
      }
      if (join && next_.size() > first) {
        next_.back().end = offset + span.end;
      } else {
        next_.push_back({offset + span.begin, offset + span.end, span.match});
      }
    }
  }

  const std::vector<Step>& steps_;
  std::vector<std::unique_ptr<RegexMatcher>> matchers_;
  std::vector<Span> spans_, next_, found_;
};

PreTokenizer::PreTokenizer(PreTokenizerSpec spec, std::string_view where) : spec_(std::move(spec)) {
  if (spec_.splits.size() > kMaxSplits) {
    throw Error(where, fmt::format("{} splits", spec_.splits.size()),
                fmt::format("at most {} are allowed", kMaxSplits));
  }
  for (const SplitRule& rule : spec_.splits) {
    Step step{.regex = {}, .literal = {}, .behavior = rule.behavior, .invert = rule.invert};
    switch (rule.kind) {
      case SplitRule::Kind::kRegex:
        step.regex.emplace(rule.pattern, where);
        break;
      case SplitRule::Kind::kDigits:
        step.regex.emplace(R"(\p{N})", where);
        break;
      case SplitRule::Kind::kLiteral:
        if (rule.pattern.empty()) throw Error(where, "an empty pattern");
        step.literal = rule.pattern;
        break;
    }
    steps_.push_back(std::move(step));
  }
  if (spec_.gpt2_split) {
    Step step;
    step.regex.emplace(kGpt2Pattern, where);
    byte_level_.push_back(std::move(step));
  }
}

void PreTokenizer::for_each_piece(std::string_view text,
                                  const std::function<void(std::string_view)>& piece) const {
  Pass splits(steps_);
  Pass byte_level(byte_level_);
  std::string spaced;
  for_each_utf8_run(text, [&](std::string_view run, bool valid) {
    if (!valid) return piece(run);
    for (const Span& span : splits.run(run)) {
      std::string_view part = run.substr(span.begin, span.end - span.begin);
      if (spec_.add_prefix_space && !part.starts_with(' ')) {
        spaced.assign(1, ' ').append(part);
        part = spaced;
      }
      for (const Span& inner : byte_level.run(part)) {
        piece(part.substr(inner.begin, inner.end - inner.begin));
      }
    }
  });
}

}  // namespace r1::text
