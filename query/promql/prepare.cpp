// Before evaluation: durations and @ become numbers, every selector gets the time range its uses need, and each distinct
// selector is read once.
#include <algorithm>

#include <fmt/format.h>

#include "query/promql/fold.hpp"
#include "query/promql/stopwatch.hpp"

namespace plumbline::query::promql {

namespace {
// Times are kept inside +-2^61 ms (73 million years), so that subtracting durations never overflows.
constexpr std::int64_t time_bound = 1ll << 61;
std::int64_t bounded(std::int64_t t) { return std::clamp(t, -time_bound, time_bound); }
}  // namespace

Result<Evaluator::Timing> Evaluator::resolve(const Modifiers& m) {
  Timing t;
  const std::int64_t step = context_.instant ? 0 : context_.grid.step;
  const std::int64_t range = context_.end - context_.grid.start;
  if (m.offset) {
    PLUMBLINE_TRY(t.offset, evaluate_duration(*m.offset, step, range, false, context_.text));
  }
  if (m.at_ms) t.at = bounded(*m.at_ms);
  if (m.at_edge == Tok::start) t.at = context_.grid.start;
  if (m.at_edge == Tok::end) t.at = context_.end;
  return t;
}

Status Evaluator::prepare(const Expr& e, model::TimeRange times) {
  const std::int64_t step = context_.instant ? 0 : context_.grid.step;
  const std::int64_t range = context_.end - context_.grid.start;
  const auto read = [&](const Selector& s, Timing& timing, std::int64_t back, bool range_vector) {
    const std::int64_t lookback = context_.options.lookback.count();
    if (range_vector && s.extended != Extended::none) back += lookback;
    const std::int64_t ahead = s.extended == Extended::smoothed ? lookback : 0;
    // Left-open: a sample exactly `back` before the evaluation time is outside.
    const model::TimeRange need{bounded(timing.reference(times.min) - back + 1), bounded(timing.reference(times.max) + ahead)};
    for (std::size_t i = 0; i < sources_.size(); ++i)
      if (sources_[i].matchers == s.matchers) {
        sources_[i].range.min = std::min(sources_[i].range.min, need.min);
        sources_[i].range.max = std::max(sources_[i].range.max, need.max);
        timing.source = i;
        if (!repeated_) ++sources_[i].uses;
        return;
      }
    timing.source = sources_.size();
    sources_.push_back({s.matchers, need, {}});
  };
  if (!repeated_ && repeats(e, times)) {
    repeated_ = true;
    const Status done = prepare(e, times);
    repeated_ = false;
    return done;
  }
  switch (e.kind) {
    case Kind::number:
    case Kind::string: return {};
    case Kind::selector: {
      const auto& s = static_cast<const Selector&>(e);
      PLUMBLINE_TRY(Timing timing, resolve(s.modifiers));
      read(s, timing, context_.options.lookback.count(), false);
      timings_[&e] = timing;
      return {};
    }
    case Kind::matrix: {
      const auto& m = static_cast<const MatrixSelector&>(e);
      PLUMBLINE_TRY(Timing timing, resolve(m.selector->modifiers));
      PLUMBLINE_TRY(timing.range, evaluate_duration(*m.range, step, range, true, context_.text));
      read(*m.selector, timing, timing.range, true);
      timings_[&e] = timing;
      return {};
    }
    case Kind::subquery: {
      const auto& s = static_cast<const Subquery&>(e);
      PLUMBLINE_TRY(Timing timing, resolve(s.modifiers));
      PLUMBLINE_TRY(timing.range, evaluate_duration(*s.range, step, range, true, context_.text));
      timing.step = context_.options.default_step.count();
      if (s.step) {
        PLUMBLINE_TRY(timing.step, evaluate_duration(*s.step, step, range, true, context_.text));
      }
      timing.step = std::max<std::int64_t>(timing.step, 1);
      timings_[&e] = timing;
      ++in_subquery_;
      const Status done = prepare(*s.inner, {bounded(timing.reference(times.min) - timing.range), bounded(timing.reference(times.max))});
      --in_subquery_;
      return done;
    }
    case Kind::paren: return prepare(*static_cast<const Paren&>(e).inner, times);
    case Kind::unary: return prepare(*static_cast<const Unary&>(e).inner, times);
    case Kind::binary: {
      const auto& b = static_cast<const Binary&>(e);
      PLUMBLINE_CHECK_OK(prepare(*b.left, times));
      return prepare(*b.right, times);
    }
    case Kind::aggregate: {
      const auto& a = static_cast<const Aggregate&>(e);
      if (a.parameter) PLUMBLINE_CHECK_OK(prepare(*a.parameter, times));
      if (Fold::merges(a.op)) folded_ = &unwrap(*a.inner);
      return prepare(*a.inner, times);
    }
    case Kind::call: {
      const auto& c = static_cast<const Call&>(e);
      PLUMBLINE_CHECK_OK(check_extended(c));
      if (c.function->id == Fn::info) return prepare(*c.arguments[0], times);  // the second selects labels, not samples
      for (const ExprPtr& argument : c.arguments) PLUMBLINE_CHECK_OK(prepare(*argument, times));
      return {};
    }
  }
  return {};
}

Grid Evaluator::subquery_grid(const Timing& t, const Grid& grid) const {
  // Steps at absolute multiples of the step, the first one strictly inside the left-open range.
  const std::int64_t bound = t.reference(grid.start) - t.range;
  std::int64_t start = t.step * (bound / t.step);
  if (start <= bound) start += t.step;
  const std::int64_t end = t.reference(grid.last());
  return {start, t.step, start > end ? 0 : static_cast<std::size_t>((end - start) / t.step) + 1};
}

// The same at every step: literals, and selectors pinned by @, through everything that does not look at the time.
bool Evaluator::constant(const Expr& e) const {
  switch (e.kind) {
    case Kind::number:
    case Kind::string: return true;
    case Kind::selector: return static_cast<const Selector&>(e).modifiers.has_at();
    case Kind::matrix: return static_cast<const MatrixSelector&>(e).selector->modifiers.has_at();
    case Kind::subquery: return static_cast<const Subquery&>(e).modifiers.has_at();
    case Kind::paren: return constant(*static_cast<const Paren&>(e).inner);
    case Kind::unary: return constant(*static_cast<const Unary&>(e).inner);
    case Kind::binary: {
      const auto& b = static_cast<const Binary&>(e);
      return constant(*b.left) && constant(*b.right);
    }
    case Kind::aggregate: {
      const auto& a = static_cast<const Aggregate&>(e);
      return constant(*a.inner) && (!a.parameter || constant(*a.parameter));
    }
    case Kind::call: {
      const auto& c = static_cast<const Call&>(e);
      switch (c.function->id) {
        case Fn::time:
        case Fn::timestamp:
        case Fn::predict_linear:
        case Fn::day_of_month:
        case Fn::day_of_week:
        case Fn::day_of_year:
        case Fn::days_in_month:
        case Fn::hour:
        case Fn::minute:
        case Fn::month:
        case Fn::year: return false;
        default: break;
      }
      return std::ranges::all_of(c.arguments, [&](const ExprPtr& a) { return constant(*a); });
    }
  }
  return false;
}

}  // namespace plumbline::query::promql
