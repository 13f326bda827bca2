#include "text/jinja/parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

#include "text/jinja/expression_parser.h"
#include "text/jinja/token_stream.h"

namespace r1::text::jinja {
namespace {

class StatementParser {
 public:
  StatementParser(std::string_view source, std::string_view where)
      : tokens_(tokenize(source, where), std::string(where)), expressions_(tokens_) {}

  Program run() && {
    Program program;
    program.where = tokens_.where();
    program.body = parse_body({});
    expressions_.check_calls();
    return program;
  }

 private:
  // Up to a tag with one of the names, whose name is then the next token; without names, up to the
  // end of the template.
  Body parse_body(std::initializer_list<std::string_view> ends) {
    if (nesting_ >= kMaxNesting) tokens_.fail("tags nest too deep");
    ++nesting_;
    Body body;
    while (!tokens_.at(TokenKind::kEnd)) {
      if (tokens_.at(TokenKind::kText)) {
        Statement text = make(StatementKind::kText);
        text.text = tokens_.take().text;
        body.push_back(std::move(text));
      } else if (tokens_.at(TokenKind::kVariableBegin)) {
        body.push_back(parse_output());
      } else {
        tokens_.expect(TokenKind::kBlockBegin);
        const auto at_end = [&](std::string_view name) { return tokens_.at_word(name); };
        if (std::any_of(ends.begin(), ends.end(), at_end)) {
          --nesting_;
          return body;
        }
        body.push_back(parse_tag());
      }
    }
    if (ends.size() > 0) tokens_.fail(fmt::format("{{% {} %}} is missing", *(ends.end() - 1)));
    --nesting_;
    return body;
  }

  // The body up to {% end %}, and that tag.
  Body parse_body_and_end(std::string_view end) {
    Body body = parse_body({end});
    finish_tag(end);
    return body;
  }

  void finish_tag(std::string_view word) {
    tokens_.expect_word(word);
    tokens_.expect(TokenKind::kBlockEnd);
  }

  Statement make(StatementKind kind) const {
    Statement statement;
    statement.kind = kind;
    statement.line = tokens_.line();
    return statement;
  }

  Statement parse_output() {
    tokens_.take();
    Statement output = make(StatementKind::kOutput);
    output.expression = expressions_.parse_tuple();
    tokens_.expect(TokenKind::kVariableEnd);
    return output;
  }

  // Behind "{%".
  Statement parse_tag() {
    const std::string name = tokens_.at(TokenKind::kName) ? tokens_.current().text : "";
    if (name == "if") return parse_if();
    if (name == "for") return parse_for();
    if (name == "set") return parse_set();
    if (name == "macro") return parse_macro();
    if (name == "call") return parse_call();
    if (name == "filter") return parse_filter();
    if (name == "with") return parse_with();
    if (name == "generation") return parse_generation();
    if (name == "break" || name == "continue") return parse_jump(name);
    if (name.empty()) tokens_.fail_unexpected("the name of a tag");
    if (name.starts_with("end") || name == "else" || name == "elif") {
      tokens_.fail(fmt::format("{{% {} %}} stands alone", name));
    }
    tokens_.fail(fmt::format("the tag {{% {} %}} is not supported", name));
  }

  Statement parse_if() {
    Statement choice = make(StatementKind::kIf);
    while (true) {
      tokens_.take();  // if, elif
      Branch branch;
      branch.condition = expressions_.parse_tuple(false);
      tokens_.expect(TokenKind::kBlockEnd);
      branch.body = parse_body({"elif", "else", "endif"});
      choice.branches.push_back(std::move(branch));
      if (!tokens_.at_word("elif")) break;
    }
    if (tokens_.at_word("else")) {
      finish_tag("else");
      choice.branches.push_back({nullptr, parse_body({"endif"})});
    }
    finish_tag("endif");
    return choice;
  }

  Statement parse_for() {
    Statement loop = make(StatementKind::kFor);
    tokens_.take();
    loop.target = parse_targets();
    tokens_.expect_word("in");
    loop.expression = expressions_.parse_tuple(false);
    if (tokens_.skip_word("if")) loop.filter = expressions_.parse();
    if (tokens_.at_word("recursive")) tokens_.fail("a recursive loop is not supported");
    tokens_.expect(TokenKind::kBlockEnd);
    ++scopes_;
    ++loops_;
    loop.body = parse_body({"else", "endfor"});
    --loops_;
    if (tokens_.at_word("else")) {
      finish_tag("else");
      loop.otherwise = parse_body({"endfor"});
    }
    --scopes_;
    finish_tag("endfor");
    return loop;
  }

  Statement parse_jump(const std::string& name) {
    if (loops_ == 0) tokens_.fail(fmt::format("{{% {} %}} stands outside a loop", name));
    Statement jump = make(name == "break" ? StatementKind::kBreak : StatementKind::kContinue);
    finish_tag(name);
    return jump;
  }

  Statement parse_set() {
    Statement set = make(StatementKind::kSet);
    tokens_.take();
    set.target = parse_targets();
    if (tokens_.skip_operator("=")) {
      set.expression = expressions_.parse_tuple();
      tokens_.expect(TokenKind::kBlockEnd);
      return set;
    }
    set.kind = StatementKind::kSetBlock;
    set.expression = expressions_.parse_block_filters(true);
    tokens_.expect(TokenKind::kBlockEnd);
    set.body = parse_scope("endset");
    return set;
  }

  Statement parse_macro() {
    // Elsewhere it would have to keep the variables around it alive.
    if (scopes_ > 0) tokens_.fail("a macro inside a loop, a macro or a block is not supported");
    Statement definition = make(StatementKind::kMacro);
    tokens_.take();
    Macro macro;
    macro.name = define(tokens_.expect_name());
    macro.parameters = parse_parameters();
    tokens_.expect(TokenKind::kBlockEnd);
    define("caller");
    macro.body = parse_scope("endmacro");
    definition.macro = std::make_unique<const Macro>(std::move(macro));
    return definition;
  }

  std::vector<Parameter> parse_parameters() {
    std::vector<Parameter> parameters;
    tokens_.expect_operator("(");
    while (!tokens_.at_operator(")")) {
      Parameter parameter;
      parameter.name = define(tokens_.expect_name());
      if (tokens_.skip_operator("=")) parameter.fallback = expressions_.parse();
      parameters.push_back(std::move(parameter));
      if (!tokens_.at_operator(")")) tokens_.expect_operator(",");
    }
    tokens_.expect_operator(")");
    return parameters;
  }

  // {% call(a, b) macro(...) %}: the body is what the macro gets from caller(...).
  Statement parse_call() {
    Statement call = make(StatementKind::kCall);
    tokens_.take();
    Macro caller;
    caller.name = "caller";
    if (tokens_.at_operator("(")) caller.parameters = parse_parameters();
    call.expression = expressions_.parse();
    if (call.expression->kind != ExpressionKind::kCall) {
      tokens_.fail("a call block calls something else than a macro");
    }
    tokens_.expect(TokenKind::kBlockEnd);
    caller.body = parse_scope("endcall");
    call.macro = std::make_unique<const Macro>(std::move(caller));
    return call;
  }

  Statement parse_filter() {
    Statement filter = make(StatementKind::kFilter);
    tokens_.take();
    filter.expression = expressions_.parse_block_filters(false);
    tokens_.expect(TokenKind::kBlockEnd);
    filter.body = parse_scope("endfilter");
    return filter;
  }

  Statement parse_with() {
    Statement with = make(StatementKind::kWith);
    tokens_.take();
    while (!tokens_.at(TokenKind::kBlockEnd)) {
      Target target = parse_target();
      tokens_.expect_operator("=");
      with.assignments.emplace_back(std::move(target), expressions_.parse());
      if (!tokens_.at(TokenKind::kBlockEnd)) tokens_.expect_operator(",");
    }
    tokens_.expect(TokenKind::kBlockEnd);
    with.body = parse_scope("endwith");
    return with;
  }

  // transformers' own tag around what the assistant says; it changes nothing in the text.
  Statement parse_generation() {
    Statement generation = make(StatementKind::kWith);
    finish_tag("generation");
    generation.body = parse_scope("endgeneration");
    return generation;
  }

  // A body of its own, which no break leaves.
  Body parse_scope(std::string_view end) {
    const std::size_t outer_loops = loops_;
    loops_ = 0;
    ++scopes_;
    Body body = parse_body_and_end(end);
    --scopes_;
    loops_ = outer_loops;
    return body;
  }

  std::string define(std::string name) {
    expressions_.define(name);
    return name;
  }

  // a, b, c or one of them alone.
  Target parse_targets() {
    Target first = parse_target();
    if (!tokens_.at_operator(",")) return first;
    Target all;
    all.parts.push_back(std::move(first));
    while (tokens_.skip_operator(",") &&
           (tokens_.at(TokenKind::kName) || tokens_.at_operator("(")) && !tokens_.at_word("in")) {
      all.parts.push_back(parse_target());
    }
    return all;
  }

  Target parse_target() {
    Target target;
    if (tokens_.skip_operator("(")) {
      if (nesting_ >= kMaxNesting) tokens_.fail("targets nest too deep");
      ++nesting_;
      target = parse_targets();
      --nesting_;
      tokens_.expect_operator(")");
      return target;
    }
    target.name = tokens_.expect_name();
    static constexpr std::string_view kConstants[] = {"true",  "True", "false",
                                                      "False", "none", "None"};
    if (std::find(std::begin(kConstants), std::end(kConstants), target.name) !=
        std::end(kConstants)) {
      tokens_.fail(fmt::format("a value is given to \"{}\"", target.name));
    }
    if (tokens_.skip_operator(".")) {
      target.attribute = tokens_.expect_name();
    } else {
      expressions_.define(target.name);
    }
    return target;
  }

  TokenStream tokens_;
  ExpressionParser expressions_;
  std::size_t nesting_ = 0;
  std::size_t scopes_ = 0;  // around the current tag: loops, macros, blocks
  std::size_t loops_ = 0;   // that break and continue would leave
};

}  // namespace

Program parse_program(std::string_view source, std::string_view where) {
  return StatementParser(source, where).run();
}

}  // namespace r1::text::jinja
