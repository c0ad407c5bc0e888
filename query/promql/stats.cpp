// What a query did: counted as Prometheus counts for its `stats`, so that dashboards of query cost mean the same here.
#include <algorithm>
#include <utility>

#include "query/promql/evaluator.hpp"

namespace plumbline::query::promql {

namespace {

// In samples that take as much memory, as model::samples_worth(); a stale marker is none.
std::uint64_t worth(const NativeHistogram* h) {
  if (h == nullptr) return 0;
  return (sizeof(model::HistogramSample) + 8 * (h->positive.size() + h->negative.size() + h->bounds.size())) / sizeof(Sample);
}

}  // namespace

std::string selector_text(const model::Matchers& matchers) {
  std::string out = "{";
  for (const model::Matcher& m : matchers) out += (out.size() > 1 ? "," : "") + m.str();
  return out + "}";
}

void Evaluator::count(const Column& column) {
  if (per_step_ == nullptr) return;
  Lock lock(notes_mutex_);  // series are looked at on several threads
  for (std::size_t i = 0; i < std::min(per_step_->size(), column.values.size()); ++i)
    (*per_step_)[i] += column.present[i] ? 1 : worth(column.histogram(i));
}

// Two ends that only move on: the windows of the steps are in order.
void Evaluator::count(const Timing& timing, const Grid& grid, const RangeSeries& series) {
  if (per_step_ == nullptr) return;
  Lock lock(notes_mutex_);  // as above
  std::size_t from = 0, to = 0, histograms_from = 0, histograms_to = 0;
  std::uint64_t histograms_worth = 0;
  const std::span<const HistogramPoint> histograms = series.histograms;
  for (std::size_t i = 0; i < std::min(per_step_->size(), grid.count); ++i) {
    const std::int64_t end = timing.reference(grid.at(i)), begin = end - timing.range;
    while (to < series.samples.size() && series.samples[to].t <= end) ++to;
    while (from < to && series.samples[from].t <= begin) ++from;
    for (; histograms_to < histograms.size() && histograms[histograms_to].t <= end; ++histograms_to)
      histograms_worth += worth(histograms[histograms_to].h.get());
    for (; histograms_from < histograms_to && histograms[histograms_from].t <= begin; ++histograms_from)
      histograms_worth -= worth(histograms[histograms_from].h.get());
    (*per_step_)[i] += to - from + histograms_worth;
  }
}

void Evaluator::count(const std::vector<std::uint64_t>& per_step) {
  if (per_step_ == nullptr) return;
  for (std::size_t i = 0; i < std::min(per_step_->size(), per_step.size()); ++i) (*per_step_)[i] += per_step[i];
}

Status Evaluator::counted_once(const Grid& grid, const std::function<Status()>& run) {
  if (per_step_ == nullptr) return run();
  std::vector<std::uint64_t> once(1);
  std::vector<std::uint64_t>* const all = std::exchange(per_step_, &once);
  const Status done = run();
  per_step_ = all;
  count(std::vector<std::uint64_t>(grid.count, once[0]));
  return done;
}

void Evaluator::tell_stats(Steady began) {
  QueryStats& stats = *context_.stats;
  stats.peak = peak_;
  for (const std::uint64_t n : stats.samples_per_step) stats.samples += n;
  for (const Source& source : sources_) {
    if (source.series_read == 0 && !source.loaded) continue;
    stats.selectors.push_back({selector_text(source.matchers), source.range, source.series_read, source.samples_read, false});
  }
  stats.total_s += std::chrono::duration<double>(context_.clock.steady() - began).count();
}

}  // namespace plumbline::query::promql
