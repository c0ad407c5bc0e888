// Exact aggregates of one series over one time window: what range functions over long windows need instead of the samples.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

#include "storage/model/sample.hpp"

namespace plumbline::model {

// Stale markers are not there. NaN is a value that min, max and the reset correction pass over, and that makes the sum NaN.
struct WindowSummary {
  std::uint64_t count = 0;  // of the others only when > 0
  std::int64_t first_t = 0;
  std::int64_t last_t = 0;
  double first = 0;
  double last = 0;
  double min = std::numeric_limits<double>::quiet_NaN();  // NaN when every value is
  double max = std::numeric_limits<double>::quiet_NaN();
  double sum = 0;               // compensated (Neumaier)
  double reset_correction = 0;  // what increase() adds to last - first: the value before each drop
};

// From the samples themselves, sorted by time; those outside the window are passed over.
inline WindowSummary summarize_window(std::span<const Sample> samples, TimeRange window) {
  WindowSummary out;
  double compensation = 0;
  double previous = std::numeric_limits<double>::quiet_NaN();
  for (const Sample& s : samples) {
    if (!window.contains(s.t) || is_stale(s.v)) continue;
    if (out.count++ == 0) {
      out.first = s.v;
      out.first_t = s.t;
    }
    out.last = s.v;
    out.last_t = s.t;
    const double total = out.sum + s.v;
    compensation += std::fabs(out.sum) >= std::fabs(s.v) ? (out.sum - total) + s.v : (s.v - total) + out.sum;
    out.sum = total;
    if (std::isnan(s.v)) continue;
    if (!(out.min <= s.v)) out.min = s.v;
    if (!(out.max >= s.v)) out.max = s.v;
    if (s.v < previous) out.reset_correction += previous;
    previous = s.v;
  }
  if (std::isfinite(out.sum)) out.sum += compensation;
  return out;
}

}  // namespace plumbline::model
