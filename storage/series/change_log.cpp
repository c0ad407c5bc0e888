#include "storage/series/change_log.hpp"

#include <algorithm>
#include <functional>

namespace plumbline::storage::series {

namespace {
std::size_t place_of(std::string_view metric) { return std::hash<std::string_view>()(metric) % 256; }
}  // namespace

void ChangeLog::Timeline::note(Entry entry, std::size_t entries_max) {
  while (!entries.empty() && entries.back().t >= entry.t) entries.pop_back();
  entries.push_back(entry);
  if (entries.size() <= entries_max) return;
  // Two of the older half become one that says of both moments what was true of the earlier: too much, never too little.
  const std::size_t older = entries.size() / 4 * 2;
  for (std::size_t i = 0; i < older; i += 2) entries[i / 2] = {entries[i + 1].moment, entries[i].t};
  entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(older / 2), entries.begin() + static_cast<std::ptrdiff_t>(older));
}

std::int64_t ChangeLog::Timeline::since(std::uint64_t moment) const {
  const auto first = std::ranges::upper_bound(entries, moment, {}, &Entry::moment);
  return first == entries.end() ? std::numeric_limits<std::int64_t>::max() : first->t;
}

void ChangeLog::note(Timeline& timeline, std::int64_t t, std::size_t entries_max) {
  const std::int64_t rest = (t % grain_ms + grain_ms) % grain_ms;
  t = t < std::numeric_limits<std::int64_t>::min() + rest ? std::numeric_limits<std::int64_t>::min() : t - rest;
  timeline.note({++moment_, t}, entries_max);
}

void ChangeLog::note(std::int64_t t) {
  Lock lock(mutex_);
  note(all_, t, all_max);
}

void ChangeLog::note(std::string_view metric, std::int64_t t) {
  Lock lock(mutex_);
  note(metrics_[place_of(metric)], t, metric_max);
}

std::uint64_t ChangeLog::moment() const {
  Lock lock(mutex_);
  return moment_;
}

std::int64_t ChangeLog::since(std::uint64_t moment, std::string_view metric) const {
  Lock lock(mutex_);
  return std::min(all_.since(moment), metrics_[place_of(metric)].since(moment));
}

}  // namespace plumbline::storage::series
