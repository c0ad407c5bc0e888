// Function calls: range functions over windows, and functions of instant vectors.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>
#include <utility>

#include <fmt/format.h>

#include "daemon/base/check.hpp"
#include "query/promql/evaluator.hpp"
#include "query/promql/numbers.hpp"
#include "query/promql/range_functions.hpp"
#include "query/promql/sliding.hpp"

namespace plumbline::query::promql {

namespace {

double rounded(double v, double to) {
  const double inverse = 1 / to;  // dividing by it loses less than multiplying by `to`
  return std::floor(v * inverse + 0.5) / inverse;
}

// Calendar fields of Unix seconds in UTC; what is no time stays NaN.
double calendar(Fn fn, double t) {
  using namespace std::chrono;
  if (!(std::fabs(t) < 1e12)) return nan_value;  // year 33658
  const sys_seconds time{seconds(static_cast<std::int64_t>(t))};
  const sys_days day = floor<days>(time);
  const year_month_day date{day};
  const hh_mm_ss clock{time - day};
  switch (fn) {
    case Fn::day_of_month: return static_cast<double>(static_cast<unsigned>(date.day()));
    case Fn::day_of_week: return weekday(day).c_encoding();
    case Fn::day_of_year: return static_cast<double>((day - sys_days(date.year() / January / 1)).count() + 1);
    case Fn::days_in_month:
      return static_cast<double>(static_cast<unsigned>((date.year() / date.month() / last).day()));
    case Fn::hour: return static_cast<double>(clock.hours().count());
    case Fn::minute: return static_cast<double>(clock.minutes().count());
    case Fn::month: return static_cast<double>(static_cast<unsigned>(date.month()));
    default: return static_cast<int>(date.year());
  }
}

bool is_calendar(Fn fn) {
  switch (fn) {
    case Fn::day_of_month:
    case Fn::day_of_week:
    case Fn::day_of_year:
    case Fn::days_in_month:
    case Fn::hour:
    case Fn::minute:
    case Fn::month:
    case Fn::year: return true;
    default: return false;
  }
}

double math(Fn fn, double v) {
  switch (fn) {
    case Fn::abs: return std::fabs(v);
    case Fn::ceil: return std::ceil(v);
    case Fn::floor: return std::floor(v);
    case Fn::exp: return std::exp(v);
    case Fn::sqrt: return std::sqrt(v);
    case Fn::ln: return std::log(v);
    case Fn::log2: return std::log2(v);
    case Fn::log10: return std::log10(v);
    case Fn::sin: return std::sin(v);
    case Fn::cos: return std::cos(v);
    case Fn::tan: return std::tan(v);
    case Fn::asin: return std::asin(v);
    case Fn::acos: return std::acos(v);
    case Fn::atan: return std::atan(v);
    case Fn::sinh: return std::sinh(v);
    case Fn::cosh: return std::cosh(v);
    case Fn::tanh: return std::tanh(v);
    case Fn::asinh: return std::asinh(v);
    case Fn::acosh: return std::acosh(v);
    case Fn::atanh: return std::atanh(v);
    case Fn::rad: return v * std::numbers::pi / 180;
    case Fn::deg: return v * 180 / std::numbers::pi;
    case Fn::sgn: return v < 0 ? -1 : v > 0 ? 1 : v;
    default: return v;
  }
}

// The labels that absent() can know: those that one equality matcher alone speaks of.
Labels absent_labels(const Expr& e) {
  const Selector* s = e.kind == Kind::selector ? static_cast<const Selector*>(&e)
                      : e.kind == Kind::matrix ? static_cast<const MatrixSelector&>(e).selector.get()
                                               : nullptr;
  Labels out;
  if (s == nullptr) return out;
  std::set<std::string> seen;
  for (const model::Matcher& m : s->matchers) {
    if (m.name() == model::metric_name_label) continue;
    const bool first = m.op() == model::MatchOp::equal && seen.insert(m.name()).second;
    out = first ? out.with(m.name(), m.value()) : out.without(m.name());
  }
  return out;
}

}  // namespace

namespace {

bool is_rate(Fn fn) { return fn == Fn::rate || fn == Fn::increase || fn == Fn::delta; }

bool has_floats(const Column& column) { return std::ranges::find(column.present, std::uint8_t{1}) != column.present.end(); }

// What the sender knew is about its own samples, not about steps.
HistogramPtr without_reset_hint(const NativeHistogram& h) {
  auto out = std::make_shared<NativeHistogram>(h);
  if (out->reset != model::ResetHint::gauge) out->reset = model::ResetHint::unknown;
  return out;
}

}  // namespace

// -------------------------------------------------------------------------------------------------------- range vectors

const Expr& range_argument(const Call& c) {
  const auto range = std::ranges::find_if(c.arguments, [](const ExprPtr& a) { return type_of(*a) == Type::matrix; });
  PLUMBLINE_CHECK(range != c.arguments.end(), "the type check gives a range function a range vector");
  return unwrap(**range);
}

Status Evaluator::each_range(const Expr& e, const Grid& grid, const RangeSink& sink) {
  const Timing& timing = timings_.at(&e);
  if (e.kind == Kind::matrix) {
    std::vector<Sample> kept;
    std::vector<HistogramPoint> kept_histograms;
    PLUMBLINE_TRY(const auto* read, loaded(timing.source));
    for (const LoadedSeries& series : *read) {
      PLUMBLINE_CHECK_OK(tick());
      if (!series.stale) {
        count(timing, grid, {series.labels, series.samples, series.histograms});
        PLUMBLINE_CHECK_OK(sink({series.labels, series.samples, series.histograms}));
        continue;
      }
      kept.clear();
      std::ranges::copy_if(series.samples, std::back_inserter(kept), [](const Sample& s) { return !model::is_stale(s.v); });
      kept_histograms.clear();
      std::ranges::copy_if(series.histograms, std::back_inserter(kept_histograms), [](const HistogramPoint& p) { return p.h != nullptr; });
      count(timing, grid, {series.labels, kept, kept_histograms});
      PLUMBLINE_CHECK_OK(sink({series.labels, kept, kept_histograms}));
    }
    return {};
  }
  const Grid inner = subquery_grid(timing, grid);
  if (inner.count == 0) return {};
  // Steps alone, before any series: `x[10y:1ms]` must not get as far as allocating them.
  PLUMBLINE_CHECK_OK(charge(inner.count));
  release(inner.count);
  std::vector<Sample> samples;
  std::vector<HistogramPoint> histograms;
  std::vector<std::uint64_t>* const outer_steps = std::exchange(per_step_, nullptr);
  const Status done = each(*static_cast<const Subquery&>(e).inner, inner, [&](Column&& c) -> Status {
    samples.clear();
    histograms.clear();
    for (std::size_t i = 0; i < inner.count; ++i)
      if (c.present[i])
        samples.push_back({inner.at(i), c.values[i]});
      else if (const NativeHistogram* h = c.histogram(i))
        histograms.push_back({inner.at(i), without_reset_hint(*h)});
    release(c.values.size());
    per_step_ = outer_steps;
    count(timing, grid, {c.labels, samples, histograms});
    const Status taken = sink({c.labels, samples, histograms});
    per_step_ = nullptr;
    return taken;
  });
  per_step_ = outer_steps;
  return done;
}

Result<std::vector<Scalars>> Evaluator::range_scalars(const Call& c, const Grid& grid) {
  const Fn fn = c.function->id;
  std::vector<Scalars> scalars;
  for (const ExprPtr& a : c.arguments) {
    if (type_of(*a) == Type::matrix) continue;
    PLUMBLINE_TRY(Scalars s, scalar(*a, grid));
    scalars.push_back(std::move(s));
  }
  if (fn == Fn::quantile_over_time) {
    for (const double q : scalars[0])
      if (!(q >= 0 && q <= 1)) {
        warn(*c.arguments[0], fmt::format("quantile value should be between 0 and 1, got {}", format_float(q)));
        break;
      }
  }
  if (fn == Fn::double_exponential_smoothing)
    for (std::size_t i = 0; i < grid.count; ++i) {
      if (!(scalars[0][i] > 0 && scalars[0][i] < 1))
        return execution_error(fmt::format("invalid smoothing factor. Expected: 0 < sf < 1, got: {:f}", scalars[0][i]));
      if (!(scalars[1][i] > 0 && scalars[1][i] < 1))
        return execution_error(fmt::format("invalid trend factor. Expected: 0 < tf < 1, got: {:f}", scalars[1][i]));
    }
  return scalars;
}

bool Evaluator::in_parts(const Call& c, const Grid& grid) const {
  const Expr& range = range_argument(c);
  if (range.kind != Kind::matrix) return false;
  const auto& m = static_cast<const MatrixSelector&>(range);
  const Timing& timing = timings_.at(&range);
  const bool summaries = summary_argument(c) != nullptr && by_summaries(timing, grid, sources_[timing.source].loaded);
  return m.selector->extended == Extended::none && read_once(timing.source) && !summaries;
}

Status Evaluator::range_call_parts(const Call& c, const Grid& grid, const PartSink& sink) {
  PLUMBLINE_TRY(const std::vector<Scalars> scalars, range_scalars(c, grid));
  return range_parts(c, grid, scalars, sink);
}

Status Evaluator::range_parts(const Call& c, const Grid& grid, const std::vector<Scalars>& scalars, const PartSink& sink) {
  const Timing& timing = timings_.at(&range_argument(c));
  WindowPlans plans = plans_of(c, grid, timing);
  const auto to_column = [&](const RangeSeries& series, Column& out) {
    count(timing, grid, series);
    return range_column(c, grid, timing, scalars, plans, series, out);
  };
  // One window is found faster than it is looked up, and stats count samples as they are.
  const bool apart = is_rate(c.function->id) && grid.count > 1 && per_step_ == nullptr;
  return read_columns(timing.source, false, apart, to_column, sink);
}

Status Evaluator::range_call(const Call& c, const Grid& grid, const Sink& sink) {
  PLUMBLINE_TRY(const std::vector<Scalars> scalars, range_scalars(c, grid));
  const Expr& range = range_argument(c);
  if (range.kind == Kind::matrix)
    if (const auto& m = static_cast<const MatrixSelector&>(range); m.selector->extended != Extended::none)
      return extended_call(c, m, grid, sink);
  const Timing& timing = timings_.at(&range);
  if (const MatrixSelector* m = summary_argument(c); m != nullptr && by_summaries(timing, grid, sources_[timing.source].loaded)) {
    PLUMBLINE_TRY(const bool done, summary_call(c, *m, grid, sink));
    if (done) return {};
  }
  const Sink named = named_sink(c, sink);
  if (range.kind == Kind::matrix && read_once(timing.source))
    return by_labels([&](const PartSink& parts) { return range_parts(c, grid, scalars, parts); }, named);
  WindowPlans plans = plans_of(c, grid, timing);
  return each_range(range, grid, [&](const RangeSeries& series) -> Status {
    Column column;
    PLUMBLINE_TRY(const bool any, range_column(c, grid, timing, scalars, plans, series, column));
    if (!any) return {};
    PLUMBLINE_CHECK_OK(charge(grid.count));
    column.labels = series.labels;
    return named(std::move(column));
  });
}

Sink Evaluator::named_sink(const Call& c, const Sink& sink) {
  const PartSink named = named_parts(c, [sink](std::size_t, Column&& column) { return sink(std::move(column)); });
  return [named](Column&& column) { return named(0, std::move(column)); };
}

Evaluator::PartSink Evaluator::named_parts(const Call& c, const PartSink& sink) {
  const Fn fn = c.function->id;
  if (keeps_name(fn)) return sink;
  const Expr& range = range_argument(c);
  // Series of one metric stay distinct without its name.
  const bool one_metric = range.kind == Kind::matrix && static_cast<const MatrixSelector&>(range).selector->names_one_metric();
  const bool counter = fn == Fn::rate || fn == Fn::increase;
  struct Seen {
    std::array<std::string, storage::parts_max> informed;  // the metric that was looked at last in each part
    Mutex mutex;
    LabelIndex labels PLUMBLINE_GUARDED_BY(mutex);
  };
  return [this, &c, sink, counter, one_metric, seen = std::make_shared<Seen>()](std::size_t part, Column&& column) -> Status {
    std::string& informed = seen->informed[part];
    if (const std::string_view name = column.labels.metric(); counter && name != informed && (column.histograms.empty() || has_floats(column))) {
      informed = name;
      inform_counter(c, column.labels);
    }
    column.labels = std::move(column.labels).without(model::metric_name_label);
    if (!one_metric) {
      Lock lock(seen->mutex);
      if (!seen->labels.try_emplace(column.labels, 0).second) return execution_error(std::string(same_labelset));
    }
    return sink(part, std::move(column));
  };
}

std::vector<std::int64_t> Evaluator::Timing::references(const Grid& grid) const {
  std::vector<std::int64_t> out(grid.count);
  for (std::size_t i = 0; i < grid.count; ++i) out[i] = reference(grid.at(i));
  return out;
}

WindowPlans Evaluator::plans_of(const Call& c, const Grid& grid, const Timing& timing) {
  std::vector<std::int64_t> ends = timing.references(grid);
  switch (c.function->id) {
    case Fn::rate: return {std::move(ends), timing.range, WindowPlans::Rate::per_second};
    case Fn::increase:
    case Fn::delta: return {std::move(ends), timing.range, WindowPlans::Rate::per_window};
    default: return {std::move(ends), timing.range, WindowPlans::Rate::none};
  }
}

// Not by the number of steps: one step more of an answer that is known shall come out as it would with all others.
bool Evaluator::slides(Fn fn, const Grid& grid, const Timing& timing) const {
  const bool alone = context_.instant && grid.count == 1 && grid.step == 1;
  return !alone && timing.range >= 2 * grid.step && Sliding::supports(fn);
}

Result<bool> Evaluator::range_column(const Call& c, const Grid& grid, const Timing& timing, const std::vector<Scalars>& scalars,
                                     WindowPlans& plans, const RangeSeries& series, Column& out) {
  const Fn fn = c.function->id;
  out.reset(grid.count);
  if (!series.histograms.empty()) {
    PLUMBLINE_CHECK_OK(mixed_range(c, grid, series, scalars, out));
    return out.any();
  }
  const std::span<const Sample> samples = series.samples;
  if (samples.empty() && series.values.empty()) return false;
  const std::shared_ptr<const WindowPlan> plan = samples.empty() ? plans.of(series.times) : plans.of(samples);
  if (is_rate(fn)) {
    std::vector<double> own(samples.size());
    std::ranges::transform(samples, own.begin(), &Sample::v);
    const std::span<const double> values = samples.empty() ? series.values : own;
    return planned_rates(values, plans, *plan, fn != Fn::delta, fn == Fn::rate, [this] { return tick(); }, out);
  }
  const bool overlapping = slides(fn, grid, timing);
  Sliding sliding(fn, samples, timing.range);
  std::size_t looked_at = 0;  // samples since the last look at the clock: wide windows at many steps are hours in one series
  bool any = false;
  Window w;
  w.range = timing.range;
  for (std::size_t i = 0; i < grid.count; ++i) {
    const std::size_t low = plan->low[i], high = plan->high[i];
    if (low == high) continue;
    w.now = grid.at(i);
    w.end = plans.end(i);
    w.samples = samples.subspan(low, high - low);
    if (!scalars.empty()) w.p1 = scalars[0][i];
    if (scalars.size() > 1) w.p2 = scalars[1][i];
    double v = 0;
    if ((looked_at += w.samples.size()) > 1'000'000) {
      looked_at = 0;
      PLUMBLINE_CHECK_OK(tick());
    }
    if ((!overlapping || !sliding.at(low, high, w.end, w.p1, v)) && !evaluate_window(fn, w, v)) continue;
    out.set(i, v);
    any = true;
  }
  return any;
}

Result<Columns> Evaluator::absent(const Call& c, const Grid& grid) {
  const Expr& argument = unwrap(*c.arguments[0]);
  Column out(absent_labels(argument), grid.count);
  out.values.assign(grid.count, 1);
  out.present.assign(grid.count, 1);
  if (c.function->id == Fn::absent) {
    PLUMBLINE_CHECK_OK(each(argument, grid, [&](Column&& column) -> Status {
      for (std::size_t i = 0; i < grid.count; ++i)
        if (column.has(i)) out.present[i] = 0;
      release(column.values.size());
      return {};
    }));
  } else {
    const Timing& timing = timings_.at(&argument);
    PLUMBLINE_CHECK_OK(each_range(argument, grid, [&](const RangeSeries& series) -> Status {
      const auto there = [&](const auto& points) {
        std::size_t high = 0;
        for (std::size_t i = 0; i < grid.count; ++i) {
          const std::int64_t end = timing.reference(grid.at(i));
          while (high < points.size() && points[high].t <= end) ++high;
          if (high > 0 && points[high - 1].t > end - timing.range) out.present[i] = 0;
        }
      };
      there(series.samples);
      there(series.histograms);
      return {};
    }));
  }
  Columns columns;
  if (out.any()) {
    PLUMBLINE_CHECK_OK(charge(grid.count));
    columns.push_back(std::move(out));
  }
  return columns;
}

// ------------------------------------------------------------------------------------------------------ instant vectors

Status Evaluator::call(const Call& c, const Grid& grid, const Sink& sink) {
  const auto push = [&](Result<Columns> columns) { return hand_over(std::move(columns), sink); };
  const Fn fn = c.function->id;
  if (is_range_function(fn)) return range_call(c, grid, sink);
  switch (fn) {
    case Fn::absent:
    case Fn::absent_over_time: return push(absent(c, grid));
    case Fn::vector: {
      PLUMBLINE_TRY(Scalars v, scalar(*c.arguments[0], grid));
      PLUMBLINE_CHECK_OK(charge(grid.count));
      Column column(Labels{}, 0);
      column.values = std::move(v);
      column.present.assign(grid.count, 1);
      return sink(std::move(column));
    }
    case Fn::sort:
    case Fn::sort_desc:
    case Fn::sort_by_label:
    case Fn::sort_by_label_desc: return push(sort_call(c, grid));
    case Fn::label_replace: return push(label_replace(c, grid));
    case Fn::label_join: return push(label_join(c, grid));
    case Fn::histogram_quantile:
    case Fn::histogram_quantiles:
    case Fn::histogram_fraction: return push(histogram_call(c, grid));
    case Fn::info: return push(info(c, grid));
    case Fn::start_timestamp:
      return fail(Code::unsupported, "function \"start_timestamp\" is not supported: start timestamps are not stored");
    case Fn::histogram_avg:
    case Fn::histogram_count:
    case Fn::histogram_sum:
    case Fn::histogram_stddev:
    case Fn::histogram_stdvar: return push(histogram_number(c, grid));
    default: return push(math_call(c, grid));
  }
}

Result<Scalars> Evaluator::scalar_call(const Call& c, const Grid& grid) {
  const Fn fn = c.function->id;
  const Grid& query = context_.grid;
  const auto same = [&](double v) { return Scalars(grid.count, v); };
  switch (fn) {
    case Fn::pi: return same(std::numbers::pi);
    case Fn::start: return same(static_cast<double>(query.start) / 1000);
    case Fn::end: return same(static_cast<double>(context_.end) / 1000);
    case Fn::range: return same(static_cast<double>(context_.end - query.start) / 1000);
    case Fn::step: return same(context_.instant ? 0 : static_cast<double>(query.step) / 1000);
    case Fn::time: {
      Scalars out(grid.count);
      for (std::size_t i = 0; i < grid.count; ++i) out[i] = static_cast<double>(grid.at(i)) / 1000;
      return out;
    }
    case Fn::min_of:
    case Fn::max_of: {
      PLUMBLINE_TRY(Scalars l, scalar(*c.arguments[0], grid));
      PLUMBLINE_TRY(const Scalars r, scalar(*c.arguments[1], grid));
      for (std::size_t i = 0; i < grid.count; ++i) {
        if (std::isnan(l[i]) || std::isnan(r[i])) l[i] = nan_value;
        else l[i] = fn == Fn::min_of ? std::min(l[i], r[i]) : std::max(l[i], r[i]);
      }
      return l;
    }
    default: break;
  }
  // scalar(): the one element's value, NaN when there is not exactly one.
  Scalars out(grid.count, nan_value);
  std::vector<std::uint32_t> elements(grid.count);
  PLUMBLINE_CHECK_OK(each(*c.arguments[0], grid, [&](Column&& column) -> Status {
    for (std::size_t i = 0; i < grid.count; ++i)
      if (column.present[i]) out[i] = ++elements[i] == 1 ? column.values[i] : nan_value;
    release(column.values.size());
    return {};
  }));
  return out;
}

Result<Columns> Evaluator::math_call(const Call& c, const Grid& grid) {
  const Fn fn = c.function->id;
  Columns columns;
  if (c.arguments.empty()) {  // hour() and its kin: of the evaluation time
    PLUMBLINE_CHECK_OK(charge(grid.count));
    Column now(Labels{}, grid.count);
    for (std::size_t i = 0; i < grid.count; ++i) now.set(i, static_cast<double>(grid.at(i)) / 1000);
    columns.push_back(std::move(now));
  } else if (const Expr& argument = unwrap(*c.arguments[0]); fn == Fn::timestamp && argument.kind == Kind::selector) {
    PLUMBLINE_CHECK_OK(selector(static_cast<const Selector&>(argument), grid, true, [&](Column&& column) -> Status {
      columns.push_back(std::move(column));
      return {};
    }));
  } else {
    PLUMBLINE_TRY(columns, collect(argument, grid));
    if (fn == Fn::timestamp)
      for (Column& column : columns)
        for (std::size_t i = 0; i < grid.count; ++i) {
          column.present[i] = column.has(i);
          column.values[i] = static_cast<double>(grid.at(i)) / 1000;
        }
  }
  for (Column& column : columns) column.histograms.clear();  // passed over
  std::vector<Scalars> p;
  for (std::size_t i = 1; i < c.arguments.size(); ++i) {
    PLUMBLINE_TRY(Scalars s, scalar(*c.arguments[i], grid));
    p.push_back(std::move(s));
  }
  // Go's Min and Max: a NaN on either side wins.
  const auto lower_of = [](double a, double b) { return std::isnan(a) || std::isnan(b) ? nan_value : std::min(a, b); };
  const auto upper_of = [](double a, double b) { return std::isnan(a) || std::isnan(b) ? nan_value : std::max(a, b); };
  for (Column& column : columns) {
    column.labels = column.labels.without(model::metric_name_label);
    for (std::size_t i = 0; i < grid.count; ++i) {
      if (!column.present[i]) continue;
      double& v = column.values[i];
      switch (fn) {
        case Fn::timestamp: break;
        case Fn::round: v = rounded(v, p.empty() ? 1 : p[0][i]); break;
        case Fn::clamp_min: v = upper_of(p[0][i], v); break;
        case Fn::clamp_max: v = lower_of(p[0][i], v); break;
        case Fn::clamp:
          if (p[1][i] < p[0][i]) column.present[i] = 0;
          else v = upper_of(p[0][i], lower_of(p[1][i], v));
          break;
        default: v = is_calendar(fn) ? calendar(fn, v) : math(fn, v);
      }
    }
  }
  return merged(std::move(columns));
}

namespace {

// "disk10" after "disk9": digits compare as numbers.
bool natural_less(std::string_view a, std::string_view b) {
  std::size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (is_digit(a[i]) && is_digit(b[j])) {
      const auto run = [](std::string_view s, std::size_t& at) {
        while (at < s.size() && s[at] == '0') ++at;
        const std::size_t from = at;
        while (at < s.size() && is_digit(s[at])) ++at;
        return s.substr(from, at - from);
      };
      const std::string_view x = run(a, i), y = run(b, j);
      if (x.size() != y.size()) return x.size() < y.size();
      if (x != y) return x < y;
      continue;
    }
    if (a[i] != b[j]) return a[i] < b[j];
    ++i, ++j;
  }
  return a.size() - i < b.size() - j;
}

}  // namespace

Result<Columns> Evaluator::sort_call(const Call& c, const Grid& grid) {
  PLUMBLINE_TRY(Columns columns, collect(*c.arguments[0], grid));
  const Fn fn = c.function->id;
  if (fn == Fn::sort || fn == Fn::sort_desc)  // histograms have no order
    for (Column& column : columns) column.histograms.clear();
  if (!context_.instant || grid.count != 1) return columns;  // a range query's answer is sorted by labels
  std::erase_if(columns, [](const Column& column) { return !column.has(0); });
  if (fn == Fn::sort || fn == Fn::sort_desc) {
    std::ranges::sort(columns, [&](const Column& l, const Column& r) {
      const double a = l.values[0], b = r.values[0];
      if (std::isnan(a) != std::isnan(b)) return std::isnan(b);
      if (a == b || std::isnan(a)) return l.labels < r.labels;
      return fn == Fn::sort ? a < b : a > b;
    });
    return columns;
  }
  std::ranges::sort(columns, [&](const Column& l, const Column& r) {
    const Column& first = fn == Fn::sort_by_label ? l : r;
    const Column& second = fn == Fn::sort_by_label ? r : l;
    for (std::size_t i = 1; i < c.arguments.size(); ++i) {
      const std::string& name = string_of(*c.arguments[i]);
      const std::string_view a = first.labels.get(name), b = second.labels.get(name);
      if (natural_less(a, b) || natural_less(b, a)) return natural_less(a, b);
    }
    return first.labels < second.labels;
  });
  return columns;
}

}  // namespace plumbline::query::promql
