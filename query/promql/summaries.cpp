// Range functions over windows of hours and more, from the store's window summaries instead of samples: a month of a series
// is some hundred summaries. Same answers: what a summary cannot tell exactly (NaN values) is read as samples after all. And, where a query
// asks for downsampled samples, over windows of some of their buckets: there a summary is what there is.
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "daemon/base/text.hpp"
#include "query/promql/evaluator.hpp"
#include "query/promql/range_functions.hpp"
#include "query/promql/stopwatch.hpp"

namespace plumbline::query::promql {

namespace {

// About the time that one chunk spans at the usual interval, and what decoding its samples costs in summaries looked at.
constexpr std::int64_t chunk_ms = 2 * 3'600'000;
constexpr std::int64_t interval_ms = 15'000;
constexpr std::int64_t samples_per_look = 4;
// Of downsampled samples, the longest first. A window of fewer than two buckets would be one of none and then one of two.
constexpr std::array<std::int64_t, 2> resolutions_ms{3'600'000, 300'000};
constexpr std::int64_t buckets_min = 2;
constexpr std::int64_t buckets_auto = 5;

// False: no value at this step.
bool evaluate_summary(Fn fn, const model::WindowSummary& s, std::int64_t end, std::int64_t range, double& out) {
  const Edges edges{{s.first_t, s.first}, {s.last_t, s.last}, s.count};
  switch (fn) {
    case Fn::rate:
    case Fn::increase: return extrapolate(edges, s.last - s.first + s.reset_correction, end, range, true, fn == Fn::rate, out);
    case Fn::delta: return extrapolate(edges, s.last - s.first, end, range, false, false, out);
    case Fn::sum_over_time: out = s.sum; return true;
    case Fn::avg_over_time: out = s.sum / static_cast<double>(s.count); return true;
    case Fn::min_over_time: out = s.min; return true;
    case Fn::max_over_time: out = s.max; return true;
    case Fn::count_over_time: out = static_cast<double>(s.count); return true;
    case Fn::present_over_time: out = 1; return true;
    case Fn::first_over_time: out = s.first; return true;
    case Fn::last_over_time: out = s.last; return true;
    default: return false;
  }
}

}  // namespace

const MatrixSelector* Evaluator::summary_argument(const Call& c) const {
  if (!summarizable(c.function->id)) return nullptr;
  const Expr& argument = unwrap(*c.arguments[0]);
  if (argument.kind != Kind::matrix) return nullptr;
  // `anchored` and `smoothed` look at samples outside the window.
  const auto& m = static_cast<const MatrixSelector&>(argument);
  return m.selector->extended == Extended::none ? &m : nullptr;
}

// Looking at summaries costs steps x chunks of a window, reading samples costs the samples of all windows together.
bool Evaluator::summaries_pay(std::int64_t range, std::size_t steps, std::int64_t span) {
  if (range < summarized_ms_min) return false;
  const auto looks = static_cast<std::int64_t>(steps) * (range / chunk_ms + 2);
  return looks * samples_per_look < (range + span) / interval_ms;
}

std::int64_t Evaluator::resolution(std::int64_t range) const {
  if (!tiers_.any) return 0;
  const std::int64_t asked = context_.options.resolution_max.count();
  const std::int64_t most = asked < 0 ? range / buckets_auto : asked;
  for (const std::int64_t resolution : resolutions_ms)
    if (resolution <= most && range >= buckets_min * resolution) return resolution;
  return 0;
}

bool Evaluator::by_summaries(const Timing& timing, const Grid& grid, bool loaded) const {
  if (resolution(timing.range) > 0) return true;
  return !loaded && summaries_pay(timing.range, grid.count, grid.last() - grid.start);
}

// The answer is false when some window needs its samples: then nothing was handed to the sink.
Result<bool> Evaluator::summary_call(const Call& c, const MatrixSelector& m, const Grid& grid, const Sink& sink) {
  const Fn fn = c.function->id;
  const Timing& timing = timings_.at(&m);
  // A window and its answer take as much as six points.
  struct Held {
    Evaluator& evaluator;
    const std::size_t points;
    ~Held() { evaluator.release(points); }
  } held{*this, 6 * grid.count};
  PLUMBLINE_CHECK_OK(charge(held.points));
  std::vector<model::TimeRange> windows;
  windows.reserve(grid.count);
  for (std::size_t i = 0; i < grid.count; ++i) {
    const std::int64_t end = timing.reference(grid.at(i));
    windows.push_back({end - timing.range + 1, end});
  }
  storage::SeriesQuery query;
  query.matchers = m.selector->matchers;
  query.series_max = context_.options.series_max;
  query.resolution_max = resolution(timing.range);
  Columns columns;
  std::uint64_t series = 0, looked_at = 0;
  std::vector<std::uint64_t> counts(per_step_ != nullptr ? grid.count : 0);
  std::optional<Stopwatch> reading;
  reading.emplace(context_, &QueryStats::read_s);
  Status inside;
  bool exact = true;
  const Result<bool> read = context_.reader.windows(query, windows, [&](const Labels& labels, std::span<const model::WindowSummary> summaries) {
    inside = charge(grid.count);
    if (!inside) return false;
    Column column(labels, grid.count);
    for (std::size_t i = 0; i < grid.count; ++i) {
      const model::WindowSummary& s = summaries[i];
      if (s.count == 0) continue;
      if (!counts.empty()) counts[i] += s.count;
      // A NaN among the values, or an overflow: their order and rounding matter, and the summary does not have it.
      if (!std::isfinite(s.sum) && query.resolution_max == 0) exact = false;
      double v = 0;
      if (evaluate_summary(fn, s, windows[i].max, timing.range, v)) column.set(i, v);
    }
    if (!exact || !column.any()) release(grid.count);
    if (!exact) return false;
    ++series;
    if (column.any()) columns.push_back(std::move(column));
    if ((looked_at += grid.count + 256) > 256 * 1024) {
      looked_at = 0;
      inside = tick();
    }
    return inside.has_value();
  });
  reading.reset();  // what the sink does is not reading
  PLUMBLINE_CHECK_OK(inside);
  PLUMBLINE_TRY(const bool floats_only, read);
  if (!exact || !floats_only) {
    release(columns);
    return false;
  }
  if (query.resolution_max > 0 && windows.front().min < tiers_.samples_since)
    note_gone(query.matchers, "those of at most " + format_duration_ms(query.resolution_max) + " here");
  count(counts);
  if (context_.stats != nullptr)
    context_.stats->selectors.push_back({selector_text(query.matchers), {windows.front().min, windows.back().max}, series, 0, true});
  std::ranges::sort(columns, {}, &Column::labels);
  const Sink named = named_sink(c, sink);
  for (Column& column : columns) PLUMBLINE_CHECK_OK(named(std::move(column)));
  return true;
}

}  // namespace plumbline::query::promql
