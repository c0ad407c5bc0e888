// Since when which times may have changed: who has kept an answer asks whether it still holds.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>

#include "daemon/base/mutex.hpp"

namespace plumbline::storage::series {

// Threads: any. Blocks: never for long.
class ChangeLog {
 public:
  // Samples at or after t have come, changed or gone, and readers see it.
  void note(std::int64_t t);
  // Reads that begin now see everything that was noted before this moment.
  std::uint64_t moment() const;
  // The earliest time that was noted after it, rounded down by less than a second; the largest number when nothing was, the
  // smallest when that is not known any more.
  std::int64_t since(std::uint64_t moment) const;

 private:
  // By whole seconds, so that an hour of usual traffic is 3,600 entries, however many requests it comes in.
  static constexpr std::int64_t grain_ms = 1000;
  static constexpr std::size_t entries_max = 4096;
  struct Entry {
    std::uint64_t moment = 0;
    std::int64_t t = 0;
  };
  mutable Mutex mutex_;
  std::uint64_t moment_ PLUMBLINE_GUARDED_BY(mutex_) = 0;
  std::uint64_t forgotten_ PLUMBLINE_GUARDED_BY(mutex_) = 0;  // the moment of the last entry that was dropped
  // Moments and times both ascend: what was noted before an earlier time says nothing more.
  std::deque<Entry> entries_ PLUMBLINE_GUARDED_BY(mutex_);
};

}  // namespace plumbline::storage::series
