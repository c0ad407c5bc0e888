#include "storage/series/change_log.hpp"

#include <algorithm>

namespace plumbline::storage::series {

void ChangeLog::note(std::int64_t t) {
  const std::int64_t rest = (t % grain_ms + grain_ms) % grain_ms;
  t = t < std::numeric_limits<std::int64_t>::min() + rest ? std::numeric_limits<std::int64_t>::min() : t - rest;
  Lock lock(mutex_);
  ++moment_;
  while (!entries_.empty() && entries_.back().t >= t) entries_.pop_back();
  entries_.push_back({moment_, t});
  if (entries_.size() <= entries_max) return;
  forgotten_ = entries_.front().moment;
  entries_.pop_front();
}

std::uint64_t ChangeLog::moment() const {
  Lock lock(mutex_);
  return moment_;
}

std::int64_t ChangeLog::since(std::uint64_t moment) const {
  Lock lock(mutex_);
  if (moment < forgotten_) return std::numeric_limits<std::int64_t>::min();
  const auto first = std::ranges::upper_bound(entries_, moment, {}, &Entry::moment);
  return first == entries_.end() ? std::numeric_limits<std::int64_t>::max() : first->t;
}

}  // namespace plumbline::storage::series
