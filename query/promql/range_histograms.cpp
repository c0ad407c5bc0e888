// Functions of range vectors over series that have histograms, alone or among floats.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "daemon/base/text.hpp"
#include "query/promql/evaluator.hpp"
#include "query/promql/numbers.hpp"
#include "query/promql/range_functions.hpp"
#include "query/promql/sliding.hpp"

namespace plumbline::query::promql {

using model::ResetHint;

// One window: what evaluate_window() takes, and the histograms inside.
struct Evaluator::HistogramWindow {
  Window floats;
  std::span<const HistogramPoint> histograms;
};

namespace {

// A float or a histogram of a window, in the order of time.
struct Point {
  std::int64_t t = 0;
  double v = 0;
  const NativeHistogram* h = nullptr;
};

std::vector<Point> in_order(std::span<const Sample> floats, std::span<const HistogramPoint> histograms) {
  std::vector<Point> out;
  for (const Sample& s : floats) out.push_back({s.t, s.v, nullptr});
  for (const HistogramPoint& p : histograms) out.push_back({p.t, 0, p.h.get()});
  std::ranges::sort(out, {}, &Point::t);
  return out;
}

}  // namespace

double count_changes(std::span<const Sample> floats, std::span<const HistogramPoint> histograms) {
  const std::vector<Point> points = in_order(floats, histograms);
  double out = 0;
  for (std::size_t i = 1; i < points.size(); ++i) {
    const Point& a = points[i - 1];
    const Point& b = points[i];
    if (a.h != nullptr && b.h != nullptr)
      out += same_value(*a.h, *b.h) ? 0 : 1;
    else if (a.h != nullptr || b.h != nullptr)
      out += 1;
    else if (a.v != b.v && !(std::isnan(a.v) && std::isnan(b.v)))
      out += 1;
  }
  return out;
}

double count_resets(std::span<const Sample> floats, std::span<const HistogramPoint> histograms) {
  const std::vector<Point> points = in_order(floats, histograms);
  double out = 0;
  for (std::size_t i = 1; i < points.size(); ++i) {
    const Point& a = points[i - 1];
    const Point& b = points[i];
    if (a.h != nullptr && b.h != nullptr)
      out += was_reset(*b.h, *a.h) ? 1 : 0;
    else if (a.h != nullptr || b.h != nullptr || b.v < a.v)
      out += 1;
  }
  return out;
}

namespace {

// By how much the difference between first and last is to be multiplied; as extrapolate() does it for a float.
bool extrapolation(std::span<const HistogramPoint> points, double grown, const Window& w, bool counter, bool per_second,
                   double& factor) {
  // It is linear in the result: asked for the count, it tells the factor of all. What did not grow cannot cross zero.
  const double first = grown > 0 ? points.front().h->count : infinity;
  const double asked = grown > 0 ? grown : 1;
  if (!extrapolate({{points.front().t, first}, {points.back().t, 0}, points.size()}, asked, w.end, w.range, counter, per_second, factor))
    return false;
  factor /= asked;
  return true;
}

bool floats_only(Fn fn) {
  switch (fn) {
    case Fn::min_over_time:
    case Fn::max_over_time:
    case Fn::quantile_over_time:
    case Fn::stddev_over_time:
    case Fn::stdvar_over_time:
    case Fn::mad_over_time:
    case Fn::deriv:
    case Fn::predict_linear:
    case Fn::double_exponential_smoothing:
    case Fn::ts_of_max_over_time:
    case Fn::ts_of_min_over_time: return true;
    default: return false;
  }
}

}  // namespace

void Evaluator::warn_schemas(const Expr& at, std::string_view metric) {
  warn(at, fmt::format("vector contains a mix of histograms with exponential and custom buckets schemas for metric name {}",
                       quote(metric)));
}
void Evaluator::warn_mix(const Expr& at, std::string_view metric) {
  warn(at, fmt::format("encountered a mix of histograms and floats for metric name {}", quote(metric)));
}
void Evaluator::warn_gauges(const Expr& at, std::string_view metric, bool counter) {
  warn(at, fmt::format("this native histogram metric is not a {}: {}", counter ? "counter" : "gauge", quote(metric)));
}

bool Evaluator::add_noted(NativeHistogram& to, const NativeHistogram& other, double sign, const Expr& at, std::string_view metric,
                          std::string_view operation) {
  const Reconciled done = add(to, other, sign);
  if (done.incompatible) warn_schemas(at, metric);
  if (done.bounds_mismatched) inform(at, fmt::format("mismatched custom buckets were reconciled during {}", operation));
  return !done.incompatible;
}

std::shared_ptr<NativeHistogram> Evaluator::rate_of(const Call& c, std::span<const HistogramPoint> points, bool counter,
                                                    std::string_view metric) {
  const Expr& at = *c.arguments[0];
  const auto is_gauge = [](const HistogramPoint& p) { return p.h->reset == ResetHint::gauge; };
  if (counter && std::ranges::any_of(points, is_gauge)) warn_gauges(at, metric, true);
  if (!counter && !(is_gauge(points.front()) && is_gauge(points.back()))) warn_gauges(at, metric, false);
  HistogramPtr before = points.front().h;
  if (counter && was_reset(*points[1].h, *before)) {
    // The first is of no use, and so its layout does not matter.
    auto nothing = std::make_shared<NativeHistogram>();
    nothing->schema = points[1].h->schema;
    nothing->bounds = points[1].h->bounds;
    nothing->zero_threshold = points[1].h->zero_threshold;
    before = std::move(nothing);
  }
  auto out = std::make_shared<NativeHistogram>(*points.back().h);
  if (!add_noted(*out, *before, -1, at, metric, "subtraction")) return nullptr;
  if (counter)
    for (const HistogramPoint& p : points.subspan(1)) {
      if (was_reset(*p.h, *before) && !add_noted(*out, *before, 1, at, metric, "addition")) return nullptr;
      if (p.h->is_custom() != out->is_custom()) {
        add_noted(*out, *p.h, 1, at, metric, "addition");  // says why
        return nullptr;
      }
      before = p.h;
    }
  out->reset = ResetHint::gauge;
  return out;
}

// The value at one step, or null and is_float, or neither.
HistogramPtr Evaluator::window_value(const Call& c, const HistogramWindow& window, std::string_view metric, bool& is_float, double& v) {
  const Fn fn = c.function->id;
  const Expr& at = *c.arguments.back();
  const std::span<const HistogramPoint> points = window.histograms;
  const std::size_t floats = window.floats.samples.size();
  is_float = false;
  const auto number = [&](double value) {
    is_float = true;
    v = value;
    return HistogramPtr();
  };
  const auto mixed = [&] {
    if (floats == 0) return false;
    warn_mix(at, metric);
    return true;
  };
  if (floats_only(fn)) {
    if (floats == 0) return nullptr;
    inform(at, fmt::format("ignored histograms in a range containing both floats and histograms for metric name {}", quote(metric)));
    is_float = evaluate_window(fn, window.floats, v);
    return nullptr;
  }
  switch (fn) {
    case Fn::count_over_time: return number(static_cast<double>(floats + points.size()));
    case Fn::present_over_time: return number(1);
    case Fn::changes: return number(count_changes(window.floats.samples, points));
    case Fn::resets: return number(count_resets(window.floats.samples, points));
    case Fn::first_over_time:
      if (floats > 0 && window.floats.samples.front().t < points.front().t) return number(window.floats.samples.front().v);
      return points.front().h;
    case Fn::last_over_time:
      if (floats > 0 && window.floats.samples.back().t > points.back().t) return number(window.floats.samples.back().v);
      return points.back().h;
    case Fn::ts_of_first_over_time: {
      const std::int64_t t = floats > 0 ? std::min(window.floats.samples.front().t, points.front().t) : points.front().t;
      return number(static_cast<double>(t) / 1000);
    }
    case Fn::ts_of_last_over_time: {
      const std::int64_t t = floats > 0 ? std::max(window.floats.samples.back().t, points.back().t) : points.back().t;
      return number(static_cast<double>(t) / 1000);
    }
    case Fn::sum_over_time:
    case Fn::avg_over_time: {
      if (mixed()) return nullptr;
      auto sum = std::make_shared<NativeHistogram>(*points.front().h);
      bool reset = false, no_reset = false;
      for (const HistogramPoint& p : points) {
        reset |= p.h->reset == ResetHint::reset;
        no_reset |= p.h->reset == ResetHint::no_reset;
        if (&p != &points.front() && !add_noted(*sum, *p.h, 1, at, metric, "aggregation")) return nullptr;
      }
      if (reset && no_reset) warn(at, "conflicting counter resets during histogram aggregation");
      if (fn == Fn::avg_over_time) divide(*sum, static_cast<double>(points.size()));
      return sum;
    }
    case Fn::rate:
    case Fn::increase:
    case Fn::delta: {
      if (mixed() || points.size() < 2) return nullptr;
      const bool counter = fn != Fn::delta;
      auto out = rate_of(c, points, counter, metric);
      double factor = 0;
      if (!out || !extrapolation(points, out->count, window.floats, counter, fn == Fn::rate, factor))
        return nullptr;
      scale(*out, factor);
      return out;
    }
    case Fn::irate:
    case Fn::idelta: {
      const std::vector<Point> all = in_order(window.floats.samples, points);
      if (all.size() < 2) return nullptr;
      const Point& last = all[all.size() - 1];
      const Point& before = all[all.size() - 2];
      if (last.h == nullptr && before.h == nullptr) {
        is_float = evaluate_window(fn, window.floats, v);
        return nullptr;
      }
      if (last.h == nullptr || before.h == nullptr) {
        mixed();
        return nullptr;
      }
      const bool counter = fn == Fn::irate;
      const bool gauges = last.h->reset == ResetHint::gauge && before.h->reset == ResetHint::gauge;
      if (counter && (last.h->reset == ResetHint::gauge || before.h->reset == ResetHint::gauge))
        warn_gauges(at, metric, true);
      if (!counter && !gauges) warn_gauges(at, metric, false);
      auto out = std::make_shared<NativeHistogram>(*last.h);
      if ((!counter || !was_reset(*last.h, *before.h)) && !add_noted(*out, *before.h, -1, at, metric, "subtraction")) return nullptr;
      out->reset = ResetHint::gauge;
      if (counter) divide(*out, static_cast<double>(last.t - before.t) / 1000);
      return out;
    }
    default: return nullptr;
  }
}

Status Evaluator::mixed_range(const Call& c, const Grid& grid, const RangeSeries& series, const std::vector<Scalars>& scalars,
                              Column& out) {
  const Fn fn = c.function->id;
  const Timing& timing = timings_.at(&range_argument(c));
  const std::span<const Sample> samples = series.samples;
  const std::span<const HistogramPoint> histograms = series.histograms;
  std::size_t low = 0, high = 0, histogram_low = 0, histogram_high = 0;
  std::vector<std::size_t> resets;
  // Windows of floats alone are answered as those of a series that never had a histogram.
  const bool overlapping = slides(fn, grid, timing);
  Sliding sliding(fn, samples, timing.range);
  for (std::size_t i = 0; i < grid.count; ++i) {
    PLUMBLINE_CHECK_OK(tick());
    HistogramWindow window;
    Window& w = window.floats;
    w.range = timing.range;
    w.now = grid.at(i);
    w.end = timing.reference(w.now);
    const auto slide = [&](const auto& points, std::size_t& from, std::size_t& to) {
      while (to < points.size() && points[to].t <= w.end) ++to;
      while (from < to && points[from].t <= w.end - w.range) ++from;
    };
    slide(samples, low, high);
    slide(histograms, histogram_low, histogram_high);
    w.samples = samples.subspan(low, high - low);
    window.histograms = histograms.subspan(histogram_low, histogram_high - histogram_low);
    if (w.samples.empty() && window.histograms.empty()) continue;
    if (!scalars.empty()) w.p1 = scalars[0][i];
    if (scalars.size() > 1) w.p2 = scalars[1][i];
    double v = 0;
    if (window.histograms.empty()) {
      if (fn == Fn::rate || fn == Fn::increase) {
        resets = counter_resets(w.samples);
        w.resets = resets;
      }
      if ((overlapping && sliding.at(low, high, w.end, w.p1, v)) || evaluate_window(fn, w, v)) out.set(i, v);
      continue;
    }
    bool is_float = false;
    HistogramPtr h = window_value(c, window, series.labels.metric(), is_float, v);
    if (is_float)
      out.set(i, v);
    else if (h)
      out.set(i, std::move(h));
  }
  return {};
}

}  // namespace plumbline::query::promql
