#pragma once

#include <cstddef>
#include <string>
#include <unordered_set>
#include <vector>

#include "text/jinja/program.h"
#include "text/jinja/token_stream.h"

namespace r1::text::jinja {

// Reads expressions, with Jinja's precedences: or, and, not, comparison, + -, ~, * / // %, **,
// sign, postfix and filters.
class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}

  // One expression; `conditional`: may be "a if b else c".
  ExpressionRef parse(bool conditional = true);
  // One, or a tuple without parentheses: a, b.
  ExpressionRef parse_tuple(bool conditional = true);
  // "| a | b(1)" over the text of a block; null if there is no filter. Behind {% filter, the first
  // one has no "|".
  ExpressionRef parse_block_filters(bool first_has_bar);
  // (a, b, c=1) with the parentheses.
  std::vector<Argument> parse_arguments();

  // A name that the template gives a value to, so that it may be called.
  void define(const std::string& name) { defined_.insert(name); }
  // Throws Error if a function is called that nothing defines.
  void check_calls() const;

 private:
  static ExpressionRef make(ExpressionKind kind, int line);
  void adopt(Expression& parent, ExpressionRef child);
  void adopt_arguments(Expression& parent, std::vector<Argument> arguments);

  ExpressionRef parse_or();
  ExpressionRef parse_and();
  ExpressionRef parse_not();
  ExpressionRef parse_comparison();
  ExpressionRef parse_sum();
  ExpressionRef parse_concat();
  ExpressionRef parse_product();
  ExpressionRef parse_power();
  ExpressionRef parse_unary(bool with_filters = true);
  ExpressionRef parse_primary();
  ExpressionRef parse_name();
  ExpressionRef parse_number();
  ExpressionRef parse_brackets();
  ExpressionRef parse_dict();
  ExpressionRef parse_postfix(ExpressionRef subject);
  ExpressionRef parse_attribute(ExpressionRef subject);
  ExpressionRef parse_subscript(ExpressionRef subject);
  ExpressionRef parse_call(ExpressionRef callee);
  ExpressionRef parse_filters(ExpressionRef input);
  ExpressionRef parse_filter(ExpressionRef input, bool has_bar = true);
  ExpressionRef parse_test(ExpressionRef value);
  bool next_comparison(Comparison& comparison);
  bool at_tuple_end() const;
  void check_named_function(std::string_view filter, const std::vector<Argument>& arguments) const;

  struct Call {
    std::string name;
    int line;
  };

  TokenStream& tokens_;
  std::size_t nesting_ = 0;
  std::unordered_set<std::string> defined_;
  std::vector<Call> calls_;
};

}  // namespace r1::text::jinja
