#include "text/jinja/evaluator.h"

#include <fmt/format.h>

#include <deque>

#include "text/jinja/access.h"
#include "text/jinja/compare.h"
#include "text/jinja/convert.h"
#include "text/jinja/functions.h"
#include "text/jinja/lexer.h"
#include "text/jinja/methods.h"

namespace r1::text::jinja {
namespace {

// The variables of a loop's turn, a macro's call, a block, or the template.
class Scope {
 public:
  explicit Scope(const Scope* outer) : outer_(outer) {}

  // Null if neither this scope nor one around it has the name.
  const Value* find(Budget& budget, std::string_view name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->outer_) {
      budget.work(1 + scope->variables_.size() / 8);
      for (const auto& [key, value] : scope->variables_) {
        if (key == name) return &value;
      }
    }
    return nullptr;
  }

  void set(std::string_view name, Value value) {
    for (auto& [key, old] : variables_) {
      if (key == name) {
        old = std::move(value);
        return;
      }
    }
    variables_.emplace_back(name, std::move(value));
  }

  std::size_t size() const { return variables_.size(); }

 private:
  const Scope* outer_;
  std::vector<std::pair<std::string_view, Value>> variables_;  // names of the program's
};

enum class Flow { kNext, kBreak, kContinue };

class Evaluator {
 public:
  Evaluator(const Program& program, const Value& context, std::optional<std::time_t> now)
      : program_(program), context_(context), now_(now) {}

  MarkedText run() {
    try {
      MarkedText out;
      run_body(program_.body, root_, out);
      return out;
    } catch (const Failure& failure) {
      refuse(program_.where, line_, failure.what());
    }
  }

 private:
  // ---- statements

  Flow run_body(const Body& body, Scope& scope, MarkedText& out) {
    for (const Statement& statement : body) {
      const Flow flow = run_statement(statement, scope, out);
      if (flow != Flow::kNext) return flow;
    }
    return Flow::kNext;
  }

  Flow run_statement(const Statement& statement, Scope& scope, MarkedText& out) {
    const DepthGuard guard(budget_.depth(), kMaxDepth);
    line_ = statement.line;
    budget_.work();
    switch (statement.kind) {
      case StatementKind::kText:
        budget_.make(statement.text.size());
        out.append(statement.text);
        return Flow::kNext;
      case StatementKind::kOutput:
        print(evaluate(*statement.expression, scope), out);
        return Flow::kNext;
      case StatementKind::kIf:
        return run_if(statement, scope, out);
      case StatementKind::kFor:
        return run_for(statement, scope, out);
      case StatementKind::kSet:
        assign(statement.target, evaluate(*statement.expression, scope), scope);
        return Flow::kNext;
      case StatementKind::kSetBlock:
        assign(statement.target, run_block(statement, scope), scope);
        return Flow::kNext;
      case StatementKind::kFilter:
        print(run_block(statement, scope), out);
        return Flow::kNext;
      case StatementKind::kCall:
        print(run_call_block(statement, scope), out);
        return Flow::kNext;
      case StatementKind::kMacro:
        scope.set(statement.macro->name, Value::of(Function{.name = statement.macro->name,
                                                            .macro = statement.macro.get()}));
        return Flow::kNext;
      case StatementKind::kWith:
        return run_with(statement, scope, out);
      case StatementKind::kBreak:
        return Flow::kBreak;
      case StatementKind::kContinue:
        break;
    }
    return Flow::kContinue;
  }

  void print(const Value& value, MarkedText& out) {
    if (value.is_text()) {
      budget_.make(value.text().memory());
      out.append(value.text());
    } else {
      out.append(to_text(budget_, value));
    }
  }

  Flow run_if(const Statement& choice, Scope& scope, MarkedText& out) {
    for (const Branch& branch : choice.branches) {
      if (branch.condition == nullptr || truth(evaluate(*branch.condition, scope))) {
        return run_body(branch.body, scope, out);
      }
    }
    return Flow::kNext;
  }

  Flow run_for(const Statement& statement, Scope& scope, MarkedText& out) {
    const Value iterable = evaluate(*statement.expression, scope);
    auto items = to_items(budget_, iterable);
    if (statement.filter != nullptr) items = chosen_items(statement, *items, scope);
    if (items->items.empty()) {
      Scope inner(&scope);
      return run_body(statement.otherwise, inner, out);
    }
    budget_.make(sizeof(Loop));
    Loop& loop = loops_.emplace_back();
    loop.items = std::move(items);
    for (; loop.index < loop.items->items.size(); ++loop.index) {
      budget_.work();
      Scope turn(&scope);
      assign(statement.target, loop.items->items[loop.index], turn);
      turn.set("loop", Value::of(&loop));
      if (run_body(statement.body, turn, out) == Flow::kBreak) break;
    }
    loop.items = nullptr;
    return Flow::kNext;
  }

  // Those for which the `if` of the for holds.
  std::shared_ptr<const List> chosen_items(const Statement& statement, const List& items,
                                           Scope& scope) {
    std::vector<Value> chosen;
    for (const Value& item : items.items) {
      Scope turn(&scope);
      assign(statement.target, item, turn);
      if (truth(evaluate(*statement.filter, turn))) chosen.push_back(item);
    }
    return make_list(budget_, std::move(chosen)).shared_list();
  }

  // The text of a set or filter block, filtered.
  Value run_block(const Statement& statement, Scope& scope) {
    MarkedText text;
    Scope inner(&scope);
    run_body(statement.body, inner, text);
    line_ = statement.line;
    const Value value = make_text(budget_, std::move(text));
    if (statement.expression == nullptr) return value;
    return filter_block(*statement.expression, value, scope);
  }

  // A chain of filters whose first input is the text of a block.
  Value filter_block(const Expression& filter, const Value& text, Scope& scope) {
    const DepthGuard guard(budget_.depth(), kMaxDepth);
    const Expression* inner = filter.operands[0].get();
    const Value input = inner == nullptr ? text : filter_block(*inner, text, scope);
    return filter.filter(budget_, input, arguments(filter, scope));
  }

  Value run_call_block(const Statement& statement, Scope& scope) {
    const Function caller{.name = statement.macro->name,
                          .macro = statement.macro.get(),
                          .call_block = ++call_blocks_begun_};
    call_blocks_.push_back({caller.call_block, &scope});
    const Value callee = evaluate(*statement.expression->operands[0], scope);
    const Arguments all = arguments(*statement.expression, scope);
    const Function* function = callee.as_function();
    if (function == nullptr || function->macro == nullptr) {
      throw Failure("a call block calls something else than a macro");
    }
    const Value text = call_macro(*function, all, Value::of(caller));
    call_blocks_.pop_back();
    return text;
  }

  // The variables around a macro's body: the template's, or for caller() those around its block.
  Scope& scope_around(const Function& function) {
    if (function.call_block == 0) return root_;
    for (const CallBlock& block : call_blocks_) {
      if (block.number == function.call_block) return *block.scope;
    }
    throw Failure("caller() is called after the end of its block");
  }

  Flow run_with(const Statement& statement, Scope& scope, MarkedText& out) {
    Scope inner(&scope);
    for (const auto& [target, value] : statement.assignments) {
      assign(target, evaluate(*value, scope), inner);
    }
    return run_body(statement.body, inner, out);
  }

  void assign(const Target& target, Value value, Scope& scope) {
    if (!target.parts.empty()) {
      const auto items = to_items(budget_, value);
      if (items->items.size() != target.parts.size()) {
        throw Failure(fmt::format("unpacks {} values into {} names", items->items.size(),
                                  target.parts.size()));
      }
      for (std::size_t i = 0; i < target.parts.size(); ++i) {
        assign(target.parts[i], items->items[i], scope);
      }
    } else if (target.attribute.empty()) {
      budget_.work(1 + scope.size() / 8);
      scope.set(target.name, std::move(value));
    } else {
      Namespace* space = variable(target.name, scope).as_namespace();
      if (space == nullptr) {
        throw Failure(
            fmt::format("sets an attribute of \"{}\", which is no namespace", target.name));
      }
      space->attributes.insert_or_assign(target.attribute, std::move(value));
    }
  }

  // ---- expressions

  Value evaluate(const Expression& expression, const Scope& scope) {
    const DepthGuard guard(budget_.depth(), kMaxDepth);
    budget_.work();
    line_ = expression.line;
    switch (expression.kind) {
      case ExpressionKind::kConstant:
        return expression.constant;
      case ExpressionKind::kVariable:
        return variable(expression.name, scope);
      case ExpressionKind::kList:
        return make_list(budget_, operands(expression, scope));
      case ExpressionKind::kTuple:
        return make_list(budget_, operands(expression, scope), Value::ListForm::kTuple);
      case ExpressionKind::kDict:
        return evaluate_dict(expression, scope);
      case ExpressionKind::kConditional:
        return evaluate_conditional(expression, scope);
      case ExpressionKind::kAnd:
      case ExpressionKind::kOr:
        return evaluate_logic(expression, scope);
      case ExpressionKind::kNot:
        return Value::boolean(!truth(operand(expression, 0, scope)));
      case ExpressionKind::kComparison:
        return evaluate_comparison(expression, scope);
      case ExpressionKind::kArithmetic:
        return evaluate_arithmetic(expression, scope);
      case ExpressionKind::kNegate:
        return negate(operand(expression, 0, scope));
      case ExpressionKind::kPlus:
        return plus(operand(expression, 0, scope));
      case ExpressionKind::kConcat:
        return evaluate_concat(expression, scope);
      case ExpressionKind::kAttribute:
        return attribute(operand(expression, 0, scope), expression.name);
      case ExpressionKind::kSubscript:
        return evaluate_subscript(expression, scope);
      case ExpressionKind::kSlice:
        return evaluate_slice(expression, scope);
      case ExpressionKind::kCall:
        return evaluate_call(expression, scope);
      case ExpressionKind::kMethodCall:
        return evaluate_method(expression, scope);
      case ExpressionKind::kFilter:
        return evaluate_filter(expression, scope);
      case ExpressionKind::kTest:
        break;
    }
    return evaluate_test(expression, scope);
  }

  Value operand(const Expression& expression, std::size_t index, const Scope& scope) {
    return evaluate(*expression.operands[index], scope);
  }

  std::vector<Value> operands(const Expression& expression, const Scope& scope) {
    std::vector<Value> values;
    for (const ExpressionRef& child : expression.operands) {
      values.push_back(evaluate(*child, scope));
    }
    return values;
  }

  Value variable(std::string_view name, const Scope& scope) {
    if (const Value* found = scope.find(budget_, name)) return *found;
    if (const Value* found = context_.dict().find(name)) return *found;
    if (is_global_function(name)) return Value::of(Function{.name = name});
    return Value::undefined(fmt::format("\"{}\" is undefined", name));
  }

  Value evaluate_dict(const Expression& expression, const Scope& scope) {
    Dict dict;
    for (std::size_t i = 0; i + 1 < expression.operands.size(); i += 2) {
      Value key = operand(expression, i, scope);
      Value value = operand(expression, i + 1, scope);
      budget_.work(key.is_text() ? 1 : dict.entries().size());
      budget_.make(sizeof(Dict::Entry));
      dict.set(std::move(key), std::move(value));
    }
    return Value::dict(std::move(dict));
  }

  Value evaluate_conditional(const Expression& expression, const Scope& scope) {
    if (truth(operand(expression, 0, scope))) return operand(expression, 1, scope);
    if (expression.operands.size() > 2) return operand(expression, 2, scope);
    return Value::undefined("an inline if without an else is false");
  }

  // The value that decides, not a boolean.
  Value evaluate_logic(const Expression& expression, const Scope& scope) {
    Value left = operand(expression, 0, scope);
    if (truth(left) == (expression.kind == ExpressionKind::kOr)) return left;
    return operand(expression, 1, scope);
  }

  bool compare(Comparison comparison, const Value& a, const Value& b) {
    switch (comparison) {
      case Comparison::kEqual:
        return equal(budget_, a, b);
      case Comparison::kUnequal:
        return !equal(budget_, a, b);
      case Comparison::kLess:
        return less(budget_, a, b);
      case Comparison::kLessEqual:
        return less_or_equal(budget_, a, b);
      case Comparison::kGreater:
        return less(budget_, b, a);
      case Comparison::kGreaterEqual:
        return less_or_equal(budget_, b, a);
      case Comparison::kIn:
        return contains(budget_, b, a);
      case Comparison::kNotIn:
        break;
    }
    return !contains(budget_, b, a);
  }

  Value evaluate_comparison(const Expression& expression, const Scope& scope) {
    Value left = operand(expression, 0, scope);
    for (std::size_t i = 0; i < expression.comparisons.size(); ++i) {
      Value right = operand(expression, i + 1, scope);
      line_ = expression.line;
      if (!compare(expression.comparisons[i], left, right)) return Value::boolean(false);
      left = std::move(right);
    }
    return Value::boolean(true);
  }

  Value evaluate_arithmetic(const Expression& expression, const Scope& scope) {
    const Value left = operand(expression, 0, scope);
    const Value right = operand(expression, 1, scope);
    line_ = expression.line;
    return arithmetic(budget_, expression.arithmetic, left, right);
  }

  Value evaluate_concat(const Expression& expression, const Scope& scope) {
    MarkedText text;
    for (const ExpressionRef& child : expression.operands) print(evaluate(*child, scope), text);
    return make_text(budget_, std::move(text));
  }

  Value evaluate_subscript(const Expression& expression, const Scope& scope) {
    const Value subject = operand(expression, 0, scope);
    const Value key = operand(expression, 1, scope);
    line_ = expression.line;
    return subscript(budget_, subject, key);
  }

  Value evaluate_slice(const Expression& expression, const Scope& scope) {
    const Value subject = operand(expression, 0, scope);
    Value bounds[3];
    const Value* given[3] = {};
    for (std::size_t i = 0; i < 3; ++i) {
      if (expression.operands[i + 1] == nullptr) continue;
      bounds[i] = operand(expression, i + 1, scope);
      given[i] = &bounds[i];
    }
    line_ = expression.line;
    return slice(budget_, subject, given[0], given[1], given[2]);
  }

  Arguments arguments(const Expression& expression, const Scope& scope) {
    Arguments all;
    for (const Argument& argument : expression.arguments) {
      Value value = evaluate(*argument.value, scope);
      if (argument.spread == Argument::Spread::kList) {
        const auto items = to_items(budget_, value);
        budget_.make(list_bytes(items->items.size()));
        all.positional.insert(all.positional.end(), items->items.begin(), items->items.end());
      } else if (argument.spread == Argument::Spread::kDict) {
        spread_dict(value, all);
      } else if (argument.name.empty()) {
        all.positional.push_back(std::move(value));
      } else {
        all.named.emplace_back(argument.name, std::move(value));
      }
    }
    line_ = expression.line;
    return all;
  }

  void spread_dict(const Value& value, Arguments& all) {
    if (!value.is_dict()) throw Failure(fmt::format("spreads a {} as a dict", value.type_name()));
    for (const auto& [key, item] : value.dict().entries()) {
      if (!key.is_text()) throw Failure("spreads a dict whose keys are no strings");
      budget_.make(key.text().size() + sizeof(Dict::Entry));
      all.named.emplace_back(key.bytes(), item);
    }
  }

  Value evaluate_call(const Expression& expression, const Scope& scope) {
    const Value callee = operand(expression, 0, scope);
    const Arguments all = arguments(expression, scope);
    if (callee.is_undefined()) callee.fail_undefined();
    const Function* function = callee.as_function();
    if (function == nullptr) throw Failure(fmt::format("calls a {}", callee.type_name()));
    if (function->macro != nullptr) return call_macro(*function, all, {});
    if (function->name == "namespace") return make_namespace(all);
    return call_function(budget_, function->name, all, now_);
  }

  // Namespaces live as long as the evaluation, whoever still refers to them.
  Value make_namespace(const Arguments& all) {
    budget_.make(sizeof(Namespace));
    const Value start = call_function(budget_, "dict", all, now_);
    Namespace& space = namespaces_.emplace_back();
    for (const auto& [key, value] : start.dict().entries()) {
      budget_.make(sizeof(Dict::Entry));
      if (key.is_text()) space.attributes.insert_or_assign(key.bytes(), value);
    }
    return Value::of(&space);
  }

  // `caller`: what the macro knows by that name, if it is called from a call block.
  Value call_macro(const Function& function, const Arguments& all, const Value& caller) {
    const Macro& macro = *function.macro;
    Scope scope(&scope_around(function));
    if (!caller.is_undefined()) scope.set("caller", caller);
    if (all.positional.size() > macro.parameters.size()) {
      throw Failure(fmt::format("{}() takes at most {} arguments, not {}", macro.name,
                                macro.parameters.size(), all.positional.size()));
    }
    for (const auto& [name, value] : all.named) {
      if (parameter_index(macro, name) < all.positional.size()) {
        throw Failure(fmt::format("{}() is given \"{}\" twice", macro.name, name));
      }
    }
    for (std::size_t i = 0; i < macro.parameters.size(); ++i) {
      scope.set(macro.parameters[i].name, macro_argument(macro, i, all, scope));
    }
    MarkedText text;
    run_body(macro.body, scope, text);
    return make_text(budget_, std::move(text));
  }

  static std::size_t parameter_index(const Macro& macro, std::string_view name) {
    for (std::size_t i = 0; i < macro.parameters.size(); ++i) {
      if (macro.parameters[i].name == name) return i;
    }
    throw Failure(fmt::format("{}() has no argument \"{}\"", macro.name, name));
  }

  Value macro_argument(const Macro& macro, std::size_t index, const Arguments& all,
                       const Scope& scope) {
    if (index < all.positional.size()) return all.positional[index];
    const Parameter& parameter = macro.parameters[index];
    budget_.work(1 + all.named.size() / 8);
    for (const auto& [name, value] : all.named) {
      if (name == parameter.name) return value;
    }
    if (parameter.fallback != nullptr) return evaluate(*parameter.fallback, scope);
    return Value::undefined(
        fmt::format("the argument \"{}\" of {}() is not given", parameter.name, macro.name));
  }

  Value evaluate_method(const Expression& expression, const Scope& scope) {
    const Value subject = operand(expression, 0, scope);
    const Arguments all = arguments(expression, scope);
    return call_method(budget_, subject, expression.name, all);
  }

  Value evaluate_filter(const Expression& expression, const Scope& scope) {
    const Value input = operand(expression, 0, scope);
    const Arguments all = arguments(expression, scope);
    return expression.filter(budget_, input, all);
  }

  Value evaluate_test(const Expression& expression, const Scope& scope) {
    const Value value = operand(expression, 0, scope);
    const Arguments all = arguments(expression, scope);
    return Value::boolean(expression.test(budget_, value, all));
  }

  const Program& program_;
  const Value& context_;
  const std::optional<std::time_t> now_;
  Budget budget_;
  Scope root_{nullptr};
  struct CallBlock {
    std::size_t number;
    Scope* scope;
  };
  std::vector<CallBlock> call_blocks_;  // those that are running
  std::size_t call_blocks_begun_ = 0;
  std::deque<Namespace> namespaces_;
  std::deque<Loop> loops_;
  int line_ = 1;
};

}  // namespace

MarkedText evaluate(const Program& program, const Value& context, std::optional<std::time_t> now) {
  return Evaluator(program, context, now).run();
}

}  // namespace r1::text::jinja
