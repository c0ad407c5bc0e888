#include "storage/series/tier_list.hpp"

#include <algorithm>
#include <set>

namespace plumbline::storage::series {

namespace {

// Days of which a window cuts a bucket.
std::set<std::uint32_t> cut_days(const TierQuestion& question, std::int64_t resolution) {
  std::set<std::uint32_t> out;
  for (const model::TimeRange& w : question.windows)
    for (const std::int64_t edge : {w.min - 1, w.max})
      if (edge > 0 && edge % resolution != 0) out.insert(day_of(edge));
  return out;
}

}  // namespace

Days days_of(const Segments& segments, std::span<const DamagedSegment> damaged) {
  Days out;
  for (const auto& segment : segments) {
    DaySegments& day = out[segment->day()];
    day.segments.push_back(segment);
    day.names.push_back(segment->info().name);
  }
  for (const DamagedSegment& d : damaged) {
    DaySegments& day = out[d.day];
    day.names.push_back(d.name);
    day.damage = d.error;
  }
  for (auto& [number, day] : out) std::ranges::sort(day.names);
  return out;
}

bool is_fresh(const Tier& tier, const DaySegments& of_day) {
  return tier.entry.final || (tier.file != nullptr && tier.entry.segments == of_day.names);
}

bool may_stand(const Tier& tier, const DaySegments& of_day) {
  return is_fresh(tier, of_day) ||
         (of_day.damage && std::ranges::all_of(tier.entry.segments, [&](const std::string& name) { return std::ranges::binary_search(of_day.names, name); }));
}

std::map<std::uint32_t, std::shared_ptr<const Tier>> choose_tiers(const Tiers& tiers, const Days& days, const TierQuestion& question) {
  std::map<std::uint32_t, std::shared_ptr<const Tier>> out;
  std::map<std::int64_t, std::set<std::uint32_t>> cut;
  const auto is_cut = [&](const TierEntry& entry) {
    auto at = cut.find(entry.resolution);
    if (at == cut.end()) at = cut.emplace(entry.resolution, cut_days(question, entry.resolution)).first;
    return at->second.contains(entry.day);
  };
  for (const auto& tier : tiers) {
    const TierEntry& entry = tier->entry;
    if (!tier->file || entry.resolution > question.resolution_max) continue;
    if (!entry.final) {
      const auto day = days.find(entry.day);
      if (day == days.end() || day->second.damage || !is_fresh(*tier, day->second) || is_cut(entry)) continue;
      const model::TimeRange times = times_of_day(entry.day);
      if (std::ranges::any_of(question.heads, [&](const model::TimeRange& head) { return head.overlaps(times.min, times.max); })) continue;
    }
    auto& chosen = out[entry.day];
    const auto better = [&](const TierEntry& than) {
      if (is_cut(entry) != is_cut(than)) return is_cut(than);
      return is_cut(entry) ? entry.resolution < than.resolution : entry.resolution > than.resolution;
    };
    if (!chosen || better(chosen->entry)) chosen = tier;
  }
  return out;
}

}  // namespace plumbline::storage::series
