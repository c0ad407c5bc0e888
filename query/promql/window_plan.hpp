// Where the windows of a range selector lie among the samples of a series, and how far a rate is extrapolated in each of them. That
// depends on timestamps alone, which the series of one target share: it is found once for all of them. (Of 1,800 series of 50 targets
// three quarters of the time of rate() went into finding it for each.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "daemon/base/mutex.hpp"
#include "query/promql/value.hpp"
#include "storage/storage.hpp"

namespace plumbline::query::promql {

struct WindowPlan {
  // Of each window: it holds the samples [low, high).
  std::vector<std::uint32_t> low, high;
  // For rate, increase and delta, where there are at least two samples: what the difference is multiplied by, unless the series would
  // have been below zero where the window begins; and it is not below zero if its first value is more than this part of the difference.
  std::vector<double> factor, limit;
  // Windows of at least two samples, each `stride` samples after the one before: with steps as long as the interval it is one all through.
  struct Run {
    std::uint32_t window = 0, count = 0, stride = 0;
  };
  std::vector<Run> runs;
  std::vector<std::int64_t> times;  // of the samples
};

// Threads: any.
class WindowPlans {
 public:
  // Windows (end - range, end] for ends that do not descend; extrapolates: whether factors are wanted, and by the second or not.
  enum class Rate { none, per_window, per_second };
  WindowPlans(std::vector<std::int64_t> ends, std::int64_t range, Rate rate) : ends_(std::move(ends)), range_(range), rate_(rate) {}

  std::int64_t end(std::size_t window) const { return ends_[window]; }
  std::int64_t range() const { return range_; }
  // One entry per end. The times are sorted, fewer than 2^32, and not none.
  std::shared_ptr<const WindowPlan> of(std::span<const Sample> samples);
  std::shared_ptr<const WindowPlan> of(std::span<const storage::TimesPiece> pieces);

 private:
  // 24 MiB of windows and the plan that passes it. With 1,440 windows over as many samples those are the times of 480 targets. One window alone is
  // found faster than it is looked up, and longer times are those of few series.
  static constexpr std::size_t windows_kept_max = 1u << 20, samples_kept_max = 64u << 10;
  struct Known {
    std::shared_ptr<const WindowPlan> plan;
    std::vector<storage::TimesPiece> pieces;  // of which it was made, where all of them are held
  };
  std::shared_ptr<const WindowPlan> make(std::vector<std::int64_t> times) const;
  // The plan of `count` times from first to last: one that is known whose times are the `same`, or one that is made of times() and kept
  // with the pieces.
  template <class Same, class Times>
  std::shared_ptr<const WindowPlan> known_or_made(std::size_t count, std::int64_t first, std::int64_t last, const Same& same,
                                                  const Times& times, std::span<const storage::TimesPiece> pieces);

  const std::vector<std::int64_t> ends_;
  const std::int64_t range_;
  const Rate rate_;
  Mutex mutex_;
  std::unordered_map<std::uint64_t, std::shared_ptr<const Known>> known_ PLUMBLINE_GUARDED_BY(mutex_);
  std::size_t kept_ PLUMBLINE_GUARDED_BY(mutex_) = 0;
};

// rate, increase (of a counter) and delta of one series in all windows, to the last bit what extrapolate() says. `plan` is of its
// times. False when no window has two of them. Asks `tick` now and then, and fails as it does: a gauge taken for a counter has
// thousands of resets in each of thousands of windows.
Result<bool> planned_rates(std::span<const double> values, const WindowPlans& plans, const WindowPlan& plan, bool counter, bool per_second,
                           const std::function<Status()>& tick, Column& out);

}  // namespace plumbline::query::promql
