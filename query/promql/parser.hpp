// The parser's insides, shared by its source files; the front door is parse() in ast.hpp.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "query/promql/ast.hpp"

namespace plumbline::query::promql {

// Recursive descent with precedence climbing. Upstream's parser is generated (LALR), and its "unexpected" messages follow
// from where its grammar catches errors; each place here that says unexpected(...) corresponds to one of those.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text), tokens_(lex(text)) {}

  Result<ExprPtr> expression_alone();
  Result<model::Matchers> selector_alone();

 private:
  const Token& peek() const { return tokens_[at_]; }
  const Token& peek_next() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  bool is(Tok t) const { return peek().type == t; }
  // The end and an error stay in place.
  Token take() {
    const Token& t = tokens_[at_];
    if (t.type != Tok::eof && t.type != Tok::error) {
      ++at_;
      switch (t.type) {
        case Tok::right_brace:
        case Tok::right_paren:
        case Tok::right_bracket:
        case Tok::duration:
        case Tok::number: last_closing_ = t.end(); break;
        default: break;
      }
    }
    return t;
  }
  bool accept(Tok t) {
    if (!is(t)) return false;
    take();
    return true;
  }
  std::unexpected<Error> fail_at(std::uint32_t pos, std::string_view message) const {
    return parse_error(text_, pos, message);
  }
  std::unexpected<Error> unexpected(std::string_view context, std::string_view expected = "") const {
    const Token& t = peek();
    if (t.type == Tok::error) return fail_at(t.pos, t.message);
    std::string message = "unexpected " + describe(t);
    if (!context.empty()) message += fmt::format(" in {}", context);
    if (!expected.empty()) message += fmt::format(", expected {}", expected);
    return fail_at(t.pos, message);
  }
  // Where upstream's grammar has no closer place to catch an error: the innermost open aggregation, else the start.
  std::unexpected<Error> unexpected() const { return unexpected(open_aggregations_ > 0 ? "aggregation" : ""); }

  Result<ExprPtr> expression(int lowest);
  Result<ExprPtr> operand();
  // Sets the parent's height. Fails when the tree gets higher than height_max.
  Status grow(Expr& parent, const Expr& child);
  Result<ExprPtr> primary();
  Result<ExprPtr> postfix(ExprPtr inner);
  Result<ExprPtr> bracket(ExprPtr inner);
  Status at_modifier(Expr& inner);
  Status offset_modifier(Expr& inner);
  Status extended_modifier(Expr& inner);
  Result<ExprPtr> aggregate();
  Result<ExprPtr> call();
  Result<std::vector<ExprPtr>> arguments();
  Result<std::unique_ptr<Selector>> selector();
  Status matcher(Selector& out);
  Status binary_modifiers(Binary& out);
  Status fill_modifiers(Matching& out);
  Result<std::vector<std::string>> grouping();
  Result<double> number(const Token& token);
  Result<std::unique_ptr<DurationExpr>> duration(int lowest, std::string_view context, std::string_view expected);
  Result<std::unique_ptr<DurationExpr>> duration_primary(std::string_view context, std::string_view expected);
  Result<double> duration_literal(const Token& token);

  std::string_view text_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  std::uint32_t last_closing_ = 0;
  int open_aggregations_ = 0;
  int depth_ = 0;
};

int precedence(Tok op);                  // 0: not a binary operator
inline constexpr int unary_precedence = 5;  // as multiplication: -1^2 is -(1^2)
bool may_name_metric(Tok t);             // words that may stand as a metric name at the place of an operand
std::string unquote(std::string_view token);  // the value of a string token; the lexer has checked its escapes

// Counts nesting for the time of one recursion.
struct Nested {
  explicit Nested(int& depth) : depth_(depth) { ++depth_; }
  ~Nested() { --depth_; }
  Nested(const Nested&) = delete;
  int& depth_;
};

}  // namespace plumbline::query::promql
