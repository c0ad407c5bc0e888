// Selectors, brackets and the modifiers behind them.
#include <cmath>

#include "query/promql/parser.hpp"

#include <fmt/format.h>

#include "daemon/base/text.hpp"
#include "query/promql/functions.hpp"

namespace plumbline::query::promql {

namespace {

// The modifiers of what may carry them; null otherwise.
Modifiers* modifiers_of(Expr& e) {
  if (e.kind == Kind::selector) return &static_cast<Selector&>(e).modifiers;
  if (e.kind == Kind::matrix) return &static_cast<MatrixSelector&>(e).selector->modifiers;
  if (e.kind == Kind::subquery) return &static_cast<Subquery&>(e).modifiers;
  return nullptr;
}

}  // namespace

Result<ExprPtr> Parser::bracket(ExprPtr inner) {
  const Token open = take();
  PLUMBLINE_TRY(auto range, duration(1, "subquery or range selector", "number, duration, step(), or range()"));
  const auto positive = [&](const DurationExpr& d) -> Status {
    if (!is_constant(d)) return {};
    if (auto ms = evaluate_duration(d, 0, 0, true, text_); !ms) return fail(ms.error());
    return {};
  };
  PLUMBLINE_CHECK_OK(positive(*range));
  if (is(Tok::right_bracket)) {
    const Token close = take();
    if (inner->kind != Kind::selector) return fail_at(open.pos, "ranges only allowed for vector selectors");
    auto& s = static_cast<Selector&>(*inner);
    if (s.modifiers.offset) return fail_at(open.pos, "no offset modifiers allowed before range");
    if (s.modifiers.has_at()) return fail_at(open.pos, "no @ modifiers allowed before range");
    auto matrix = std::make_unique<MatrixSelector>();
    matrix->pos = {s.pos.begin, close.end()};
    matrix->range = std::move(range);
    inner.release();
    matrix->selector.reset(&s);
    return matrix;
  }
  if (is(Tok::double_colon))
    return fail_at(peek().pos, "aligned subqueries (\"::\") are experimental and not supported");
  if (!accept(Tok::colon)) return unexpected("subquery or range", "\":\" or \"]\"");
  auto subquery = std::make_unique<Subquery>();
  if (!is(Tok::right_bracket)) {
    PLUMBLINE_TRY(subquery->step, duration(1, "subquery selector", "number, duration, step(), range(), or \"]\""));
    PLUMBLINE_CHECK_OK(positive(*subquery->step));
    if (!is(Tok::right_bracket)) return unexpected("subquery selector", "\"]\"");
  }
  const Token close = take();
  subquery->pos = {inner->pos.begin, close.end()};
  PLUMBLINE_CHECK_OK(grow(*subquery, *inner));
  subquery->range = std::move(range);
  subquery->inner = std::move(inner);
  return subquery;
}

Status Parser::at_modifier(Expr& inner) {
  take();
  Modifiers* m = modifiers_of(inner);
  std::optional<std::int64_t> at;
  Tok edge = Tok::eof;
  if (is(Tok::start) || is(Tok::end)) {
    edge = take().type;
    if (!is(Tok::left_paren)) return unexpected("@", "timestamp");
    take();
    if (!is(Tok::right_paren)) return unexpected("@", "timestamp");
    take();
  } else {
    double sign = 1;
    if (is(Tok::add) || is(Tok::sub)) sign = take().type == Tok::sub ? -1 : 1;
    if (!is(Tok::number) && !is(Tok::duration)) return unexpected("@", "timestamp");
    const Token token = take();
    PLUMBLINE_TRY(const double seconds, token.type == Tok::duration ? duration_literal(token) : number(token));
    const double ms = std::round(sign * seconds * 1000);
    if (!(std::fabs(ms) < 9.2e18)) {
      const double asked = sign * seconds;
      const std::string text = std::isfinite(asked) ? fmt::format("{:f}", asked) : std::isnan(asked) ? "NaN" : asked > 0 ? "+Inf" : "-Inf";
      return fail_at(inner.pos.begin, "timestamp out of bounds for @ modifier: " + text);
    }
    at = static_cast<std::int64_t>(ms);
  }
  if (m == nullptr)
    return fail_at(inner.pos.begin, "@ modifier must be preceded by an instant vector selector or range vector selector "
                                    "or a subquery");
  if (m->has_at()) return fail_at(inner.pos.begin, "@ <timestamp> may not be set multiple times");
  m->at_ms = at;
  m->at_edge = edge;
  inner.pos.end = last_closing_;
  return {};
}

Status Parser::offset_modifier(Expr& inner) {
  take();
  static constexpr std::string_view expected = "number, duration, step(), or range()";
  std::unique_ptr<DurationExpr> value;
  if (is(Tok::add) || is(Tok::sub)) {
    const Token sign = take();
    value = std::make_unique<DurationExpr>();
    value->op = sign.type == Tok::sub ? DurationExpr::Op::negate : DurationExpr::Op::plus;
    value->pos = {sign.pos, sign.end()};
    PLUMBLINE_TRY(value->right, duration_primary("offset", expected));
  } else {
    PLUMBLINE_TRY(value, duration_primary("offset", expected));
  }
  if (is_constant(*value)) {
    if (auto ms = evaluate_duration(*value, 0, 0, false, text_); !ms) return fail(ms.error());
  }
  Modifiers* m = modifiers_of(inner);
  if (m == nullptr)
    return fail_at(inner.pos.begin, "offset modifier must be preceded by an instant vector selector or range vector "
                                    "selector or a subquery");
  if (m->offset) return fail_at(inner.pos.begin, "offset may not be set multiple times");
  m->offset = std::move(value);
  inner.pos.end = last_closing_;
  return {};
}

Status Parser::extended_modifier(Expr& inner) {
  const Token word = take();
  if (inner.kind == Kind::subquery)
    return fail_at(inner.pos.begin, fmt::format("{} modifier is not supported for subqueries", spelling(word.type)));
  Selector* s = inner.kind == Kind::selector ? static_cast<Selector*>(&inner)
                : inner.kind == Kind::matrix ? static_cast<MatrixSelector&>(inner).selector.get()
                                             : nullptr;
  if (s == nullptr) return fail_at(inner.pos.begin, fmt::format("{} modifier not implemented", spelling(word.type)));
  const Extended wanted = word.type == Tok::anchored ? Extended::anchored : Extended::smoothed;
  if (s->extended != Extended::none && s->extended != wanted)
    return fail_at(inner.pos.begin, "anchored and smoothed modifiers cannot be used together");
  s->extended = wanted;
  inner.pos.end = word.end();
  return {};
}

Result<std::unique_ptr<Selector>> Parser::selector() {
  auto s = std::make_unique<Selector>();
  s->pos.begin = peek().pos;
  if (!is(Tok::left_brace)) {
    const Token name = take();
    s->name = name.text;
    s->pos.end = name.end();
  }
  if (accept(Tok::left_brace)) {
    while (!is(Tok::right_brace)) {
      PLUMBLINE_CHECK_OK(matcher(*s));
      if (is(Tok::right_brace)) break;
      if (!accept(Tok::comma)) return unexpected("label matching", "\",\" or \"}\"");
    }
    s->pos.end = take().end();
  }
  if (!s->name.empty()) s->matchers.push_back(model::Matcher::equal(std::string(model::metric_name_label), s->name));
  return s;
}

Status Parser::matcher(Selector& out) {
  if (!is(Tok::identifier) && !is(Tok::string)) return unexpected("label matching", "identifier or \"}\"");
  const Token name = take();
  std::string label = name.type == Tok::string ? unquote(name.text) : std::string(name.text);
  model::MatchOp op = model::MatchOp::equal;
  switch (peek().type) {
    case Tok::assign: break;
    case Tok::neq: op = model::MatchOp::not_equal; break;
    case Tok::eql_regex: op = model::MatchOp::regex; break;
    case Tok::neq_regex: op = model::MatchOp::not_regex; break;
    default:
      if (name.type != Tok::string) return unexpected("label matching", "label matching operator");
      // A quoted string alone is the metric's name.
      out.matchers.push_back(model::Matcher::equal(std::string(model::metric_name_label), std::move(label)));
      return {};
  }
  take();
  if (!is(Tok::string)) return unexpected("label matching", "string");
  auto m = model::Matcher::make(op, std::move(label), unquote(take().text));
  if (!m) return fail_at(name.pos, m.error().message);
  out.matchers.push_back(std::move(*m));
  return {};
}

}  // namespace plumbline::query::promql
