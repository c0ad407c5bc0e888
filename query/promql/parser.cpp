#include "query/promql/parser.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "daemon/base/text.hpp"
#include "query/promql/functions.hpp"

namespace plumbline::query::promql {

int precedence(Tok op) {
  switch (op) {
    case Tok::lor: return 1;
    case Tok::land:
    case Tok::lunless: return 2;
    case Tok::eqlc:
    case Tok::neq:
    case Tok::lte:
    case Tok::lss:
    case Tok::gte:
    case Tok::gtr:
    case Tok::trim_upper:
    case Tok::trim_lower: return 3;
    case Tok::add:
    case Tok::sub: return 4;
    case Tok::mul:
    case Tok::div:
    case Tok::mod:
    case Tok::atan2: return 5;
    case Tok::pow: return 6;
    default: return 0;
  }
}

bool may_name_metric(Tok t) {
  return t == Tok::identifier || t == Tok::metric_identifier || is_aggregator(t) || is_set_operator(t) ||
         t == Tok::by || t == Tok::without || t == Tok::offset || t == Tok::fill || t == Tok::fill_left ||
         t == Tok::fill_right || t == Tok::anchored || t == Tok::smoothed || (is_preprocessor(t) && t < Tok::min_of);
}
namespace {

// What may follow a metric name: told apart from an aggregation that lacks its parenthesis.
bool may_follow_metric(Tok t) {
  return precedence(t) > 0 || t == Tok::at || t == Tok::left_brace || t == Tok::left_bracket || t == Tok::offset ||
         t == Tok::right_paren || t == Tok::comma || t == Tok::eof || t == Tok::anchored || t == Tok::smoothed;
}
bool may_be_label(Tok t) {
  return t == Tok::identifier || t == Tok::metric_identifier || is_aggregator(t) || is_keyword(t) ||
         is_set_operator(t) || t == Tok::atan2 || (is_preprocessor(t) && t < Tok::min_of);
}

Status check_length(std::string_view text) {
  if (text.size() > text_bytes_max)
    return fail(Code::invalid_input, fmt::format("1:1: parse error: expression is {} bytes long, more than the limit of {}",
                                                 text.size(), text_bytes_max));
  return {};
}

}  // namespace

Result<ExprPtr> Parser::expression_alone() {
  if (is(Tok::eof)) return fail(Code::invalid_input, "unknown position: parse error: no expression found in input");
  PLUMBLINE_TRY(ExprPtr expr, expression(1));
  if (!is(Tok::eof)) return unexpected();
  PLUMBLINE_CHECK_OK(check_types(*expr, text_));
  return expr;
}

Result<model::Matchers> Parser::selector_alone() {
  if (!may_name_metric(peek().type) && !is(Tok::left_brace)) return unexpected("");
  PLUMBLINE_TRY(std::unique_ptr<Selector> s, selector());
  if (!is(Tok::eof)) return unexpected("");
  return std::move(s->matchers);
}

Result<ExprPtr> Parser::expression(int lowest) {
  const Nested nested(depth_);
  if (depth_ > depth_max) return fail_at(peek().pos, fmt::format("expression is nested deeper than {} levels", depth_max));
  PLUMBLINE_TRY(ExprPtr left, operand());
  for (;;) {
    const Tok op = peek().type;
    const int level = precedence(op);
    if (level == 0 || level < lowest) break;
    take();
    auto binary = std::make_unique<Binary>();
    binary->op = op;
    PLUMBLINE_CHECK_OK(binary_modifiers(*binary));
    PLUMBLINE_TRY(ExprPtr right, expression(op == Tok::pow ? level : level + 1));
    binary->pos = {left->pos.begin, right->pos.end};
    PLUMBLINE_CHECK_OK(grow(*binary, *left));
    PLUMBLINE_CHECK_OK(grow(*binary, *right));
    binary->left = std::move(left);
    binary->right = std::move(right);
    left = std::move(binary);
  }
  return left;
}

Status Parser::grow(Expr& parent, const Expr& child) {
  parent.height = std::max(parent.height, child.height + 1);
  if (parent.height <= height_max) return {};
  return fail_at(parent.pos.begin, fmt::format("expression has more than {} levels of operators, calls and subqueries", height_max));
}

Result<ExprPtr> Parser::operand() {
  if (!is(Tok::add) && !is(Tok::sub)) {
    PLUMBLINE_TRY(ExprPtr inner, primary());
    return postfix(std::move(inner));
  }
  const Token sign = take();
  PLUMBLINE_TRY(ExprPtr inner, expression(unary_precedence + 1));
  if (inner->kind == Kind::number) {
    auto& n = static_cast<Number&>(*inner);
    if (sign.type == Tok::sub) n.value = -n.value;
    n.pos.begin = sign.pos;
    return inner;
  }
  auto unary = std::make_unique<Unary>();
  unary->op = sign.type;
  unary->pos = {sign.pos, inner->pos.end};
  PLUMBLINE_CHECK_OK(grow(*unary, *inner));
  unary->inner = std::move(inner);
  return unary;
}

Result<ExprPtr> Parser::primary() {
  const Token& t = peek();
  switch (t.type) {
    case Tok::number:
    case Tok::duration: {
      const Token token = take();
      auto n = std::make_unique<Number>();
      n->pos = {token.pos, token.end()};
      n->duration = token.type == Tok::duration;
      PLUMBLINE_TRY(n->value, n->duration ? duration_literal(token) : number(token));
      return n;
    }
    case Tok::string: {
      const Token token = take();
      auto s = std::make_unique<String>();
      s->pos = {token.pos, token.end()};
      s->value = unquote(token.text);
      return s;
    }
    case Tok::left_paren: {
      const Token open = take();
      auto paren = std::make_unique<Paren>();
      PLUMBLINE_TRY(paren->inner, expression(1));
      PLUMBLINE_CHECK_OK(grow(*paren, *paren->inner));
      if (!is(Tok::right_paren)) return unexpected();
      paren->pos = {open.pos, take().end()};
      return paren;
    }
    case Tok::left_brace: return selector();
    default: break;
  }
  const Tok next = peek_next().type;
  if (is_aggregator(t.type) && !may_follow_metric(next)) return aggregate();
  if (next == Tok::left_paren && (t.type == Tok::identifier || is_preprocessor(t.type))) return call();
  if (may_name_metric(t.type)) return selector();
  return unexpected();
}

Result<ExprPtr> Parser::postfix(ExprPtr inner) {
  // Each link wraps or changes the operand before it; grow() bounds how deep subqueries of subqueries get.
  for (;;) {
    switch (peek().type) {
      case Tok::left_bracket: {
        PLUMBLINE_TRY(inner, bracket(std::move(inner)));
        break;
      }
      case Tok::at: {
        PLUMBLINE_CHECK_OK(at_modifier(*inner));
        break;
      }
      case Tok::offset: {
        PLUMBLINE_CHECK_OK(offset_modifier(*inner));
        break;
      }
      case Tok::anchored:
      case Tok::smoothed: {
        PLUMBLINE_CHECK_OK(extended_modifier(*inner));
        break;
      }
      default: return inner;
    }
  }
}

Result<ExprPtr> Parser::aggregate() {
  const Token op = take();
  auto a = std::make_unique<Aggregate>();
  a->op = op.type;
  const auto modifier = [&]() -> Status {
    a->without = take().type == Tok::without;
    PLUMBLINE_TRY(a->grouping, grouping());
    return {};
  };
  const auto modifier_next = [&] { return is(Tok::by) || is(Tok::without); };
  ++open_aggregations_;
  const bool before = modifier_next();
  if (before) PLUMBLINE_CHECK_OK(modifier());
  if (!is(Tok::left_paren)) return unexpected();
  PLUMBLINE_TRY(std::vector<ExprPtr> args, arguments());
  if (!before && modifier_next()) PLUMBLINE_CHECK_OK(modifier());
  --open_aggregations_;
  a->pos = {op.pos, last_closing_};
  for (const ExprPtr& argument : args) PLUMBLINE_CHECK_OK(grow(*a, *argument));
  if (args.empty()) return fail_at(op.pos, "no arguments for aggregate expression provided");
  const std::size_t wanted = takes_parameter(a->op) ? 2 : 1;
  if (args.size() != wanted)
    return fail_at(op.pos, fmt::format("wrong number of arguments for aggregate expression provided, expected {}, got {}",
                                       wanted, args.size()));
  if (wanted == 2) a->parameter = std::move(args[0]);
  a->inner = std::move(args[wanted - 1]);
  return a;
}

Result<ExprPtr> Parser::call() {
  const Token name = take();
  auto c = std::make_unique<Call>();
  PLUMBLINE_TRY(c->arguments, arguments());
  c->pos = {name.pos, last_closing_};
  for (const ExprPtr& argument : c->arguments) PLUMBLINE_CHECK_OK(grow(*c, *argument));
  c->function = find_function(name.text);
  if (c->function == nullptr) return fail_at(name.pos, "unknown function with name " + quote(name.text));
  return c;
}

Result<std::vector<ExprPtr>> Parser::arguments() {
  take();
  std::vector<ExprPtr> out;
  if (accept(Tok::right_paren)) return out;
  for (;;) {
    PLUMBLINE_TRY(ExprPtr e, expression(1));
    out.push_back(std::move(e));
    if (accept(Tok::right_paren)) return out;
    if (!is(Tok::comma)) return unexpected();
    const Token comma = take();
    if (is(Tok::right_paren)) return fail_at(comma.pos, "trailing commas not allowed in function call args");
  }
}

Status Parser::binary_modifiers(Binary& out) {
  out.return_bool = accept(Tok::bool_);
  if (is(Tok::on) || is(Tok::ignoring)) {
    out.matching.on = take().type == Tok::on;
    PLUMBLINE_TRY(out.matching.labels, grouping());
    if (is(Tok::group_left) || is(Tok::group_right)) {
      out.matching.card = take().type == Tok::group_left ? Card::many_to_one : Card::one_to_many;
      if (is(Tok::left_paren)) {
        PLUMBLINE_TRY(out.matching.include, grouping());
      }
    }
  }
  return fill_modifiers(out.matching);
}

// fill(x), or fill_left(x) and fill_right(y) in either order.
Status Parser::fill_modifiers(Matching& out) {
  const auto value = [&]() -> Result<double> {
    take();
    if (!accept(Tok::left_paren)) return unexpected();
    double sign = 1;
    if (is(Tok::add) || is(Tok::sub)) sign = take().type == Tok::sub ? -1 : 1;
    if (!is(Tok::number) && !is(Tok::duration)) return unexpected();
    const Token token = take();
    PLUMBLINE_TRY(const double v, token.type == Tok::duration ? duration_literal(token) : number(token));
    if (!accept(Tok::right_paren)) return unexpected();
    return sign * v;
  };
  if (is(Tok::fill)) {
    PLUMBLINE_TRY(out.fill_left, value());
    out.fill_right = out.fill_left;
    return {};
  }
  while ((is(Tok::fill_left) && !out.fill_left) || (is(Tok::fill_right) && !out.fill_right)) {
    std::optional<double>& side = is(Tok::fill_left) ? out.fill_left : out.fill_right;
    PLUMBLINE_TRY(side, value());
  }
  return {};
}

Result<std::vector<std::string>> Parser::grouping() {
  std::vector<std::string> out;
  if (!accept(Tok::left_paren)) return unexpected("grouping opts", "\"(\"");
  while (!is(Tok::right_paren)) {
    if (is(Tok::string)) {
      std::string label = unquote(take().text);
      if (label.empty() || !valid_utf8(label)) {
        --at_;
        return unexpected("grouping opts", "label");
      }
      out.push_back(std::move(label));
    } else if (may_be_label(peek().type) && is_legacy_label_name(peek().text)) {
      out.emplace_back(take().text);
    } else {
      return unexpected("grouping opts", "label");
    }
    if (is(Tok::right_paren)) break;
    if (!accept(Tok::comma)) return unexpected("grouping opts", "\",\" or \")\"");
  }
  take();
  return out;
}

Result<ExprPtr> parse(std::string_view text) {
  PLUMBLINE_CHECK_OK(check_length(text));
  return Parser(text).expression_alone();
}

Result<model::Matchers> parse_selector(std::string_view text) {
  PLUMBLINE_CHECK_OK(check_length(text));
  return Parser(text).selector_alone();
}

}  // namespace plumbline::query::promql
