// The canonical text: one spelling for every expression; print(parse(print(e))) == print(e).
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "daemon/base/text.hpp"
#include "query/promql/ast.hpp"
#include "query/promql/functions.hpp"
#include "query/promql/numbers.hpp"

namespace plumbline::query::promql {

namespace {

std::string duration_text(double seconds) {
  const auto ms = static_cast<std::int64_t>(std::llround(std::fabs(seconds) * 1000));
  return (seconds < 0 && ms != 0 ? "-" : "") + format_duration_ms(ms);
}

std::string join(const std::vector<std::string>& labels) {
  std::string out;
  for (const std::string& l : labels) {
    if (!out.empty()) out += ", ";
    out += is_legacy_label_name(l) ? l : quote(l);
  }
  return out;
}

std::string print_at(const Modifiers& m) {
  if (m.at_ms) return fmt::format(" @ {:.3f}", static_cast<double>(*m.at_ms) / 1000);
  return m.at_edge == Tok::eof ? "" : fmt::format(" @ {}()", spelling(m.at_edge));
}

std::string print_offset(const Modifiers& m) {
  if (!m.offset) return "";
  const std::string offset = print(*m.offset);
  return offset == "0s" ? "" : " offset " + offset;  // zero says nothing, +0s likewise
}

std::string_view print_extended(Extended e) {
  return e == Extended::anchored ? " anchored" : e == Extended::smoothed ? " smoothed" : "";
}

std::string print_matcher(const model::Matcher& m) {
  static constexpr std::string_view ops[] = {"=", "!=", "=~", "!~"};
  return fmt::format("{}{}{}", is_legacy_label_name(m.name()) ? m.name() : quote(m.name()),
                     ops[static_cast<int>(m.op())], quote(m.value()));
}

std::string print_series(const Selector& s) {
  std::vector<std::string> parts;
  for (const model::Matcher& m : s.matchers) {
    const bool is_name = m.name() == model::metric_name_label && m.op() == model::MatchOp::equal && m.value() == s.name;
    if (!is_name || s.name.empty()) parts.push_back(print_matcher(m));
  }
  std::sort(parts.begin(), parts.end());
  std::string out = s.name;
  if (!parts.empty() || out.empty()) out += fmt::format("{{{}}}", fmt::join(parts, ","));
  return out;
}

std::string print_matching(const Binary& b) {
  const Matching& m = b.matching;
  const bool grouped = m.card == Card::many_to_one || m.card == Card::one_to_many;
  std::string out;
  if (!m.labels.empty() || m.on || grouped) out += fmt::format(" {} ({})", m.on ? "on" : "ignoring", join(m.labels));
  if (grouped) out += fmt::format(" group_{} ({})", m.card == Card::many_to_one ? "left" : "right", join(m.include));
  if (m.fill_left && m.fill_right && *m.fill_left == *m.fill_right) return out + fmt::format(" fill ({})", format_float(*m.fill_left));
  if (m.fill_left) out += fmt::format(" fill_left ({})", format_float(*m.fill_left));
  if (m.fill_right) out += fmt::format(" fill_right ({})", format_float(*m.fill_right));
  return out;
}

std::string print_nested(const DurationExpr& e) {
  return e.op == DurationExpr::Op::literal && e.number && !e.wrapped ? format_float(e.seconds) : print(e);
}

// What ^ is applied to. A sign binds weaker than ^: "+Inf ^ 1" would read back as +(Inf ^ 1).
std::string print_base(const Expr& base) {
  std::string out = print(base);
  if (base.kind == Kind::number && out.starts_with('+')) out.erase(0, 1);
  return out;
}

}  // namespace

// A lone number prints as the duration it means; inside arithmetic it stays a number.
std::string print(const DurationExpr& e) {
  using Op = DurationExpr::Op;
  const auto infix = [&](std::string_view op) {
    return fmt::format("{} {} {}", print_nested(*e.left), op, print_nested(*e.right));
  };
  std::string out;
  switch (e.op) {
    case Op::literal: out = duration_text(e.seconds); break;
    case Op::negate: out = "-" + print(*e.right); break;
    case Op::plus: out = print(*e.right); break;
    case Op::add: out = infix("+"); break;
    case Op::sub: out = infix("-"); break;
    case Op::mul: out = infix("*"); break;
    case Op::div: out = infix("/"); break;
    case Op::mod: out = infix("%"); break;
    case Op::pow: out = infix("^"); break;
    case Op::step: out = "step()"; break;
    case Op::range: out = "range()"; break;
    case Op::min_of: out = fmt::format("min_of({}, {})", print_nested(*e.left), print_nested(*e.right)); break;
    case Op::max_of: out = fmt::format("max_of({}, {})", print_nested(*e.left), print_nested(*e.right)); break;
  }
  return e.wrapped ? "(" + out + ")" : out;
}

std::string print(const Expr& expr) {
  switch (expr.kind) {
    case Kind::number: {
      const auto& n = static_cast<const Number&>(expr);
      // The sign of a zero counts in a number: 1 / -0s is an infinity below zero.
      if (n.duration) return (n.value == 0 && std::signbit(n.value) ? "-" : "") + duration_text(n.value);
      return format_float(n.value);
    }
    case Kind::string: return quote(static_cast<const String&>(expr).value);
    case Kind::selector: {
      const auto& s = static_cast<const Selector&>(expr);
      return fmt::format("{}{}{}{}", print_series(s), print_at(s.modifiers), print_extended(s.extended), print_offset(s.modifiers));
    }
    case Kind::matrix: {
      const auto& m = static_cast<const MatrixSelector&>(expr);
      const Modifiers& modifiers = m.selector->modifiers;
      return fmt::format("{}[{}]{}{}{}", print_series(*m.selector), print(*m.range), print_extended(m.selector->extended),
                         print_at(modifiers), print_offset(modifiers));
    }
    case Kind::subquery: {
      const auto& s = static_cast<const Subquery&>(expr);
      return fmt::format("{}[{}:{}]{}{}", print(*s.inner), print(*s.range), s.step ? print(*s.step) : "",
                         print_at(s.modifiers), print_offset(s.modifiers));
    }
    case Kind::paren: return "(" + print(*static_cast<const Paren&>(expr).inner) + ")";
    case Kind::unary: {
      const auto& u = static_cast<const Unary&>(expr);
      return std::string(spelling(u.op)) + print(*u.inner);
    }
    case Kind::binary: {
      const auto& b = static_cast<const Binary&>(expr);
      return fmt::format("{} {}{}{} {}", b.op == Tok::pow ? print_base(*b.left) : print(*b.left), spelling(b.op), b.return_bool ? " bool" : "", print_matching(b),
                         print(*b.right));
    }
    case Kind::aggregate: {
      const auto& a = static_cast<const Aggregate&>(expr);
      std::string out(spelling(a.op));
      if (a.without) out += fmt::format(" without ({}) ", join(a.grouping));
      else if (!a.grouping.empty()) out += fmt::format(" by ({}) ", join(a.grouping));
      out += '(';
      if (a.parameter) out += print(*a.parameter) + ", ";
      return out + print(*a.inner) + ")";
    }
    case Kind::call: {
      const auto& c = static_cast<const Call&>(expr);
      std::string out = std::string(c.function->name) + "(";
      for (std::size_t i = 0; i < c.arguments.size(); ++i) out += (i ? ", " : "") + print(*c.arguments[i]);
      return out + ")";
    }
  }
  return {};
}

}  // namespace plumbline::query::promql
