// Whether a range query's value at a step depends on the step alone and on what was stored up to it.
#include <algorithm>
#include <set>
#include <string>

#include "query/promql/ast.hpp"
#include "query/promql/functions.hpp"
#include "query/promql/range_functions.hpp"
#include "storage/model/labels.hpp"

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

// What two series of a vector may have for a metric name: none of them has one, all have the same, or anything.
enum class Names { none, one, several };

bool is_label_function(Fn fn) { return fn == Fn::label_replace || fn == Fn::label_join; }
bool is_sort(Fn fn) { return fn == Fn::sort || fn == Fn::sort_desc || fn == Fn::sort_by_label || fn == Fn::sort_by_label_desc; }
bool picks(Tok op) { return op == Tok::topk || op == Tok::bottomk || op == Tok::limitk || op == Tok::limit_ratio; }
const std::string& text_of(const Expr& e) { return static_cast<const String&>(unwrap(e)).value; }

Names names(const Expr& e);

Names names_of_call(const Call& c) {
  const Fn fn = c.function->id;
  if (is_label_function(fn)) return text_of(*c.arguments[1]) == model::metric_name_label ? Names::several : names(*c.arguments[0]);
  if (is_sort(fn)) return names(*c.arguments[0]);
  if (is_range_function(fn) && keeps_name(fn)) return names(*c.arguments[0]);
  return Names::none;
}

Names names(const Expr& e) {
  switch (e.kind) {
    case Kind::selector: return static_cast<const Selector&>(e).names_one_metric() ? Names::one : Names::several;
    case Kind::matrix: return names(*static_cast<const MatrixSelector&>(e).selector);
    case Kind::subquery: return names(*static_cast<const Subquery&>(e).inner);
    case Kind::paren: return names(*static_cast<const Paren&>(e).inner);
    case Kind::unary: return static_cast<const Unary&>(e).op == Tok::sub ? Names::none : names(*static_cast<const Unary&>(e).inner);
    case Kind::binary: {
      const auto& b = static_cast<const Binary&>(e);
      const bool left_vector = type_of(*b.left) == Type::vector, right_vector = type_of(*b.right) == Type::vector;
      if (!left_vector && !right_vector) return Names::none;
      const Names left = left_vector ? names(*b.left) : names(*b.right), right = right_vector ? names(*b.right) : left;
      if (b.op == Tok::land || b.op == Tok::lunless) return left;
      if (left == Names::none && right == Names::none) return Names::none;
      if (b.op == Tok::lor) return Names::several;
      if (std::ranges::find(b.matching.include, model::metric_name_label) != b.matching.include.end()) return Names::several;
      const bool keeps = is_comparison(b.op) && !b.return_bool;
      return !keeps ? Names::none : left_vector != right_vector ? left : Names::several;
    }
    case Kind::aggregate: {
      const auto& a = static_cast<const Aggregate&>(e);
      const bool by_name = !a.without && std::ranges::find(a.grouping, model::metric_name_label) != a.grouping.end();
      if (a.op == Tok::count_values && text_of(*a.parameter) == model::metric_name_label) return Names::several;
      return picks(a.op) || by_name ? names(*a.inner) : Names::none;
    }
    case Kind::call: return names_of_call(static_cast<const Call&>(e));
    default: return Names::none;
  }
}

// Whether no series of a vector has this label.
bool lacks(const Expr& e, const std::string& label) {
  switch (e.kind) {
    case Kind::paren: return lacks(*static_cast<const Paren&>(e).inner, label);
    case Kind::unary: return lacks(*static_cast<const Unary&>(e).inner, label);
    case Kind::aggregate: {
      const auto& a = static_cast<const Aggregate&>(e);
      const bool named = std::ranges::find(a.grouping, label) != a.grouping.end();
      if (picks(a.op)) return lacks(*a.inner, label);
      if (a.op == Tok::count_values && text_of(*a.parameter) == label) return false;
      return a.without ? named || label == model::metric_name_label : !named;
    }
    case Kind::call: {
      const auto& c = static_cast<const Call&>(e);
      return is_label_function(c.function->id) && text_of(*c.arguments[1]) != label && lacks(*c.arguments[0], label);
    }
    default: return false;
  }
}

bool cacheable_call(const Call& c) {
  const Fn fn = c.function->id;
  switch (fn) {
    case Fn::info:  // looks up what its argument finds in the whole range
    case Fn::start:
    case Fn::end:
    case Fn::range: return false;
    // Two series may become one over the whole range, which is an error, though no step has both: only a label that is new cannot do that.
    case Fn::label_replace:
    case Fn::label_join:
      if (!lacks(*c.arguments[0], text_of(*c.arguments[1]))) return false;
      break;
    case Fn::histogram_quantiles:  // the first step's quantile is the name of all
      for (std::size_t i = 2; i < c.arguments.size(); ++i)
        if (unwrap(*c.arguments[i]).kind != Kind::number) return false;
      break;
    default: break;
  }
  for (const ExprPtr& argument : c.arguments) {
    if (!cacheable(*argument)) return false;
    const Expr& e = unwrap(*argument);
    // As above, when names are dropped.
    if (e.kind == Kind::subquery && !keeps_name(fn) && names(e) == Names::several) return false;
    if (e.kind != Kind::matrix) continue;
    // Summaries are rounded otherwise than samples, and come in another order; which of them it is depends on the number of steps.
    const Result<std::int64_t> range = evaluate_duration(*static_cast<const MatrixSelector&>(e).range, 0, 0, true, "");
    if (!range || (summarizable(fn) && *range >= summarized_ms_min)) return false;
  }
  return true;
}

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
    case Kind::unary: {
      const auto& u = static_cast<const Unary&>(e);
      return (u.op != Tok::sub || names(*u.inner) != Names::several) && cacheable(*u.inner);
    }
    case Kind::binary: {
      const auto& b = static_cast<const Binary&>(e);
      return cacheable(*b.left) && cacheable(*b.right);
    }
    case Kind::aggregate: {
      const auto& a = static_cast<const Aggregate&>(e);
      return cacheable(*a.inner) && (!a.parameter || cacheable(*a.parameter));
    }
    case Kind::call: return cacheable_call(static_cast<const Call&>(e));
  }
  return false;
}

bool adds_parts(const Expr& e) {
  switch (e.kind) {
    case Kind::subquery: return adds_parts(*static_cast<const Subquery&>(e).inner);
    case Kind::paren: return adds_parts(*static_cast<const Paren&>(e).inner);
    case Kind::unary: return adds_parts(*static_cast<const Unary&>(e).inner);
    case Kind::binary: return adds_parts(*static_cast<const Binary&>(e).left) || adds_parts(*static_cast<const Binary&>(e).right);
    case Kind::aggregate: {
      const auto& a = static_cast<const Aggregate&>(e);
      return a.op == Tok::sum || a.op == Tok::avg || adds_parts(*a.inner) || (a.parameter && adds_parts(*a.parameter));
    }
    case Kind::call:
      return std::ranges::any_of(static_cast<const Call&>(e).arguments, [](const ExprPtr& argument) { return adds_parts(*argument); });
    default: return false;
  }
}

}  // namespace plumbline::query::promql
