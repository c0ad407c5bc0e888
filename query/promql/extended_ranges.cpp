// Selectors with `anchored` and `smoothed`: what a window starts and ends with comes from samples beside it,
// up to the lookback away, and nothing is extrapolated. `anchored` takes the last sample before the window;
// `smoothed` interpolates at both edges.
#include <algorithm>

#include <fmt/format.h>

#include "query/promql/evaluator.hpp"
#include "query/promql/range_functions.hpp"

namespace plumbline::query::promql {

using model::ResetHint;

struct Evaluator::ExtendedWindow {
  std::int64_t start = 0, end = 0;  // (start, end]
  std::int64_t from = 0, to = 0;    // (from, to]: with the lookback
  bool smoothed = false;
  std::span<const Sample> floats = {};  // inside (from, to]
  std::span<const HistogramPoint> histograms = {};
};

Status check_extended(const Call& c) {
  const Fn fn = c.function->id;
  for (const ExprPtr& a : c.arguments) {
    const Expr& argument = unwrap(*a);
    if (argument.kind != Kind::matrix) continue;
    const Extended extended = static_cast<const MatrixSelector&>(argument).selector->extended;
    if (extended == Extended::none) continue;
    const bool rate = fn == Fn::rate || fn == Fn::increase || fn == Fn::delta;
    const bool count = fn == Fn::changes || fn == Fn::resets;
    if (extended == Extended::smoothed && !rate)
      return execution_error(fmt::format(
          "smoothed modifier can only be used with: delta, increase, rate - not with {}", c.function->name));
    if (extended == Extended::anchored && !rate && !count)
      return execution_error(fmt::format(
          "anchored modifier can only be used with: changes, delta, increase, rate, resets - not with {}",
          c.function->name));
  }
  return {};
}

namespace {

// The samples that a window starts and ends with, as indexes.
struct Ends {
  std::size_t first = 0, last = 0;
};

// Nothing when all samples are beside the window. `points` is not empty.
template <class Point>
std::optional<Ends> ends_of(std::span<const Point> points, std::int64_t start, std::int64_t end,
                            bool smoothed) {
  const auto but_last = points.first(points.size() - 1);
  const auto after =
      static_cast<std::size_t>(std::ranges::upper_bound(but_last, start, {}, &Point::t) - but_last.begin());
  Ends ends{after == 0 ? 0 : after - 1, points.size() - 1};
  if (smoothed)
    ends.last =
        static_cast<std::size_t>(std::ranges::lower_bound(but_last, end, {}, &Point::t) - but_last.begin());
  if (points[ends.last].t <= start || (smoothed && points[ends.first].t > end)) return std::nullopt;
  return ends;
}

// On the line between two samples. A counter that went down began at zero.
double interpolate(const Sample& a, const Sample& b, std::int64_t t, bool counter) {
  const double from = counter && b.v < a.v ? 0 : a.v;
  return from + (b.v - from) * static_cast<double>(t - a.t) / static_cast<double>(b.t - a.t);
}

double left_of(std::span<const Sample> points, const Ends& ends, std::int64_t start, bool smoothed,
               bool counter) {
  if (!smoothed || points[ends.first].t >= start) return points[ends.first].v;
  return interpolate(points[ends.first], points[ends.first + 1], start, counter);
}
double right_of(std::span<const Sample> points, const Ends& ends, std::int64_t end, bool smoothed,
                bool counter) {
  if (!smoothed || ends.last == 0 || points[ends.last].t <= end) return points[ends.last].v;
  return interpolate(points[ends.last - 1], points[ends.last], end, counter);
}

// Those strictly between the edges.
std::span<const Sample> inside(std::span<const Sample> points, const Ends& ends, std::int64_t start,
                               std::int64_t end) {
  const std::size_t from = ends.first + (points[ends.first].t <= start ? 1 : 0);
  const std::size_t to = ends.last + (points[ends.last].t >= end ? 0 : 1);
  return from < to ? points.subspan(from, to - from) : std::span<const Sample>();
}

double seconds(std::int64_t ms) {
  return static_cast<double>(ms) / 1000;
}

// rate, increase, delta of floats. Nothing when no sample is inside.
std::optional<double> difference(std::span<const Sample> points, std::int64_t start, std::int64_t end,
                                 bool smoothed, bool counter) {
  const std::optional<Ends> ends = ends_of(points, start, end, smoothed);
  if (!ends) return std::nullopt;
  const double left = left_of(points, *ends, start, smoothed, counter),
               right = right_of(points, *ends, end, smoothed, counter);
  double out = right - left;
  if (!counter) return out;
  double before = left;
  for (const Sample& s : inside(points, *ends, start, end)) {
    if (s.v < before) out += before;
    before = s.v;
  }
  return right < before ? out + before : out;
}

// The samples after `start`, and the newest one up to it, be it a float or a histogram. False when there is
// none after it.
bool anchor(std::span<const Sample>& floats, std::span<const HistogramPoint>& histograms,
            std::int64_t start) {
  const auto after = [&](const auto& points) {
    return static_cast<std::size_t>(
        std::ranges::upper_bound(points, start, {}, [](const auto& p) { return p.t; }) - points.begin());
  };
  std::size_t f = after(floats), h = after(histograms);
  if (f == floats.size() && h == histograms.size()) return false;
  if (f > 0 && (h == 0 || floats[f - 1].t >= histograms[h - 1].t))
    --f;
  else if (h > 0)
    --h;
  floats = floats.subspan(f);
  histograms = histograms.subspan(h);
  return true;
}

}  // namespace

Evaluator::ExtendedWindow Evaluator::extended_window(const MatrixSelector& m, std::int64_t end) const {
  const Timing& timing = timings_.at(&m);
  const std::int64_t lookback = context_.options.lookback.count();
  ExtendedWindow w;
  w.smoothed = m.selector->extended == Extended::smoothed;
  w.end = end;
  w.start = end - timing.range;
  w.from = w.start - lookback;
  w.to = w.smoothed ? end + lookback : end;
  return w;
}

// Null when the two do not fit.
std::shared_ptr<NativeHistogram> Evaluator::interpolated(const HistogramPoint& before,
                                                         const HistogramPoint& after, std::int64_t t,
                                                         bool counter, const Expr& at,
                                                         std::string_view metric) {
  if (t == before.t) return std::make_shared<NativeHistogram>(*before.h);
  auto out = std::make_shared<NativeHistogram>(*after.h);
  if (t == after.t) return out;
  const double share = static_cast<double>(t - before.t) / static_cast<double>(after.t - before.t);
  if (counter && was_reset(*after.h, *before.h)) {
    scale(*out, share);
    return out;
  }
  if (!add_noted(*out, *before.h, -1, at, metric, "subtraction")) return nullptr;
  scale(*out, share);
  if (!add_noted(*out, *before.h, 1, at, metric, "addition")) return nullptr;
  // Still what the samples are: a difference alone would be a gauge.
  const ResetHint a = before.h->reset, b = after.h->reset;
  out->reset = a == b || b == ResetHint::gauge ? b : a == ResetHint::gauge ? a : ResetHint::unknown;
  return out;
}

// rate, increase, delta of histograms; null when there is no value.
HistogramPtr Evaluator::extended_rate(const Call& c, const ExtendedWindow& w, std::string_view metric) {
  const Expr& at = *c.arguments[0];
  const Fn fn = c.function->id;
  const bool counter = fn != Fn::delta;
  const std::span<const HistogramPoint> points = w.histograms;
  const std::optional<Ends> ends = ends_of(points, w.start, w.end, w.smoothed);
  if (!ends) return nullptr;
  for (const HistogramPoint& p : points.subspan(ends->first, ends->last - ends->first + 1)) {
    if (p.h->is_custom() != points[ends->first].h->is_custom()) {
      warn_schemas(at, metric);
      return nullptr;
    }
    if (counter && p.h->reset == ResetHint::gauge) warn_gauges(at, metric, true);
  }
  const bool cut_left = w.smoothed && points[ends->first].t < w.start;
  const bool cut_right = w.smoothed && ends->last > 0 && points[ends->last].t > w.end;
  const HistogramPtr left =
      cut_left ? interpolated(points[ends->first], points[ends->first + 1], w.start, counter, at, metric)
               : points[ends->first].h;
  const HistogramPtr right =
      cut_right ? interpolated(points[ends->last - 1], points[ends->last], w.end, counter, at, metric)
                : points[ends->last].h;
  if (!left || !right) return nullptr;
  if (!counter && (left->reset != ResetHint::gauge || right->reset != ResetHint::gauge))
    warn_gauges(at, metric, false);
  auto out = std::make_shared<NativeHistogram>(*right);
  if (!add_noted(*out, *left, -1, at, metric, "subtraction")) return nullptr;
  if (counter) {
    std::size_t next = ends->first + 1;
    HistogramPtr before = left;
    if (cut_left && was_reset(*points[next].h, *points[ends->first].h))
      before = points[next++].h;  // the left edge knows of it
    const auto add_reset = [&](const NativeHistogram& now) {
      return !was_reset(now, *before) || add_noted(*out, *before, 1, at, metric, "addition");
    };
    // The last sample is `right`, or `right` is on the way to it.
    if (next <= ends->last) {
      for (; next < ends->last; ++next) {
        if (!add_reset(*points[next].h)) return nullptr;
        before = points[next].h;
      }
      if (!add_reset(*right)) return nullptr;
    }
  }
  if (fn == Fn::rate) divide(*out, seconds(w.end - w.start));
  out->reset = ResetHint::gauge;
  return out;
}

Status Evaluator::extended_call(const Call& c, const MatrixSelector& m, const Grid& grid, const Sink& sink) {
  const Fn fn = c.function->id;
  const bool counter = fn == Fn::rate || fn == Fn::increase;
  const Timing& timing = timings_.at(&m);
  LabelIndex seen;
  return each_range(m, grid, [&](const RangeSeries& series) -> Status {
    Column column(series.labels.without(model::metric_name_label), grid.count);
    std::size_t low = 0, high = 0, histogram_low = 0, histogram_high = 0;
    bool any_float = false;
    for (std::size_t i = 0; i < grid.count; ++i) {
      if (i % 256 == 255) PLUMBLINE_CHECK_OK(tick());
      ExtendedWindow w = extended_window(m, timing.reference(grid.at(i)));
      const auto slide = [&](const auto& points, std::size_t& from, std::size_t& to) {
        while (to < points.size() && points[to].t <= w.to) ++to;
        while (from < to && points[from].t <= w.from) ++from;
        return points.subspan(from, to - from);
      };
      w.floats = slide(series.samples, low, high);
      w.histograms = slide(series.histograms, histogram_low, histogram_high);
      if (fn == Fn::changes || fn == Fn::resets) {
        if (!anchor(w.floats, w.histograms, w.start)) continue;
        column.set(i, fn == Fn::changes ? count_changes(w.floats, w.histograms)
                                        : count_resets(w.floats, w.histograms));
        continue;
      }
      if (!w.floats.empty() && !w.histograms.empty()) {
        warn_mix(*c.arguments[0], series.labels.metric());
      } else if (!w.histograms.empty()) {
        if (HistogramPtr h = extended_rate(c, w, series.labels.metric())) column.set(i, std::move(h));
      } else if (!w.floats.empty()) {
        const std::optional<double> v = difference(w.floats, w.start, w.end, w.smoothed, counter);
        if (!v) continue;
        column.set(i, fn == Fn::rate ? *v / seconds(timing.range) : *v);
        any_float = true;
      }
    }
    if (!column.any()) return {};
    if (!seen.try_emplace(column.labels, 0).second) return execution_error(std::string(same_labelset));
    if (counter && any_float) inform_counter(c, series.labels);
    PLUMBLINE_CHECK_OK(charge(grid.count));
    return sink(std::move(column));
  });
}

// A bare range vector: its samples, with one at each edge.
Status Evaluator::extended_samples(const MatrixSelector& m, const RangeSeries& series, std::int64_t end,
                                   MatrixSeries& out) const {
  const ExtendedWindow w = extended_window(m, end);
  const auto beside = [&](const auto& p) { return p.t <= w.from || p.t > w.to; };
  if (!std::ranges::all_of(series.histograms, beside))
    return execution_error(
        fmt::format("{} modifier is not supported with histograms", w.smoothed ? "smoothed" : "anchored"));
  std::vector<Sample> points;
  std::ranges::remove_copy_if(series.samples, std::back_inserter(points), beside);
  if (points.empty()) return {};
  const std::span<const Sample> all = points;
  const std::optional<Ends> ends = ends_of(all, w.start, w.end, w.smoothed);
  if (!ends) return {};
  out.samples.push_back({w.start, left_of(all, *ends, w.start, w.smoothed, false)});
  std::ranges::copy(inside(all, *ends, w.start, w.end), std::back_inserter(out.samples));
  out.samples.push_back({w.end, right_of(all, *ends, w.end, w.smoothed, false)});
  return {};
}

// An instant vector: between the samples around each step; the last one goes on, but nothing goes before the
// first.
Status Evaluator::smoothed_selector(const Selector& s, const Grid& grid, const Sink& sink) {
  const Timing& timing = timings_.at(&s);
  const std::int64_t lookback = context_.options.lookback.count();
  PLUMBLINE_TRY(const auto* read, loaded(timing.source));
  for (const LoadedSeries& series : *read) {
    PLUMBLINE_CHECK_OK(tick());
    std::vector<Sample> samples;
    std::ranges::copy_if(series.samples, std::back_inserter(samples),
                         [](const Sample& p) { return !model::is_stale(p.v); });
    std::vector<HistogramPoint> histograms;
    std::ranges::copy_if(series.histograms, std::back_inserter(histograms),
                         [](const HistogramPoint& p) { return p.h != nullptr; });
    Column column(series.labels, grid.count);
    const std::string_view metric = series.labels.metric();
    std::size_t low = 0, middle = 0, high = 0, histogram_low = 0, histogram_middle = 0, histogram_high = 0;
    for (std::size_t i = 0; i < grid.count; ++i) {
      const std::int64_t t = timing.reference(grid.at(i));
      // [from, at) is before t, [at, to) is not.
      const auto slide = [&](const auto& points, std::size_t& from, std::size_t& at, std::size_t& to) {
        while (to < points.size() && points[to].t <= t + lookback) ++to;
        while (from < to && points[from].t <= t - lookback) ++from;
        at = std::max(at, from);
        while (at < to && points[at].t < t) ++at;
      };
      slide(samples, low, middle, high);
      slide(histograms, histogram_low, histogram_middle, histogram_high);
      if (low < high && histogram_low < histogram_high) {
        warn_mix(s, metric);
      } else if (low < high) {
        if (middle < high && samples[middle].t == t)
          column.set(i, samples[middle].v);
        else if (middle > low)
          column.set(i, middle < high ? interpolate(samples[middle - 1], samples[middle], t, false)
                                      : samples[middle - 1].v);
      } else if (histogram_low < histogram_high) {
        const bool follows = histogram_middle < histogram_high;
        if (follows && histograms[histogram_middle].t == t) {
          column.set(i, histograms[histogram_middle].h);
        } else if (histogram_middle > histogram_low) {
          const HistogramPoint& before = histograms[histogram_middle - 1];
          if (!follows) {
            // What was known of resets was about the sample, not about its value.
            auto held = std::make_shared<NativeHistogram>(*before.h);
            held->reset = ResetHint::unknown;
            column.set(i, std::move(held));
            continue;
          }
          const HistogramPoint& after = histograms[histogram_middle];
          if (before.h->is_custom() != after.h->is_custom()) {
            warn_schemas(s, metric);
            continue;
          }
          const bool counter = before.h->reset != ResetHint::gauge || after.h->reset != ResetHint::gauge;
          if (HistogramPtr h = interpolated(before, after, t, counter, s, metric))
            column.set(i, std::move(h));
        }
      }
    }
    if (!column.any()) continue;
    count(column);
    PLUMBLINE_CHECK_OK(charge(grid.count));
    PLUMBLINE_CHECK_OK(sink(std::move(column)));
  }
  return {};
}

}  // namespace plumbline::query::promql
