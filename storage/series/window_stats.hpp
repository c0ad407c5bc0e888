// Exact aggregation of one series over a time window, from chunk summaries where a chunk lies inside the window and from
// samples at its edges. Pieces come in time order and do not overlap.
#pragma once

#include <cstdint>
#include <span>

#include "storage/model/sample.hpp"
#include "storage/series/chunk_summary.hpp"
#include "storage/series/segment.hpp"

namespace plumbline::storage::series {

// As PromQL's range functions want it: stale markers are not there; NaN is a value that min, max and the reset correction
// pass over, and that makes the sum NaN. Threads: one.
class WindowStats {
 public:
  // Its summary does not say enough: where stale markers are, its values may begin and end at other times than the chunk.
  static bool needs_samples(const ChunkInfo& chunk);
  void add_summary(const ChunkInfo& chunk);  // not needs_samples()
  void add_samples(std::span<const model::Sample> samples);
  void add_samples(std::span<const std::int64_t> times, std::span<const double> values);

  std::uint64_t count() const { return count_; }  // of the others only when > 0
  std::int64_t first_t() const { return first_t_; }
  std::int64_t last_t() const { return last_t_; }
  double first() const { return first_; }
  double last() const { return last_; }
  double min() const { return min_; }  // NaN when every value is
  double max() const { return max_; }
  double sum() const;               // compensated
  double reset_correction() const { return reset_correction_; }

 private:
  void add_sum(double v);
  void add(std::int64_t t, double v);
  void extend(std::int64_t t, double v);  // the next value, before it is counted
  std::uint64_t count_ = 0;
  std::int64_t first_t_ = 0;
  std::int64_t last_t_ = 0;
  double first_ = 0;
  double last_ = 0;
  double min_ = 0;
  double max_ = 0;
  double sum_ = 0;
  double compensation_ = 0;
  double reset_correction_ = 0;
  double previous_ = 0;  // the last value that is not NaN
  bool has_previous_ = false;
};

}  // namespace plumbline::storage::series
