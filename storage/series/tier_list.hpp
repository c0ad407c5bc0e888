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

// A segment that could not be opened: queries of its day answer with the error.
struct DamagedSegment {
  std::uint32_t day = 0;
  std::string name;
  Error error;
};
// What there is of the samples of a day.
struct DaySegments {
  Segments segments;               // those that open
  std::vector<std::string> names;  // of these and of those that do not; sorted, as an entry has them
  std::optional<Error> damage;     // of one that does not open, or does not read
};
using Days = std::map<std::uint32_t, DaySegments>;
Days days_of(const Segments& segments, std::span<const DamagedSegment> damaged);

// Whether it has what the segments of its day have. A final one always counts as such: what comes after it is past the retention.
bool is_fresh(const Tier& tier, const DaySegments& of_day);
// Whether it may stand for the samples of its day when those go. Of a day that does not read, nothing better can be made: what was made of
// segments that are there is kept, whether it lacks late ones or cannot be opened now.
bool may_stand(const Tier& tier, const DaySegments& of_day);

// The tier that answers for each day. Where the samples are gone: the coarsest that is allowed and of which no window cuts a bucket, and
// where all are cut the finest. Where they are there: the coarsest that is fresh and uncut, of a day that is not damaged and of which no
// head has samples. Days that are not in the answer are read as samples.
struct TierQuestion {
  std::span<const model::TimeRange> windows;  // [start + 1, end] each
  std::int64_t resolution_max = 0;
  std::span<const model::TimeRange> heads;    // times of unsealed samples
};
std::map<std::uint32_t, std::shared_ptr<const Tier>> choose_tiers(const Tiers& tiers, const Days& days, const TierQuestion& question);

}  // namespace plumbline::storage::series
