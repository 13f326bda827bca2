#include "text/prompt_encoder.h"

#include "text/jinja/python_text.h"

namespace r1::text {
namespace {

std::vector<AddedToken> control_tokens(const Tokenizer& tokenizer) {
  std::vector<AddedToken> tokens;
  for (const AddedToken& token : tokenizer.spec().added) {
    if (token.is_control()) tokens.push_back(token);
  }
  return tokens;
}

std::vector<std::string> contents(const std::vector<AddedToken>& tokens) {
  std::vector<std::string> contents;
  for (const AddedToken& token : tokens) contents.push_back(token.content);
  return contents;
}

// Text between control tokens, collected over segments.
class Encoding {
 public:
  explicit Encoding(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  void add_text(std::string_view text) {
    if (strips_) {  // the last token takes the white space behind it along
      text.remove_prefix(jinja::strip(text, jinja::Side::kLeft).begin);
      strips_ = text.empty();
    }
    pending_ += text;
  }

  void add_token(const AddedToken& token) {
    if (token.lstrip) pending_.resize(jinja::strip(pending_, jinja::Side::kRight).end);
    flush();
    ids_.push_back(token.id);
    strips_ = token.rstrip;
  }

  std::vector<std::int32_t> finish() && {
    flush();
    return std::move(ids_);
  }

 private:
  void flush() {
    const std::vector<std::int32_t> ids = tokenizer_.encode(pending_, {.parse_special = false});
    ids_.insert(ids_.end(), ids.begin(), ids.end());
    pending_.clear();
  }

  const Tokenizer& tokenizer_;
  std::string pending_;
  bool strips_ = false;
  std::vector<std::int32_t> ids_;
};

}  // namespace

PromptEncoder::PromptEncoder(Tokenizer tokenizer)
    : tokenizer_(std::move(tokenizer)),
      control_(control_tokens(tokenizer_)),
      matcher_(control_, contents(control_)) {}

std::vector<std::int32_t> PromptEncoder::encode(std::span<const PromptSegment> segments) const {
  Encoding encoding(tokenizer_);
  std::string own;  // of neighbouring segments of the template's
  const auto end_own = [&] {
    matcher_.split(own, AddedTokenSet::kAll, [&](std::string_view part, std::int32_t index) {
      if (index < 0) {
        encoding.add_text(part);
      } else {
        encoding.add_token(control_[static_cast<std::size_t>(index)]);
      }
    });
    own.clear();
  };
  for (const PromptSegment& segment : segments) {
    if (!segment.from_user) {
      own += segment.text;
      continue;
    }
    end_own();
    encoding.add_text(segment.text);
  }
  end_own();
  return std::move(encoding).finish();
}

}  // namespace r1::text
