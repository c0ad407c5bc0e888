#include "storage/series/window_stats.hpp"

#include <cmath>
#include <limits>

namespace plumbline::storage::series {

// NaN at an edge: the last number before it, which decides whether the next chunk begins with a reset, is not in the summary.
bool WindowStats::needs_samples(const ChunkInfo& chunk) {
  return chunk.summary.has_stale || std::isnan(chunk.summary.first) || std::isnan(chunk.summary.last);
}

void WindowStats::add_sum(double v) {
  const double total = sum_ + v;
  compensation_ += std::fabs(sum_) >= std::fabs(v) ? (sum_ - total) + v : (v - total) + sum_;
  sum_ = total;
}

void WindowStats::extend(std::int64_t t, double v) {
  if (count_ == 0) {
    first_t_ = t;
    first_ = v;
    min_ = max_ = std::numeric_limits<double>::quiet_NaN();
  }
  if (has_previous_ && v < previous_) reset_correction_ += previous_;
}

void WindowStats::add_summary(const ChunkInfo& chunk) {
  const ChunkSummary& s = chunk.summary;
  if (s.count == 0) return;
  extend(chunk.min_t, s.first);
  // NaN where every value is: a bucket of a tier may be so, and has no samples to look at.
  if (!std::isnan(s.min) && !(min_ <= s.min)) min_ = s.min;
  if (!std::isnan(s.max) && !(max_ >= s.max)) max_ = s.max;
  add_sum(s.sum);
  reset_correction_ += s.reset_correction;
  count_ += s.count;
  last_t_ = chunk.max_t;
  last_ = s.last;
  if (std::isnan(s.last)) return;
  previous_ = s.last;
  has_previous_ = true;
}

void WindowStats::add(std::int64_t t, double v) {
  if (model::is_stale(v)) return;
  extend(t, v);
  ++count_;
  last_t_ = t;
  last_ = v;
  add_sum(v);
  if (std::isnan(v)) return;
  if (!(min_ <= v)) min_ = v;
  if (!(max_ >= v)) max_ = v;
  previous_ = v;
  has_previous_ = true;
}

void WindowStats::add_samples(std::span<const model::Sample> samples) {
  for (const model::Sample& s : samples) add(s.t, s.v);
}

void WindowStats::add_samples(std::span<const std::int64_t> times, std::span<const double> values) {
  for (std::size_t i = 0; i < times.size(); ++i) add(times[i], values[i]);
}

double WindowStats::sum() const { return std::isfinite(sum_) ? sum_ + compensation_ : sum_; }

}  // namespace plumbline::storage::series
