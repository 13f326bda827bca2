#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/lexer.h"

namespace r1::text::jinja {

// The tokens of a template, one after the other.
class TokenStream {
 public:
  TokenStream(std::vector<Token> tokens, std::string where)
      : tokens_(std::move(tokens)), where_(std::move(where)) {}

  const Token& current() const { return tokens_[at_]; }
  const Token& next() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  int line() const { return current().line; }
  const std::string& where() const { return where_; }
  // The last token, kEnd, never goes away.
  Token take();

  bool at(TokenKind kind) const { return current().kind == kind; }
  bool at_operator(std::string_view text) const { return at(TokenKind::kOperator, text); }
  bool at_word(std::string_view text) const { return at(TokenKind::kName, text); }
  bool skip_operator(std::string_view text);
  bool skip_word(std::string_view text);

  // Throw Error if something else comes.
  void expect_operator(std::string_view text);
  void expect_word(std::string_view text);
  void expect(TokenKind kind);
  std::string expect_name();

  [[noreturn]] void fail(std::string_view what, std::string_view advice = {}) const {
    refuse(where_, line(), what, advice);
  }
  [[noreturn]] void fail_unexpected(std::string_view wanted) const;

 private:
  bool at(TokenKind kind, std::string_view text) const {
    return current().kind == kind && current().text == text;
  }

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  std::string where_;
};

}  // namespace r1::text::jinja
