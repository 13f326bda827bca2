#include "text/jinja/token_stream.h"

#include <fmt/format.h>

namespace r1::text::jinja {
namespace {

std::string describe(TokenKind kind, std::string_view text) {
  switch (kind) {
    case TokenKind::kText:
      return "text";
    case TokenKind::kVariableBegin:
      return "{{";
    case TokenKind::kVariableEnd:
      return "}}";
    case TokenKind::kBlockBegin:
      return "{%";
    case TokenKind::kBlockEnd:
      return "%}";
    case TokenKind::kString:
      return "a string";
    case TokenKind::kEnd:
      return "the end of the template";
    default:
      return text.empty() ? "a name" : fmt::format("\"{}\"", text);
  }
}

}  // namespace

Token TokenStream::take() {
  Token token = std::move(tokens_[at_]);
  tokens_[at_].kind = token.kind;
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool TokenStream::skip_operator(std::string_view text) {
  if (!at_operator(text)) return false;
  take();
  return true;
}

bool TokenStream::skip_word(std::string_view text) {
  if (!at_word(text)) return false;
  take();
  return true;
}

void TokenStream::expect_operator(std::string_view text) {
  if (!skip_operator(text)) fail_unexpected(fmt::format("\"{}\"", text));
}

void TokenStream::expect_word(std::string_view text) {
  if (!skip_word(text)) fail_unexpected(fmt::format("\"{}\"", text));
}

void TokenStream::expect(TokenKind kind) {
  if (!at(kind)) fail_unexpected(describe(kind, {}));
  take();
}

std::string TokenStream::expect_name() {
  if (!at(TokenKind::kName)) fail_unexpected("a name");
  return take().text;
}

void TokenStream::fail_unexpected(std::string_view wanted) const {
  fail(fmt::format("{} is expected, not {}", wanted, describe(current().kind, current().text)));
}

}  // namespace r1::text::jinja
