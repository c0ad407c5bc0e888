// Functions of a range vector: from the samples of one window to one value.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "query/promql/functions.hpp"
#include "query/promql/value.hpp"

namespace plumbline::query::promql {

struct Window {
  std::span<const Sample> samples;  // inside (end - range, end], no stale markers; never empty
  std::int64_t end = 0;             // evaluation time after @ and offset
  std::int64_t range = 0;
  std::int64_t now = 0;             // evaluation time
  double p1 = 0, p2 = 0;            // scalar arguments in order
  // Indexes into `samples` where a counter went down; filled for rate and increase only.
  std::span<const std::size_t> resets;
};

// The first and the last sample of a window, and how many there are.
struct Edges {
  Sample first, last;
  std::size_t count = 0;
};
// How a window's samples lie in it, in seconds: from first to last, and to the window's edges as far as is extrapolated.
struct Extent {
  double sampled = 0, to_start = 0, to_end = 0;
};
// An edge further away than 1.1 average distances gets half a distance only, since the series probably starts or ends inside.
inline Extent extent_of(std::int64_t first, std::int64_t last, std::size_t count, std::int64_t end, std::int64_t range) {
  const auto seconds = [](std::int64_t ms) { return static_cast<double>(ms) / 1000; };
  Extent out{seconds(last - first), seconds(first - (end - range)), seconds(end - last)};
  const double average = out.sampled / static_cast<double>(count - 1);
  const double threshold = average * 1.1;
  if (out.to_start >= threshold) out.to_start = average / 2;
  if (out.to_end >= threshold) out.to_end = average / 2;
  return out;
}

inline double factor_of(const Extent& extent, std::int64_t range, bool per_second) {
  const double factor = (extent.sampled + extent.to_start + extent.to_end) / extent.sampled;
  return per_second ? factor / (static_cast<double>(range) / 1000) : factor;
}
// rate, increase, delta: the difference between first and last sample (`result`, resets added), extrapolated to the window's
// edges. False with fewer than two samples.
bool extrapolate(const Edges& samples, double result, std::int64_t end, std::int64_t range, bool counter, bool per_second,
                 double& out);
// Whether a counter's name ends as its kind should: _total, _sum, _count, _bucket.
bool ends_like_counter(std::string_view name);

// Whether fn takes a range vector and yields one value per series and window.
bool is_range_function(Fn fn);
// Windows shorter than this are never answered from the store's summaries.
inline constexpr std::int64_t summarized_ms_min = 4 * 3'600'000;
// Whether summaries of windows may say it.
bool summarizable(Fn fn);
// first_over_time and last_over_time keep the metric's name.
bool keeps_name(Fn fn);
// False: no value at this step.
bool evaluate_window(Fn fn, const Window& window, double& out);
// changes() and resets() where a value may be a histogram: one kind after the other is both.
double count_changes(std::span<const Sample> floats, std::span<const HistogramPoint> histograms);
double count_resets(std::span<const Sample> floats, std::span<const HistogramPoint> histograms);
// Indexes i with values[i] < values[i - 1].
std::vector<std::size_t> counter_resets(std::span<const double> values);
std::vector<std::size_t> counter_resets(std::span<const Sample> samples);

}  // namespace plumbline::query::promql
