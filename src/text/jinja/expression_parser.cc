#include "text/jinja/expression_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "text/jinja/functions.h"
#include "text/jinja/methods.h"
#include "text/jinja/python_text.h"

namespace r1::text::jinja {
namespace {

// Names that mean something in Jinja that is not here.
constexpr std::string_view kUnsupportedNames[] = {"varargs", "kwargs", "self", "super"};

template <std::size_t n>
using Symbols = std::array<std::pair<std::string_view, Arithmetic>, n>;

constexpr Symbols<2> kSums = {{{"+", Arithmetic::kAdd}, {"-", Arithmetic::kSubtract}}};
constexpr Symbols<4> kProducts = {{{"*", Arithmetic::kMultiply},
                                   {"/", Arithmetic::kDivide},
                                   {"//", Arithmetic::kFloorDivide},
                                   {"%", Arithmetic::kModulo}}};

// Whether one of them comes next, and then which.
template <std::size_t n>
bool take_symbol(TokenStream& tokens, const Symbols<n>& symbols, Arithmetic& op) {
  for (const auto& [symbol, meaning] : symbols) {
    if (!tokens.skip_operator(symbol)) continue;
    op = meaning;
    return true;
  }
  return false;
}

bool is_generator_filter(std::string_view name) {
  return name == "select" || name == "reject" || name == "selectattr" || name == "rejectattr";
}

}  // namespace

ExpressionRef ExpressionParser::make(ExpressionKind kind, int line) {
  auto expression = std::make_unique<Expression>();
  expression->kind = kind;
  expression->line = line;
  return expression;
}

void ExpressionParser::adopt(Expression& parent, ExpressionRef child) {
  if (child != nullptr) parent.height = std::max(parent.height, child->height + 1);
  if (parent.height > kMaxHeight) tokens_.fail("an expression is too long or too deep");
  parent.operands.push_back(std::move(child));
}

void ExpressionParser::adopt_arguments(Expression& parent, std::vector<Argument> arguments) {
  for (const Argument& argument : arguments) {
    parent.height = std::max(parent.height, argument.value->height + 1);
  }
  if (parent.height > kMaxHeight) tokens_.fail("an expression is too long or too deep");
  parent.arguments = std::move(arguments);
}

void ExpressionParser::check_calls() const {
  for (const Call& call : calls_) {
    if (is_global_function(call.name) || defined_.contains(call.name)) continue;
    refuse(tokens_.where(), call.line,
           fmt::format("the function {}() is not supported", call.name));
  }
}

ExpressionRef ExpressionParser::parse(bool conditional) {
  if (nesting_ >= kMaxNesting) tokens_.fail("expressions nest too deep");
  ++nesting_;
  ExpressionRef expression = parse_or();
  while (conditional && tokens_.at_word("if")) {
    ExpressionRef choice = make(ExpressionKind::kConditional, tokens_.take().line);
    ExpressionRef then = std::move(expression);
    adopt(*choice, parse_or());
    adopt(*choice, std::move(then));
    if (tokens_.skip_word("else")) adopt(*choice, parse());
    expression = std::move(choice);
  }
  --nesting_;
  return expression;
}

bool ExpressionParser::at_tuple_end() const {
  return tokens_.at(TokenKind::kVariableEnd) || tokens_.at(TokenKind::kBlockEnd) ||
         tokens_.at_operator(")") || tokens_.at_word("if") || tokens_.at_word("in");
}

ExpressionRef ExpressionParser::parse_tuple(bool conditional) {
  const int line = tokens_.line();
  ExpressionRef first = parse(conditional);
  if (!tokens_.at_operator(",")) return first;
  ExpressionRef tuple = make(ExpressionKind::kTuple, line);
  adopt(*tuple, std::move(first));
  while (tokens_.skip_operator(",") && !at_tuple_end()) adopt(*tuple, parse(conditional));
  return tuple;
}

ExpressionRef ExpressionParser::parse_or() {
  ExpressionRef left = parse_and();
  while (tokens_.at_word("or")) {
    ExpressionRef both = make(ExpressionKind::kOr, tokens_.take().line);
    adopt(*both, std::move(left));
    adopt(*both, parse_and());
    left = std::move(both);
  }
  return left;
}

ExpressionRef ExpressionParser::parse_and() {
  ExpressionRef left = parse_not();
  while (tokens_.at_word("and")) {
    ExpressionRef both = make(ExpressionKind::kAnd, tokens_.take().line);
    adopt(*both, std::move(left));
    adopt(*both, parse_not());
    left = std::move(both);
  }
  return left;
}

ExpressionRef ExpressionParser::parse_not() {
  if (!tokens_.at_word("not")) return parse_comparison();
  ExpressionRef negation = make(ExpressionKind::kNot, tokens_.take().line);
  if (nesting_ >= kMaxNesting) tokens_.fail("expressions nest too deep");
  ++nesting_;
  adopt(*negation, parse_not());
  --nesting_;
  return negation;
}

bool ExpressionParser::next_comparison(Comparison& comparison) {
  static constexpr std::pair<std::string_view, Comparison> kSymbols[] = {
      {"==", Comparison::kEqual},  {"!=", Comparison::kUnequal},
      {"<", Comparison::kLess},    {"<=", Comparison::kLessEqual},
      {">", Comparison::kGreater}, {">=", Comparison::kGreaterEqual}};
  for (const auto& [symbol, meaning] : kSymbols) {
    if (!tokens_.skip_operator(symbol)) continue;
    comparison = meaning;
    return true;
  }
  if (tokens_.skip_word("in")) {
    comparison = Comparison::kIn;
    return true;
  }
  const Token& next = tokens_.next();
  if (!tokens_.at_word("not") || next.kind != TokenKind::kName || next.text != "in") return false;
  tokens_.take();
  tokens_.take();
  comparison = Comparison::kNotIn;
  return true;
}

ExpressionRef ExpressionParser::parse_comparison() {
  const int line = tokens_.line();
  ExpressionRef first = parse_sum();
  Comparison comparison{};
  if (!next_comparison(comparison)) return first;
  ExpressionRef chain = make(ExpressionKind::kComparison, line);
  adopt(*chain, std::move(first));
  do {
    chain->comparisons.push_back(comparison);
    adopt(*chain, parse_sum());
  } while (next_comparison(comparison));
  return chain;
}

ExpressionRef ExpressionParser::parse_sum() {
  ExpressionRef left = parse_concat();
  Arithmetic op{};
  for (int line = tokens_.line(); take_symbol(tokens_, kSums, op); line = tokens_.line()) {
    ExpressionRef sum = make(ExpressionKind::kArithmetic, line);
    sum->arithmetic = op;
    adopt(*sum, std::move(left));
    adopt(*sum, parse_concat());
    left = std::move(sum);
  }
  return left;
}

ExpressionRef ExpressionParser::parse_concat() {
  const int line = tokens_.line();
  ExpressionRef first = parse_product();
  if (!tokens_.at_operator("~")) return first;
  ExpressionRef concat = make(ExpressionKind::kConcat, line);
  adopt(*concat, std::move(first));
  while (tokens_.skip_operator("~")) adopt(*concat, parse_product());
  return concat;
}

ExpressionRef ExpressionParser::parse_product() {
  ExpressionRef left = parse_power();
  Arithmetic op{};
  for (int line = tokens_.line(); take_symbol(tokens_, kProducts, op); line = tokens_.line()) {
    ExpressionRef product = make(ExpressionKind::kArithmetic, line);
    product->arithmetic = op;
    adopt(*product, std::move(left));
    adopt(*product, parse_power());
    left = std::move(product);
  }
  return left;
}

ExpressionRef ExpressionParser::parse_power() {
  ExpressionRef left = parse_unary();
  while (tokens_.at_operator("**")) {  // to the left, unlike Python
    ExpressionRef power = make(ExpressionKind::kArithmetic, tokens_.take().line);
    power->arithmetic = Arithmetic::kPower;
    adopt(*power, std::move(left));
    adopt(*power, parse_unary());
    left = std::move(power);
  }
  return left;
}

ExpressionRef ExpressionParser::parse_unary(bool with_filters) {
  ExpressionRef value;
  if (tokens_.at_operator("-") || tokens_.at_operator("+")) {
    const Token sign = tokens_.take();
    ExpressionRef signed_value =
        make(sign.text == "-" ? ExpressionKind::kNegate : ExpressionKind::kPlus, sign.line);
    if (nesting_ >= kMaxNesting) tokens_.fail("expressions nest too deep");
    ++nesting_;
    adopt(*signed_value, parse_unary(false));
    --nesting_;
    value = std::move(signed_value);
  } else {
    value = parse_primary();
  }
  value = parse_postfix(std::move(value));
  return with_filters ? parse_filters(std::move(value)) : std::move(value);
}

ExpressionRef ExpressionParser::parse_primary() {
  if (tokens_.at(TokenKind::kName)) return parse_name();
  if (tokens_.at(TokenKind::kInteger) || tokens_.at(TokenKind::kFloat)) return parse_number();
  if (tokens_.at(TokenKind::kString)) {
    ExpressionRef text = make(ExpressionKind::kConstant, tokens_.line());
    std::string joined;
    while (tokens_.at(TokenKind::kString)) joined += tokens_.take().text;
    text->constant = Value::text(MarkedText(std::move(joined)));
    return text;
  }
  if (tokens_.at_operator("{")) return parse_dict();
  if (tokens_.at_operator("(") || tokens_.at_operator("[")) return parse_brackets();
  tokens_.fail_unexpected("an expression");
}

ExpressionRef ExpressionParser::parse_name() {
  const Token token = tokens_.take();
  const std::string& name = token.text;
  const bool truth = name == "true" || name == "True";
  if (truth || name == "false" || name == "False" || name == "none" || name == "None") {
    ExpressionRef constant = make(ExpressionKind::kConstant, token.line);
    const bool none = name == "none" || name == "None";
    constant->constant = none ? Value::none() : Value::boolean(truth);
    return constant;
  }
  for (const std::string_view unsupported : kUnsupportedNames) {
    if (name == unsupported) {
      refuse(tokens_.where(), token.line, fmt::format("\"{}\" is not supported", name));
    }
  }
  ExpressionRef variable = make(ExpressionKind::kVariable, token.line);
  variable->name = name;
  return variable;
}

ExpressionRef ExpressionParser::parse_number() {
  const Token token = tokens_.take();
  ExpressionRef number = make(ExpressionKind::kConstant, token.line);
  if (token.kind == TokenKind::kFloat) {
    number->constant = Value::number(parse_float(token.text).value_or(0));
    return number;
  }
  const std::string& text = token.text;
  const char letter = text.size() > 1 ? text[1] : '0';
  const int base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 10;
  try {
    number->constant = Value::integer(parse_integer(text, base).value_or(0));
  } catch (const Failure& failure) {
    refuse(tokens_.where(), token.line, failure.what());
  }
  return number;
}

// A list, a tuple, or an expression in parentheses.
ExpressionRef ExpressionParser::parse_brackets() {
  const Token open = tokens_.take();
  const bool list = open.text == "[";
  const std::string_view close = list ? "]" : ")";
  ExpressionRef items = make(list ? ExpressionKind::kList : ExpressionKind::kTuple, open.line);
  bool comma = list;
  while (!tokens_.at_operator(close)) {
    adopt(*items, parse());
    if (tokens_.at_operator(close)) break;
    tokens_.expect_operator(",");
    comma = true;
  }
  tokens_.expect_operator(close);
  if (!comma && items->operands.size() == 1) return std::move(items->operands[0]);
  return items;
}

ExpressionRef ExpressionParser::parse_dict() {
  ExpressionRef dict = make(ExpressionKind::kDict, tokens_.take().line);
  while (!tokens_.at_operator("}")) {
    adopt(*dict, parse());
    tokens_.expect_operator(":");
    adopt(*dict, parse());
    if (!tokens_.at_operator("}")) tokens_.expect_operator(",");
  }
  tokens_.expect_operator("}");
  return dict;
}

ExpressionRef ExpressionParser::parse_postfix(ExpressionRef subject) {
  while (true) {
    if (tokens_.at_operator(".")) {
      subject = parse_attribute(std::move(subject));
    } else if (tokens_.at_operator("[")) {
      subject = parse_subscript(std::move(subject));
    } else if (tokens_.at_operator("(")) {
      subject = parse_call(std::move(subject));
    } else {
      return subject;
    }
  }
}

ExpressionRef ExpressionParser::parse_attribute(ExpressionRef subject) {
  const int line = tokens_.take().line;
  if (tokens_.at(TokenKind::kInteger)) {
    ExpressionRef element = make(ExpressionKind::kSubscript, line);
    adopt(*element, std::move(subject));
    adopt(*element, parse_number());
    return element;
  }
  ExpressionRef attribute = make(ExpressionKind::kAttribute, line);
  attribute->name = tokens_.expect_name();
  const bool loop = subject->kind == ExpressionKind::kVariable && subject->name == "loop";
  if (loop && attribute->name == "changed") {
    refuse(tokens_.where(), line, "loop.changed() is not supported");
  }
  adopt(*attribute, std::move(subject));
  return attribute;
}

ExpressionRef ExpressionParser::parse_subscript(ExpressionRef subject) {
  const int line = tokens_.take().line;
  ExpressionRef parts[3];
  std::size_t colons = 0;
  while (!tokens_.at_operator("]")) {
    if (tokens_.at_operator(":") && colons < 2) {
      tokens_.take();
      ++colons;
    } else if (parts[colons] == nullptr) {
      parts[colons] = parse();
      if (!tokens_.at_operator(":")) break;
    } else {
      tokens_.fail_unexpected("\"]\"");
    }
  }
  if (tokens_.at_operator(",")) tokens_.fail("a subscript with a comma is not supported");
  if (colons == 0 && parts[0] == nullptr) tokens_.fail_unexpected("a subscript");
  tokens_.expect_operator("]");
  ExpressionRef element =
      make(colons == 0 ? ExpressionKind::kSubscript : ExpressionKind::kSlice, line);
  adopt(*element, std::move(subject));
  adopt(*element, std::move(parts[0]));
  if (colons > 0) {
    adopt(*element, std::move(parts[1]));
    adopt(*element, std::move(parts[2]));
  }
  return element;
}

ExpressionRef ExpressionParser::parse_call(ExpressionRef callee) {
  const int line = tokens_.line();
  if (callee->kind == ExpressionKind::kVariable) {
    if (callee->name == "loop") tokens_.fail("a recursive loop is not supported");
    calls_.push_back({callee->name, line});
  }
  if (callee->kind != ExpressionKind::kAttribute) {
    ExpressionRef call = make(ExpressionKind::kCall, line);
    adopt(*call, std::move(callee));
    adopt_arguments(*call, parse_arguments());
    return call;
  }
  if (!is_method(callee->name)) {
    tokens_.fail(fmt::format("the method {}() is not supported", callee->name));
  }
  ExpressionRef call = make(ExpressionKind::kMethodCall, line);
  call->name = callee->name;
  adopt(*call, std::move(callee->operands[0]));
  adopt_arguments(*call, parse_arguments());
  return call;
}

std::vector<Argument> ExpressionParser::parse_arguments() {
  tokens_.expect_operator("(");
  std::vector<Argument> arguments;
  while (!tokens_.at_operator(")")) {
    Argument argument;
    const Token& next = tokens_.next();
    if (tokens_.skip_operator("*")) {
      argument.spread = Argument::Spread::kList;
    } else if (tokens_.skip_operator("**")) {
      argument.spread = Argument::Spread::kDict;
    } else if (tokens_.at(TokenKind::kName) && next.kind == TokenKind::kOperator &&
               next.text == "=") {
      argument.name = tokens_.take().text;
      tokens_.take();
    } else if (!arguments.empty() && !arguments.back().name.empty()) {
      tokens_.fail("an argument without a name follows one with a name");
    }
    argument.value = parse();
    arguments.push_back(std::move(argument));
    if (!tokens_.at_operator(")")) tokens_.expect_operator(",");
  }
  tokens_.expect_operator(")");
  return arguments;
}

ExpressionRef ExpressionParser::parse_filters(ExpressionRef input) {
  while (true) {
    if (tokens_.at_operator("|")) {
      input = parse_filter(std::move(input));
    } else if (tokens_.at_word("is")) {
      input = parse_test(std::move(input));
    } else if (tokens_.at_operator("(")) {
      input = parse_call(std::move(input));
    } else {
      return input;
    }
  }
}

ExpressionRef ExpressionParser::parse_filter(ExpressionRef input, bool has_bar) {
  ExpressionRef filtered = make(ExpressionKind::kFilter, tokens_.line());
  if (has_bar) tokens_.expect_operator("|");
  filtered->name = tokens_.expect_name();
  filtered->filter = find_filter(filtered->name);
  if (filtered->filter == nullptr) {
    refuse(tokens_.where(), filtered->line,
           fmt::format("the filter \"{}\" is not supported", filtered->name));
  }
  adopt(*filtered, std::move(input));
  if (tokens_.at_operator("(")) adopt_arguments(*filtered, parse_arguments());
  check_named_function(filtered->name, filtered->arguments);
  return filtered;
}

// Filters and tests that are named in a string, where that is plain to see: |map("upper").
void ExpressionParser::check_named_function(std::string_view filter,
                                            const std::vector<Argument>& arguments) const {
  const bool tests = is_generator_filter(filter);
  if (!tests && filter != "map") return;
  const std::size_t place = filter.ends_with("attr") ? 1 : 0;
  if (arguments.size() <= place || !arguments[place].name.empty()) return;
  const Expression& value = *arguments[place].value;
  if (value.kind != ExpressionKind::kConstant || !value.constant.is_text()) return;
  const std::string& name = value.constant.bytes();
  if (tests ? find_test(name) != nullptr : find_filter(name) != nullptr) return;
  refuse(tokens_.where(), value.line,
         fmt::format("the {} \"{}\" is not supported", tests ? "test" : "filter", name));
}

ExpressionRef ExpressionParser::parse_test(ExpressionRef value) {
  const int line = tokens_.take().line;
  const bool negated = tokens_.skip_word("not");
  ExpressionRef test = make(ExpressionKind::kTest, line);
  test->name = tokens_.expect_name();
  test->test = find_test(test->name);
  if (test->test == nullptr) {
    refuse(tokens_.where(), line, fmt::format("the test \"{}\" is not supported", test->name));
  }
  adopt(*test, std::move(value));
  const bool operand =
      tokens_.at(TokenKind::kString) || tokens_.at(TokenKind::kInteger) ||
      tokens_.at(TokenKind::kFloat) || tokens_.at_operator("[") || tokens_.at_operator("{") ||
      (tokens_.at(TokenKind::kName) && !tokens_.at_word("else") && !tokens_.at_word("or") &&
       !tokens_.at_word("and") && !tokens_.at_word("if") && !tokens_.at_word("in") &&
       !tokens_.at_word("not"));
  if (tokens_.at_operator("(")) {
    adopt_arguments(*test, parse_arguments());
  } else if (operand) {
    if (tokens_.at_word("is")) tokens_.fail("a test follows a test");
    std::vector<Argument> arguments(1);
    arguments[0].value = parse_postfix(parse_primary());
    adopt_arguments(*test, std::move(arguments));
  }
  if (!negated) return test;
  ExpressionRef negation = make(ExpressionKind::kNot, line);
  adopt(*negation, std::move(test));
  return negation;
}

ExpressionRef ExpressionParser::parse_block_filters(bool first_has_bar) {
  ExpressionRef filters;
  if (!first_has_bar) filters = parse_filter(nullptr, false);
  while (tokens_.at_operator("|")) filters = parse_filter(std::move(filters));
  return filters;
}

}  // namespace r1::text::jinja
