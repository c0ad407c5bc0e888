// Type checks, durations and places: what upstream does after its grammar has accepted a text.
#include <cmath>

#include <fmt/format.h>

#include "query/promql/ast.hpp"
#include "query/promql/functions.hpp"

namespace plumbline::query::promql {

std::string_view documented(Type type) {
  switch (type) {
    case Type::scalar: return "scalar";
    case Type::vector: return "instant vector";
    case Type::matrix: return "range vector";
    case Type::string: return "string";
    case Type::none: break;
  }
  return "none";
}

namespace {
std::string_view short_name(Type type) {
  return type == Type::vector ? "vector" : type == Type::matrix ? "matrix" : documented(type);
}
}  // namespace

Type type_of(const Expr& expr) {
  switch (expr.kind) {
    case Kind::number: return Type::scalar;
    case Kind::string: return Type::string;
    case Kind::selector:
    case Kind::aggregate: return Type::vector;
    case Kind::matrix:
    case Kind::subquery: return Type::matrix;
    case Kind::call: return static_cast<const Call&>(expr).function->result;
    case Kind::binary: {
      const auto& b = static_cast<const Binary&>(expr);
      return type_of(*b.left) == Type::scalar && type_of(*b.right) == Type::scalar ? Type::scalar : Type::vector;
    }
    case Kind::unary: return type_of(*static_cast<const Unary&>(expr).inner);
    case Kind::paren: return type_of(*static_cast<const Paren&>(expr).inner);
  }
  return Type::none;
}

bool Selector::names_one_metric() const {
  for (const model::Matcher& m : matchers)
    if (m.name() == model::metric_name_label && m.op() == model::MatchOp::equal) return true;
  return false;
}

const Expr& unwrap(const Expr& expr) {
  const Expr* e = &expr;
  while (e->kind == Kind::paren) e = static_cast<const Paren*>(e)->inner.get();
  return *e;
}

std::string place(std::string_view text, std::uint32_t offset) {
  int line = 1;
  std::size_t line_start = 0;
  for (std::size_t i = 0; i < offset && i < text.size(); ++i)
    if (text[i] == '\n') {
      ++line;
      line_start = i + 1;
    }
  return fmt::format("{}:{}", line, offset - line_start + 1);
}

std::unexpected<Error> parse_error(std::string_view text, std::uint32_t offset, std::string_view message) {
  return fail(Code::invalid_input, fmt::format("{}: parse error: {}", place(text, offset), message));
}

// ------------------------------------------------------------------------------------------------------------- durations

bool is_constant(const DurationExpr& e) {
  if (e.op == DurationExpr::Op::step || e.op == DurationExpr::Op::range) return false;
  return (!e.left || is_constant(*e.left)) && (!e.right || is_constant(*e.right));
}

namespace {

Result<double> seconds_of(const DurationExpr& e, double step, double range, std::string_view text) {
  using Op = DurationExpr::Op;
  double l = 0, r = 0;
  if (e.left) {
    PLUMBLINE_TRY(l, seconds_of(*e.left, step, range, text));
  }
  if (e.right) {
    PLUMBLINE_TRY(r, seconds_of(*e.right, step, range, text));
  }
  switch (e.op) {
    case Op::literal: return e.seconds;
    case Op::negate: return -r;
    case Op::plus: return r;
    case Op::add: return l + r;
    case Op::sub: return l - r;
    case Op::mul: return l * r;
    case Op::div:
      if (r == 0) return parse_error(text, e.right->pos.begin, "division by zero");
      return l / r;
    case Op::mod:
      if (r == 0) return parse_error(text, e.right->pos.begin, "modulo by zero");
      return std::fmod(l, r);
    case Op::pow: return std::pow(l, r);
    case Op::step: return step;
    case Op::range: return range;
    case Op::min_of: return std::min(l, r);
    case Op::max_of: return std::max(l, r);
  }
  return 0;
}

}  // namespace

Result<std::int64_t> evaluate_duration(const DurationExpr& e, std::int64_t step_ms, std::int64_t range_ms, bool positive,
                                       std::string_view text) {
  PLUMBLINE_TRY(const double s, seconds_of(e, static_cast<double>(step_ms) / 1000, static_cast<double>(range_ms) / 1000,
                                           text));
  if (positive && !(s > 0)) return parse_error(text, e.pos.begin, "duration must be greater than 0");
  // As upstream: what does not fit into nanoseconds of an int64 (292 years).
  if (!(std::fabs(s) < 9.2e9)) return parse_error(text, e.pos.begin, "duration out of range");
  return static_cast<std::int64_t>(std::llround(s * 1000));
}

// ----------------------------------------------------------------------------------------------------------------- types

namespace {

class Checker {
 public:
  explicit Checker(std::string_view text) : text_(text) {}

  Status check(Expr& e) {
    switch (e.kind) {
      case Kind::number:
      case Kind::string: return {};
      case Kind::selector: return selector(static_cast<Selector&>(e));
      case Kind::matrix: return selector(*static_cast<MatrixSelector&>(e).selector);
      case Kind::paren: return check(*static_cast<Paren&>(e).inner);
      case Kind::subquery: {
        Expr& inner = *static_cast<Subquery&>(e).inner;
        PLUMBLINE_CHECK_OK(check(inner));
        if (type_of(inner) != Type::vector)
          return fail_at(e, fmt::format("subquery is only allowed on instant vector, got {} instead",
                                        short_name(type_of(inner))));
        return {};
      }
      case Kind::unary: {
        Expr& inner = *static_cast<Unary&>(e).inner;
        PLUMBLINE_CHECK_OK(check(inner));
        if (const Type t = type_of(inner); t != Type::scalar && t != Type::vector)
          return fail_at(e, fmt::format("unary expression only allowed on expressions of type scalar or instant vector, "
                                        "got \"{}\"", documented(t)));
        return {};
      }
      case Kind::aggregate: return aggregate(static_cast<Aggregate&>(e));
      case Kind::binary: return binary(static_cast<Binary&>(e));
      case Kind::call: return call(static_cast<Call&>(e));
    }
    return {};
  }

 private:
  std::unexpected<Error> fail_at(const Expr& e, std::string_view message) const {
    return parse_error(text_, e.pos.begin, message);
  }
  Status expect(Expr& e, Type want, std::string_view context) {
    PLUMBLINE_CHECK_OK(check(e));
    if (const Type t = type_of(e); t != want)
      return fail_at(e, fmt::format("expected type {} in {}, got {}", documented(want), context, documented(t)));
    return {};
  }

  Status selector(const Selector& s) const {
    if (!s.name.empty()) {
      // The last matcher stands for the name outside the braces.
      for (std::size_t i = 0; i + 1 < s.matchers.size(); ++i)
        if (s.matchers[i].name() == model::metric_name_label)
          return fail_at(s, fmt::format("metric name must not be set twice: {} or {}", quote(s.name),
                                        quote(s.matchers[i].value())));
      return {};
    }
    for (const model::Matcher& m : s.matchers)
      if (!m.matches_empty()) return {};
    return fail_at(s, "vector selector must contain at least one non-empty matcher");
  }

  Status aggregate(Aggregate& a) {
    PLUMBLINE_CHECK_OK(expect(*a.inner, Type::vector, "aggregation expression"));
    if (a.op == Tok::count_values) return expect(*a.parameter, Type::string, "aggregation parameter");
    if (takes_parameter(a.op)) return expect(*a.parameter, Type::scalar, "aggregation parameter");
    return {};
  }

  Status binary(Binary& b) {
    PLUMBLINE_CHECK_OK(check(*b.left));
    PLUMBLINE_CHECK_OK(check(*b.right));
    const Type lt = type_of(*b.left), rt = type_of(*b.right);
    const auto at_operator = [&](std::string_view message) {
      std::uint32_t at = b.left->pos.end;
      while (at < text_.size() && is_space(text_[at])) ++at;
      return parse_error(text_, at, message);
    };
    const bool comparison = is_comparison(b.op), set = is_set_operator(b.op);
    if (b.return_bool && !comparison) return at_operator("bool modifier can only be used on comparison operators");
    if (comparison && !b.return_bool && lt == Type::scalar && rt == Type::scalar)
      return at_operator("comparisons between scalars must use BOOL modifier");
    Matching& m = b.matching;
    if (set && m.card == Card::one_to_one) m.card = Card::many_to_many;
    if (m.on)
      for (const std::string& l : m.labels)
        for (const std::string& i : m.include)
          if (l == i)
            return at_operator(fmt::format("label {} must not occur in ON and GROUP clause at once", quote(l)));
    for (const auto& [operand, t] : {std::pair{b.left.get(), lt}, std::pair{b.right.get(), rt}})
      if (t != Type::scalar && t != Type::vector)
        return fail_at(*operand, "binary expression must contain only scalar and instant vector types");
    if (lt != Type::vector || rt != Type::vector) {
      if (!m.labels.empty()) return fail_at(b, "vector matching only allowed between instant vectors");
      if (m.fills()) return fail_at(b, "filling in missing series only allowed between instant vectors");
      m = {};
      if (set) return fail_at(b, fmt::format("set operator \"{}\" not allowed in binary scalar expression", spelling(b.op)));
    } else if (set && m.card != Card::many_to_many) {
      return fail_at(b, fmt::format("no grouping allowed for \"{}\" operation", spelling(b.op)));
    } else if (set && m.fills()) {
      return fail_at(b, "filling in missing series not allowed for set operators");
    }
    return {};
  }

  Status call(Call& c) {
    const Function& f = *c.function;
    const std::size_t count = f.arguments.size(), got = c.arguments.size();
    if (f.variadic == 0) {
      if (count != got)
        return fail_at(c, fmt::format("expected {} argument(s) in call to \"{}\", got {}", count, f.name, got));
    } else {
      const std::size_t least = count - 1;
      if (least > got)
        return fail_at(c, fmt::format("expected at least {} argument(s) in call to \"{}\", got {}", least, f.name, got));
      const std::size_t most = least + static_cast<std::size_t>(std::max(f.variadic, 0));
      if (f.variadic > 0 && most < got)
        return fail_at(c, fmt::format("expected at most {} argument(s) in call to \"{}\", got {}", most, f.name, got));
    }
    for (std::size_t i = 0; i < got; ++i) {
      // info()'s second argument is a bare set of matchers that may match everything.
      if (f.id == Fn::info && i == 1) {
        if (c.arguments[1]->kind != Kind::selector) return fail_at(*c.arguments[1], "expected label selectors only");
        if (!static_cast<const Selector&>(*c.arguments[1]).name.empty())
          return fail_at(*c.arguments[1], "expected label selectors only, got vector selector instead");
        continue;
      }
      PLUMBLINE_CHECK_OK(expect(*c.arguments[i], f.argument(i), fmt::format("call to function \"{}\"", f.name)));
    }
    return {};
  }

  std::string_view text_;
};

}  // namespace

Status check_types(Expr& expr, std::string_view text) { return Checker(text).check(expr); }

}  // namespace plumbline::query::promql
