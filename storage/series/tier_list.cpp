#include "storage/series/tier_list.hpp"

#include <algorithm>
#include <set>

namespace plumbline::storage::series {

namespace {

// Days of which buckets would be cut, or whose samples are not all sealed.
std::set<std::uint32_t> days_of_samples(const TierQuestion& question, std::int64_t resolution) {
  std::set<std::uint32_t> out;
  for (const model::TimeRange& w : question.windows)
    for (const std::int64_t edge : {w.min - 1, w.max})
      if (edge > 0 && edge % resolution != 0) out.insert(day_of(edge));
  return out;
}

}  // namespace

std::vector<std::string> names_of(std::span<const std::shared_ptr<const Segment>> segments) {
  std::vector<std::string> out;
  for (const auto& segment : segments) out.push_back(segment->info().name);
  std::ranges::sort(out);
  return out;
}

bool is_fresh(const Tier& tier, std::span<const std::shared_ptr<const Segment>> of_day) {
  return tier.entry.final || (tier.file != nullptr && tier.entry.segments == names_of(of_day));
}

std::map<std::uint32_t, std::shared_ptr<const Tier>> choose_tiers(const Tiers& tiers, const Segments& segments, const TierQuestion& question) {
  std::map<std::uint32_t, std::shared_ptr<const Tier>> out;
  std::map<std::int64_t, std::set<std::uint32_t>> cut;
  std::map<std::uint32_t, Segments> days;
  for (const auto& segment : segments) days[segment->day()].push_back(segment);
  for (const auto& tier : tiers) {
    const TierEntry& entry = tier->entry;
    if (!tier->file || entry.resolution > question.resolution_max) continue;
    if (!entry.final) {
      if (!cut.contains(entry.resolution)) cut[entry.resolution] = days_of_samples(question, entry.resolution);
      const std::int64_t start = std::int64_t{entry.day} * day_ms;
      const bool in_head = std::ranges::any_of(question.heads, [&](const model::TimeRange& head) {
        return head.overlaps(start, start + day_ms - 1);
      });
      if (in_head || cut[entry.resolution].contains(entry.day) || !is_fresh(*tier, days[entry.day])) continue;
    }
    auto& chosen = out[entry.day];
    if (!chosen || chosen->entry.resolution < entry.resolution) chosen = tier;
  }
  return out;
}

}  // namespace plumbline::storage::series
