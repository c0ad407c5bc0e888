// Reading the series of selectors: in parts, on several threads, within the query's limits.
#include <algorithm>
#include <array>
#include <limits>

#include <fmt/format.h>

#include "daemon/base/text.hpp"
#include "query/promql/evaluator.hpp"
#include "query/promql/stopwatch.hpp"
#include "query/promql/workers.hpp"

namespace plumbline::query::promql {

namespace {

// Histograms as evaluation wants them; a stale marker has none.
std::vector<HistogramPoint> evaluable(std::span<const model::HistogramSample> histograms) {
  std::vector<HistogramPoint> out;
  out.reserve(histograms.size());
  for (const model::HistogramSample& s : histograms)
    out.push_back({s.t, s.h.is_stale() ? nullptr : std::make_shared<const NativeHistogram>(from_model(s.h))});
  return out;
}

// In samples.
std::size_t worth_of(const storage::SeriesPoints& points) {
  std::size_t worth = points.samples.size() + points.values.size();
  for (const model::HistogramSample& s : points.histograms) worth += model::samples_worth(s.h);
  return worth;
}

bool any_stale(const storage::SeriesPoints& points, std::span<const HistogramPoint> histograms) {
  return (points.stale_markers && (std::ranges::any_of(points.samples, model::is_stale, &Sample::v) ||
                                   std::ranges::any_of(points.values, model::is_stale))) ||
         std::ranges::any_of(histograms, [](const HistogramPoint& p) { return p.h == nullptr; });
}

template <class Visit>
void each_sample(const storage::SeriesPoints& points, const Visit& visit) {
  for (const Sample& s : points.samples) visit(s);
  std::size_t at = 0;
  for (const storage::TimesPiece& piece : points.times)
    for (const std::int64_t t : piece.times) visit({t, points.values[at++]});
}

}  // namespace

void Evaluator::note_gone(const model::Matchers& matchers, std::string_view how) {
  Lock lock(notes_mutex_);
  infos_.insert("PromQL info: of the time before " + format_rfc3339_ms(tiers_.samples_since) + " only downsampled samples are left, and " +
                selector_text(matchers) + " is read as " + std::string(how));
}

Status Evaluator::read(Source& source, bool apart, const SourceVisitor& visit) {
  if (source.range.min > source.range.max) return {};
  PLUMBLINE_CHECK_OK(tick());
  if (source.range.min < tiers_.samples_since)
    note_gone(source.matchers, "samples here: its windows or max_source_resolution are too short for buckets, or it has none");
  // Samples are counted here as they come, over all selectors of the query, for the error to be upstream's.
  const storage::SeriesQuery query{source.matchers, source.range, std::numeric_limits<std::uint64_t>::max(),
                                   context_.options.series_max, apart};
  const Stopwatch reading(context_, &QueryStats::read_s);
  struct Part {
    Status end;
    std::uint64_t series = 0, samples = 0;
  };
  std::array<Part, storage::parts_max> parts;
  const auto visit_one = [&](std::size_t part_number, Labels&& labels, const storage::SeriesPoints& points) {
    Part& part = parts[part_number];
    ++part.series;
    part.samples += worth_of(points);
    const std::uint64_t number = ++series_read_;
    if (number > context_.options.series_max)
      part.end = fail(Code::over_limit, fmt::format("query would read more than {} series", context_.options.series_max));
    else if (number % 256 == 0)
      part.end = tick();
    if (part.end) part.end = visit(part_number, std::move(labels), points);
    return part.end.has_value();
  };
  std::size_t cut = 1;  // no series match, and nothing is run: as Reader::parts_of counts them
  const storage::Runner run = [&](std::size_t count, const std::function<void(std::size_t)>& task) {
    cut = count;
    if (context_.options.workers) return context_.options.workers->run(count, task);
    for (std::size_t i = 0; i < count; ++i) task(i);
  };
  const Status read = context_.reader.select_parts(query, run, visit_one);
  source.parts = source.parts == 0 || source.parts == cut ? cut : parts_mixed;
  for (const Part& part : parts) {
    source.series_read += part.series;
    source.samples_read += part.samples;
  }
  for (const Part& part : parts) PLUMBLINE_CHECK_OK(part.end);
  return read;
}

Result<const std::vector<Evaluator::LoadedSeries>*> Evaluator::loaded(std::size_t index) {
  Source& source = sources_[index];
  if (!source.loaded) PLUMBLINE_CHECK_OK(read_source(source, nullptr));
  return &source.series;
}

Status Evaluator::read_source(Source& source, const Wanted& wanted) {
  source.loaded = true;
  std::array<std::vector<LoadedSeries>, storage::parts_max> parts;
  const auto keep = [&](std::size_t part, Labels&& labels, const storage::SeriesPoints& points) -> Status {
    if (wanted && !wanted(labels)) return {};
    PLUMBLINE_CHECK_OK(charge(worth_of(points)));
    LoadedSeries one{std::move(labels), {points.samples.begin(), points.samples.end()}, evaluable(points.histograms), false};
    one.stale = any_stale(points, one.histograms);
    parts[part].push_back(std::move(one));
    return {};
  };
  PLUMBLINE_CHECK_OK(read(source, false, keep));
  for (std::vector<LoadedSeries>& part : parts) std::ranges::move(part, std::back_inserter(source.series));
  std::ranges::sort(source.series, {}, &LoadedSeries::labels);
  return {};
}

Status Evaluator::read_columns(std::size_t index, bool keep_stale, bool apart, const ToColumn& to_column, const PartSink& sink) {
  struct Part {
    std::vector<Sample> kept;
    Column column;  // whoever folds it leaves its memory for the next series
  };
  std::array<Part, storage::parts_max> parts;
  const auto turn = [&](std::size_t part_number, Labels&& labels, const storage::SeriesPoints& points) -> Status {
    auto& [kept, column] = parts[part_number];
    // The samples of a series count while it is looked at.
    const std::size_t worth = worth_of(points);
    PLUMBLINE_CHECK_OK(charge(worth));
    std::vector<HistogramPoint> histograms = evaluable(points.histograms);
    const bool drop_stale = !keep_stale && any_stale(points, histograms);
    const bool as_they_are = !drop_stale && (histograms.empty() || points.values.empty());
    if (!as_they_are) {
      kept.clear();
      each_sample(points, [&](const Sample& s) {
        if (keep_stale || !model::is_stale(s.v)) kept.push_back(s);
      });
      if (drop_stale) std::erase_if(histograms, [](const HistogramPoint& p) { return p.h == nullptr; });
    }
    PLUMBLINE_TRY(const bool any, to_column(as_they_are ? RangeSeries{labels, points.samples, histograms, points.times, points.values}
                                                        : RangeSeries{labels, kept, histograms, {}, {}},
                                            column));
    release(worth);
    if (!any) return {};
    PLUMBLINE_CHECK_OK(charge(column.values.size()));
    column.labels = std::move(labels);
    return sink(part_number, std::move(column));
  };
  return read(sources_[index], apart, turn);
}

}  // namespace plumbline::query::promql
