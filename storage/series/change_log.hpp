// Since when which times may have changed, metric by metric: who has kept an answer asks whether it still holds.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "daemon/base/mutex.hpp"

namespace plumbline::storage::series {

// Metrics share 256 entries of a table by a hash of their names: one may be told of another's changes, and never misses its own.
// Threads: any. Blocks: never for long. Holds at most 1.2 MB.
class ChangeLog {
 public:
  // Samples at or after t have come, changed or gone, and readers see it: of any metric, or of this one alone.
  void note(std::int64_t t);
  void note(std::string_view metric, std::int64_t t);
  // Reads that begin now see everything that was noted before this moment.
  std::uint64_t moment() const;
  // The earliest time that was noted after it for the metric, or somewhat earlier: rounded down by less than a second, and by more the
  // longer ago it was. The largest number when nothing was noted.
  std::int64_t since(std::uint64_t moment, std::string_view metric) const;

 private:
  struct Entry {
    std::uint64_t moment = 0;
    std::int64_t t = 0;
  };
  // Moments and times both ascend: what was noted before an earlier time says nothing more. By whole seconds, so that an hour of usual
  // traffic is 3,600 entries, however many requests it comes in.
  struct Timeline {
    std::vector<Entry> entries;
    void note(Entry entry, std::size_t entries_max);
    std::int64_t since(std::uint64_t moment) const;
  };
  static constexpr std::int64_t grain_ms = 1000;
  static constexpr std::size_t all_max = 4096, metric_max = 256;

  void note(Timeline& timeline, std::int64_t t, std::size_t entries_max) PLUMBLINE_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::uint64_t moment_ PLUMBLINE_GUARDED_BY(mutex_) = 0;
  Timeline all_ PLUMBLINE_GUARDED_BY(mutex_);
  std::array<Timeline, 256> metrics_ PLUMBLINE_GUARDED_BY(mutex_);
};

}  // namespace plumbline::storage::series
