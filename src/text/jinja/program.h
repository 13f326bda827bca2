#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/arithmetic.h"
#include "text/jinja/filters.h"
#include "text/jinja/value.h"
#include "text/jinja/value_tests.h"

namespace r1::text::jinja {

struct Expression;
struct Statement;
using ExpressionRef = std::unique_ptr<Expression>;
using Body = std::vector<Statement>;

enum class ExpressionKind {
  kConstant,     // constant
  kVariable,     // name
  kList,         // operands: the items
  kTuple,        // the same
  kDict,         // operands: key, value, key, value, ...
  kConditional,  // operands: condition, then, else (may be missing)
  kAnd,          // operands: left, right
  kOr,           // the same
  kNot,          // operands: one
  kComparison,   // operands: a chain of values; comparisons: what stands between them
  kArithmetic,   // arithmetic; operands: left, right
  kNegate,       // operands: one
  kPlus,         // operands: one
  kConcat,       // operands: two and more, joined as text
  kAttribute,    // name; operands: the subject
  kSubscript,    // operands: the subject, the key
  kSlice,        // operands: the subject, begin, end, step (null where left out)
  kCall,         // operands: the macro or function; arguments
  kMethodCall,   // name; operands: the subject; arguments
  kFilter,       // name, filter; operands: the input (null: the text of a set block); arguments
  kTest,         // name, test; operands: the value; arguments
};

enum class Comparison { kEqual, kUnequal, kLess, kLessEqual, kGreater, kGreaterEqual, kIn, kNotIn };

struct Argument {
  enum class Spread { kNone, kList, kDict };

  std::string name;  // empty: by position
  ExpressionRef value;
  Spread spread = Spread::kNone;  // *value or **value
};

struct Expression {
  ExpressionKind kind = ExpressionKind::kConstant;
  int line = 1;
  std::size_t height = 1;  // of this tree
  Value constant;
  std::string name;
  Arithmetic arithmetic = Arithmetic::kAdd;
  Filter filter = nullptr;
  Test test = nullptr;
  std::vector<Comparison> comparisons;
  std::vector<ExpressionRef> operands;
  std::vector<Argument> arguments;
};

// What a set or a for gives a value to: a name, an attribute of a namespace, or several of these.
struct Target {
  std::string name;
  std::string attribute;      // empty: the name itself
  std::vector<Target> parts;  // if any, name is empty
};

enum class StatementKind {
  kText,      // text
  kOutput,    // expression
  kIf,        // branches
  kFor,       // target; expression: over what; filter (may be null); body; otherwise
  kSet,       // target; expression
  kSetBlock,  // target; expression: filters over the text (may be null); body
  kFilter,    // expression: filters over the text; body
  kCall,      // expression: a call of a macro; macro: its caller()
  kMacro,     // macro
  kWith,      // targets and values; body, in a scope of its own
  kBreak,
  kContinue,
};

struct Branch {
  ExpressionRef condition;  // null: else
  Body body;
};

struct Parameter {
  std::string name;
  ExpressionRef fallback;  // null: undefined if not given
};

struct Macro {
  std::string name;
  std::vector<Parameter> parameters;
  Body body;
};

struct Statement {
  StatementKind kind = StatementKind::kText;
  int line = 1;
  std::string text;
  Target target;
  ExpressionRef expression;
  ExpressionRef filter;
  std::vector<Branch> branches;
  std::vector<std::pair<Target, ExpressionRef>> assignments;
  std::unique_ptr<const Macro> macro;
  Body body;
  Body otherwise;
};

// A template, ready to be evaluated; never changed afterwards.
struct Program {
  std::string where;
  Body body;
};

}  // namespace r1::text::jinja
