// The live tier files, and which of them may stand for the samples of which day.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "storage/model/sample.hpp"
#include "storage/series/segment_list.hpp"
#include "storage/series/series_keys.hpp"
#include "storage/series/tier_file.hpp"

namespace plumbline::storage::series {

// What upkeep is asked to make.
struct TierOption {
  std::int64_t resolution = 0;  // ms
  std::int64_t cutoff = 0;      // ms: of days that end at or before it nothing is kept
};

struct Tier {
  std::string name;
  TierEntry entry;
  std::shared_ptr<const TierFile> file;  // null: it cannot be read,
  Error damage;                          // for this reason
};
using Tiers = std::vector<std::shared_ptr<const Tier>>;

// The names, sorted, as an entry has them.
std::vector<std::string> names_of(std::span<const std::shared_ptr<const Segment>> segments);
// Whether it has what the segments of its day have. A final one always counts as such: what comes after it is past the retention.
bool is_fresh(const Tier& tier, std::span<const std::shared_ptr<const Segment>> of_day);

// The tier that answers for each day: the coarsest that is allowed, where the samples are gone, or where it is fresh, no window cuts one
// of its buckets and no head has samples of the day. Days that are not in the answer are read as samples.
struct TierQuestion {
  std::span<const model::TimeRange> windows;  // [start + 1, end] each
  std::int64_t resolution_max = 0;
  std::span<const model::TimeRange> heads;    // times of unsealed samples
};
std::map<std::uint32_t, std::shared_ptr<const Tier>> choose_tiers(const Tiers& tiers, const Segments& segments, const TierQuestion& question);

}  // namespace plumbline::storage::series
