// The syntax tree of one expression. Built by parse(), never changed afterwards; the evaluator keeps its own state beside it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/error.hpp"
#include "query/promql/lexer.hpp"
#include "storage/model/matcher.hpp"

namespace plumbline::query::promql {

enum class Type : std::uint8_t { none, scalar, vector, matrix, string };
std::string_view documented(Type type);  // "instant vector", "range vector", ...

// Byte offsets in the expression; `end` is exclusive.
struct Span {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
};

struct Function;

enum class Kind : std::uint8_t {
  number, string, selector, matrix, subquery, call, aggregate, binary, unary, paren
};

struct Expr {
  const Kind kind;
  Span pos;
  int height = 1;  // of the tree from here down; the parser keeps it below height_max
  virtual ~Expr() = default;

 protected:
  explicit Expr(Kind k) : kind(k) {}
};
using ExprPtr = std::unique_ptr<Expr>;

// What stands in brackets and behind `offset`: numbers (seconds), durations, arithmetic, step(), range(), min_of, max_of.
struct DurationExpr {
  enum class Op : std::uint8_t { literal, negate, plus, add, sub, mul, div, mod, pow, step, range, min_of, max_of };
  Op op = Op::literal;
  double seconds = 0;      // literal
  bool number = false;     // the literal was written as a plain number
  bool wrapped = false;    // in parentheses
  Span pos;
  std::unique_ptr<DurationExpr> left, right;
};

// The time modifiers of a selector or subquery.
struct Modifiers {
  std::unique_ptr<DurationExpr> offset;  // null: none
  std::optional<std::int64_t> at_ms;
  Tok at_edge = Tok::eof;                // Tok::start or Tok::end
  bool has_at() const { return at_ms.has_value() || at_edge != Tok::eof; }
};

struct Number : Expr {
  Number() : Expr(Kind::number) {}
  double value = 0;
  bool duration = false;  // was written as one: 5m
};
struct String : Expr {
  String() : Expr(Kind::string) {}
  std::string value;
};
// Whose samples beside the window count, too: `anchored` the last one before it, `smoothed` those around both edges.
enum class Extended : std::uint8_t { none, anchored, smoothed };
struct Selector : Expr {
  Selector() : Expr(Kind::selector) {}
  std::string name;  // when it stands outside the braces
  model::Matchers matchers;
  Modifiers modifiers;
  Extended extended = Extended::none;
  bool names_one_metric() const;
};
struct MatrixSelector : Expr {
  MatrixSelector() : Expr(Kind::matrix) {}
  std::unique_ptr<Selector> selector;  // carries the modifiers
  std::unique_ptr<DurationExpr> range;
};
struct Subquery : Expr {
  Subquery() : Expr(Kind::subquery) {}
  ExprPtr inner;
  std::unique_ptr<DurationExpr> range;
  std::unique_ptr<DurationExpr> step;  // null: the engine's default
  Modifiers modifiers;
};
struct Call : Expr {
  Call() : Expr(Kind::call) {}
  const Function* function = nullptr;
  std::vector<ExprPtr> arguments;
};
struct Aggregate : Expr {
  Aggregate() : Expr(Kind::aggregate) {}
  Tok op = Tok::sum;
  ExprPtr inner;
  ExprPtr parameter;
  std::vector<std::string> grouping;
  bool without = false;
};
enum class Card : std::uint8_t { one_to_one, many_to_one, one_to_many, many_to_many };
struct Matching {
  Card card = Card::one_to_one;
  bool on = false;
  std::vector<std::string> labels;
  std::vector<std::string> include;  // group_left/group_right(...)
  // What stands for a missing series: of the "many" side of a grouped match and of its "one" side, whichever side of the
  // operator that is, as upstream has it; else of the left and of the right side.
  std::optional<double> fill_left, fill_right;
  bool fills() const { return fill_left || fill_right; }
};
struct Binary : Expr {
  Binary() : Expr(Kind::binary) {}
  Tok op = Tok::add;
  ExprPtr left, right;
  bool return_bool = false;
  Matching matching;
};
struct Unary : Expr {
  Unary() : Expr(Kind::unary) {}
  Tok op = Tok::sub;
  ExprPtr inner;
};
struct Paren : Expr {
  Paren() : Expr(Kind::paren) {}
  ExprPtr inner;
};

Type type_of(const Expr& expr);
// Through parentheses.
const Expr& unwrap(const Expr& expr);

// Longer texts are refused before they are read: 16 KiB is four times the longest rule in the public collections.
inline constexpr std::size_t text_bytes_max = 16 * 1024;
// Nesting deeper than this is refused, so that recursion stays inside a thread's stack.
inline constexpr int depth_max = 200;
// Levels of the finished tree. Chains of operators and of subqueries nest without parentheses, and every pass over the tree
// recurses: 16 KiB of text could otherwise make it 8,000 deep, more than a thread's stack under the sanitizers.
inline constexpr int height_max = 2 * depth_max;

// Parses and type-checks. Fails: invalid_input, "1:7: parse error: ..." in upstream's wording.
Result<ExprPtr> parse(std::string_view text);
// Every selector of the tree, in the order of the text; valid as long as the tree.
std::vector<const Selector*> selectors_of(const Expr& expr);
// One vector selector alone, as in match[].
Result<model::Matchers> parse_selector(std::string_view text);
// Whether the value at a step depends on the step alone, not on where the query begins or ends, and on nothing that is stored after it:
// then a known part of an answer stays right when the query moves on.
bool cacheable(const Expr& expr);
// Whether series are added up part by part somewhere in it: then last bits depend on how many parts there are.
bool adds_parts(const Expr& expr);
// The canonical text of an expression.
std::string print(const Expr& expr);
std::string print(const DurationExpr& expr);

// Milliseconds, with step() and range() of the running query. Fails: invalid_input (overflow, a zero or negative result
// where `positive` is wanted).
Result<std::int64_t> evaluate_duration(const DurationExpr& expr, std::int64_t step_ms, std::int64_t range_ms,
                                       bool positive, std::string_view text);
// Whether it needs no running query.
bool is_constant(const DurationExpr& expr);

// "line:col" of a byte offset.
std::string place(std::string_view text, std::uint32_t offset);
std::unexpected<Error> parse_error(std::string_view text, std::uint32_t offset, std::string_view message);

// After the syntax: the types of operands and arguments, as upstream's checkAST.
Status check_types(Expr& expr, std::string_view text);

}  // namespace plumbline::query::promql
