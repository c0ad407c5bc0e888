#include "query/promql/range_functions.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include "query/promql/numbers.hpp"

namespace plumbline::query::promql {

namespace {

double seconds(std::int64_t ms) { return static_cast<double>(ms) / 1000; }

bool extrapolated(const Window& w, bool counter, bool per_second, double& out) {
  const auto s = w.samples;
  double result = s.back().v - s.front().v;
  if (counter)
    for (const std::size_t i : w.resets) result += s[i - 1].v;
  return extrapolate({s.front(), s.back(), s.size()}, result, w.end, w.range, counter, per_second, out);
}

bool instant(const Window& w, bool per_second, double& out) {
  const auto s = w.samples;
  if (s.size() < 2) return false;
  const Sample& last = s[s.size() - 1];
  const Sample& before = s[s.size() - 2];
  out = per_second && last.v < before.v ? last.v : last.v - before.v;
  const std::int64_t interval = last.t - before.t;
  if (interval == 0) return false;
  if (per_second) out /= seconds(interval);
  return true;
}

struct Line {
  double slope = 0, intercept = 0;
};
// Least squares over seconds relative to `zero`.
Line regression(std::span<const Sample> s, std::int64_t zero) {
  KahanSum x_sum, y_sum, xy_sum, xx_sum;
  bool constant = true;
  for (const Sample& p : s) {
    if (p.v != s[0].v) constant = false;
    const double x = seconds(p.t - zero);
    x_sum.add(x);
    y_sum.add(p.v);
    xy_sum.add(x * p.v);
    xx_sum.add(x * x);
  }
  if (constant) return std::isinf(s[0].v) ? Line{nan_value, nan_value} : Line{0, s[0].v};
  const auto n = static_cast<double>(s.size());
  const auto total = [](const KahanSum& k) { return k.sum + k.lost; };
  const double x = total(x_sum), y = total(y_sum);
  const double covariance = total(xy_sum) - x * y / n;
  const double variance = total(xx_sum) - x * x / n;
  const double slope = covariance / variance;
  return {slope, y / n - slope * x / n};
}

double variance(std::span<const Sample> s) {
  double count = 0;
  KahanSum mean, aux;
  for (const Sample& p : s) {
    count += 1;
    const double delta = p.v - (mean.sum + mean.lost);
    mean.add(delta / count);
    aux.add(delta * (p.v - (mean.sum + mean.lost)));
  }
  return (aux.sum + aux.lost) / count;
}

// Holt's linear trend method with smoothing factor p1 and trend factor p2.
bool smoothed(const Window& w, double& out) {
  const auto s = w.samples;
  if (s.size() < 2) return false;
  double before = 0, level = s[0].v, trend = s[1].v - s[0].v;
  for (std::size_t i = 1; i < s.size(); ++i) {
    const double x = w.p1 * s[i].v;
    if (i > 1) trend = w.p2 * (level - before) + (1 - w.p2) * trend;
    const double y = (1 - w.p1) * (level + trend);
    before = level;
    level = x + y;
  }
  out = level;
  return true;
}

std::vector<double> values_of(std::span<const Sample> s) {
  std::vector<double> v;
  v.reserve(s.size());
  for (const Sample& p : s) v.push_back(p.v);
  return v;
}

// The sample that no other one beats; of equals the first (min, max) or the last (their timestamps).
template <class Beats>
const Sample& best(std::span<const Sample> s, Beats beats) {
  const Sample* found = &s[0];
  for (const Sample& p : s.subspan(1))
    if (beats(p.v, found->v) || std::isnan(found->v)) found = &p;
  return *found;
}

}  // namespace

bool extrapolate(const Edges& s, double result, std::int64_t end, std::int64_t range, bool counter, bool per_second,
                 double& out) {
  if (s.count < 2) return false;
  Extent extent = extent_of(s.first.t, s.last.t, s.count, end, range);
  // A counter is never negative: extrapolation stops where it would cross zero.
  if (counter && result > 0 && s.first.v >= 0)
    extent.to_start = std::min(extent.to_start, extent.sampled * (s.first.v / result));
  out = result * factor_of(extent, range, per_second);
  return true;
}

bool is_range_function(Fn fn) {
  switch (fn) {
    case Fn::avg_over_time:
    case Fn::changes:
    case Fn::count_over_time:
    case Fn::delta:
    case Fn::deriv:
    case Fn::double_exponential_smoothing:
    case Fn::first_over_time:
    case Fn::idelta:
    case Fn::increase:
    case Fn::irate:
    case Fn::last_over_time:
    case Fn::mad_over_time:
    case Fn::max_over_time:
    case Fn::min_over_time:
    case Fn::predict_linear:
    case Fn::present_over_time:
    case Fn::quantile_over_time:
    case Fn::rate:
    case Fn::resets:
    case Fn::stddev_over_time:
    case Fn::stdvar_over_time:
    case Fn::sum_over_time:
    case Fn::ts_of_first_over_time:
    case Fn::ts_of_last_over_time:
    case Fn::ts_of_max_over_time:
    case Fn::ts_of_min_over_time: return true;
    default: return false;
  }
}

bool summarizable(Fn fn) {
  switch (fn) {
    case Fn::rate:
    case Fn::increase:
    case Fn::delta:
    case Fn::sum_over_time:
    case Fn::avg_over_time:
    case Fn::min_over_time:
    case Fn::max_over_time:
    case Fn::count_over_time:
    case Fn::present_over_time:
    case Fn::first_over_time:
    case Fn::last_over_time: return true;
    default: return false;
  }
}

bool keeps_name(Fn fn) { return fn == Fn::first_over_time || fn == Fn::last_over_time; }

namespace {

template <class Range, class Value>
std::vector<std::size_t> falls(const Range& range, const Value& value) {
  std::vector<std::size_t> out;
  for (std::size_t i = 1; i < range.size(); ++i)
    if (value(range[i]) < value(range[i - 1])) out.push_back(i);
  return out;
}

}  // namespace

std::vector<std::size_t> counter_resets(std::span<const double> values) { return falls(values, std::identity()); }
std::vector<std::size_t> counter_resets(std::span<const Sample> samples) {
  return falls(samples, [](const Sample& s) { return s.v; });
}

bool ends_like_counter(std::string_view name) {
  return name.ends_with("_total") || name.ends_with("_sum") || name.ends_with("_count") || name.ends_with("_bucket");
}

bool evaluate_window(Fn fn, const Window& w, double& out) {
  const auto s = w.samples;
  switch (fn) {
    case Fn::rate: return extrapolated(w, true, true, out);
    case Fn::increase: return extrapolated(w, true, false, out);
    case Fn::delta: return extrapolated(w, false, false, out);
    case Fn::irate: return instant(w, true, out);
    case Fn::idelta: return instant(w, false, out);
    case Fn::deriv:
      if (s.size() < 2) return false;
      out = regression(s, s[0].t).slope;
      return true;
    case Fn::predict_linear: {
      if (s.size() < 2) return false;
      const Line line = regression(s, w.now);
      out = line.slope * w.p1 + line.intercept;
      return true;
    }
    case Fn::double_exponential_smoothing: return smoothed(w, out);
    case Fn::sum_over_time: {
      KahanSum sum;
      for (const Sample& p : s) sum.add(p.v);
      out = sum.total();
      return true;
    }
    case Fn::avg_over_time: {
      KahanMean mean;
      for (const Sample& p : s) mean.add(p.v);
      out = mean.value();
      return true;
    }
    case Fn::count_over_time: out = static_cast<double>(s.size()); return true;
    case Fn::present_over_time: out = 1; return true;
    case Fn::first_over_time: out = s.front().v; return true;
    case Fn::last_over_time: out = s.back().v; return true;
    case Fn::min_over_time: out = best(s, [](double a, double b) { return a < b; }).v; return true;
    case Fn::max_over_time: out = best(s, [](double a, double b) { return a > b; }).v; return true;
    case Fn::ts_of_first_over_time: out = seconds(s.front().t); return true;
    case Fn::ts_of_last_over_time: out = seconds(s.back().t); return true;
    case Fn::ts_of_min_over_time: out = seconds(best(s, [](double a, double b) { return a <= b; }).t); return true;
    case Fn::ts_of_max_over_time: out = seconds(best(s, [](double a, double b) { return a >= b; }).t); return true;
    case Fn::stdvar_over_time: out = variance(s); return true;
    case Fn::stddev_over_time: out = std::sqrt(variance(s)); return true;
    case Fn::quantile_over_time: {
      std::vector<double> v = values_of(s);
      out = quantile_of(w.p1, v);
      return true;
    }
    case Fn::mad_over_time: {
      std::vector<double> v = values_of(s);
      const double median = quantile_of(0.5, v);
      for (double& x : v) x = std::fabs(x - median);
      out = quantile_of(0.5, v);
      return true;
    }
    case Fn::changes: {
      int n = 0;
      for (std::size_t i = 1; i < s.size(); ++i)
        n += s[i].v != s[i - 1].v && !(std::isnan(s[i].v) && std::isnan(s[i - 1].v));
      out = n;
      return true;
    }
    case Fn::resets: {
      int n = 0;
      for (std::size_t i = 1; i < s.size(); ++i) n += s[i].v < s[i - 1].v;
      out = n;
      return true;
    }
    default: return false;
  }
}

}  // namespace plumbline::query::promql
