// Whether a range query's value at a step depends on the step alone and on what was stored up to it.
#include "query/promql/ast.hpp"
#include "query/promql/functions.hpp"

namespace plumbline::query::promql {

namespace {

bool fixed(const std::unique_ptr<DurationExpr>& d, bool negative_allowed) {
  if (!d) return true;
  if (!is_constant(*d)) return false;  // step() would do, range() not
  if (negative_allowed) return true;
  const Result<std::int64_t> ms = evaluate_duration(*d, 0, 0, false, "");
  return ms && *ms >= 0;
}

bool fixed(const Modifiers& m) { return !m.has_at() && fixed(m.offset, false); }

}  // namespace

bool cacheable(const Expr& e) {
  switch (e.kind) {
    case Kind::number:
    case Kind::string: return true;
    case Kind::selector: {
      const auto& s = static_cast<const Selector&>(e);
      // `smoothed` looks ahead. Series of several metrics may lose their difference in a function: an error over the whole range.
      return fixed(s.modifiers) && s.extended != Extended::smoothed && s.names_one_metric();
    }
    case Kind::matrix: {
      const auto& m = static_cast<const MatrixSelector&>(e);
      return cacheable(*m.selector) && fixed(m.range, true);
    }
    case Kind::subquery: {
      const auto& s = static_cast<const Subquery&>(e);
      return fixed(s.modifiers) && fixed(s.range, true) && fixed(s.step, true) && cacheable(*s.inner);
    }
    case Kind::paren: return cacheable(*static_cast<const Paren&>(e).inner);
    case Kind::unary: return cacheable(*static_cast<const Unary&>(e).inner);
    case Kind::binary: {
      const auto& b = static_cast<const Binary&>(e);
      return cacheable(*b.left) && cacheable(*b.right);
    }
    case Kind::aggregate: {
      const auto& a = static_cast<const Aggregate&>(e);
      return cacheable(*a.inner) && (!a.parameter || cacheable(*a.parameter));
    }
    case Kind::call: {
      const auto& c = static_cast<const Call&>(e);
      switch (c.function->id) {
        case Fn::info:  // looks up what its argument finds in the whole range
        case Fn::start:
        case Fn::end:
        case Fn::range: return false;
        default: break;
      }
      for (const ExprPtr& argument : c.arguments)
        if (!cacheable(*argument)) return false;
      return true;
    }
  }
  return false;
}

}  // namespace plumbline::query::promql
