// A salvage's tiers: which stand for their day from now on.
#include <algorithm>
#include <limits>
#include <ranges>

#include "storage/series/tier_file.hpp"
#include "storage/store_salvager.hpp"

namespace plumbline::storage {

// A tier is kept as it is or not at all. While a day has all its samples the next start makes it again; a sound one of a day that lost some
// stands for them from now on, as one does whose samples retention has dropped.
Status Salvager::tiers(const kv::TableFiles& old, const kv::TableFiles& fresh) {
  PLUMBLINE_TRY(const auto listed, series::live_tiers(*kv_));
  std::set<std::string> live(listed.begin(), listed.end());
  DayTiers stands;  // that the list has
  for (const std::string& name : listed) {
    PLUMBLINE_TRY(const auto stored, kv_->get(kv::Family::meta, series::tier_key(name)));
    if (const auto entry = series::decode_tier(name, stored.value_or(""))) stands.emplace(entry->day, entry->resolution);
  }
  if (!meta_whole_)
    for (const std::string& name : names_)
      if (series::is_tier_name(name)) live.insert(name);
  // Of two that no list names the later one.
  for (const std::string& name : live | std::views::reverse) PLUMBLINE_CHECK_OK(tier(old, fresh, name, stands));
  return {};
}

Status Salvager::tier(const kv::TableFiles& old, const kv::TableFiles& fresh, const std::string& name, DayTiers& stands) {
  const std::string file = "segments/" + name, key = series::tier_key(name);
  const bool there = std::ranges::binary_search(names_, name);
  PLUMBLINE_TRY(const auto stored, kv_->get(kv::Family::meta, key));
  const auto entry = series::decode_tier(name, stored.value_or(""));
  const auto opened = there ? series::TierFile::open(old, name) : Result<std::shared_ptr<const series::TierFile>>(fail(Code::corrupt, "it is missing"));
  if (!opened) PLUMBLINE_CHECK_OK(readable(file, opened.error()));
  const std::vector<std::string> problems = opened ? (*opened)->verify() : std::vector<std::string>{opened.error().message};
  if (!problems.empty()) {
    const std::string day = name.substr(0, 8);
    if (!entry || entry->final || cut_days_.contains(day) || !whole_days_.contains(day))
      lose(file, "", "nothing of it is kept, its day is lost unless another tier has it: " + problems.front());
    if (there) moved_.push_back(file);
    if (entry) stands.erase({entry->day, entry->resolution});
    return stored ? remove(kv::Family::meta, key) : Status{};
  }
  const series::TierInfo& info = (*opened)->info();
  const bool listed_right = entry && entry->day == info.day && entry->resolution == info.resolution;
  const std::string day = series::segment_name(info.day, 0).substr(0, 8);
  // A sound list that has no segment of the day: its samples were deleted, and so will be the tier.
  const bool gone = cut_days_.contains(day) || (!meta_whole_ && !whole_days_.contains(day));
  const bool final = gone || (listed_right && entry->final);
  if (!final || (!listed_right && stands.contains({info.day, info.resolution})))
    return stored && !listed_right ? remove(kv::Family::meta, key) : Status{};
  if (!listed_right) take(file, "no list names it, and it stands for its day: what was deleted of it may be back");
  stands.emplace(info.day, info.resolution);
  std::uint64_t unknown = 0;
  for (const std::uint32_t id : info.ids) unknown += index_.contains(id) ? 0 : 1;
  const std::string value = series::tier_value({info.day, info.resolution, true, {}});
  const auto keep = [&](const std::string& kept) {
    if (listed_right && !entry->final)
      out_.tiers.push_back({"segments/" + kept, "", "not all samples of its day are left: it stands for them from now on", ""});
  };
  if (unknown == 0) {
    keep(name);
    return listed_right && entry->final ? Status{} : put(kv::Family::meta, key, value);
  }
  lose(file, "", "the buckets of " + std::to_string(unknown) + " series, whose labels are lost");
  PLUMBLINE_TRY(const std::string written, rewrite_tier(**opened, fresh));
  keep(written);
  moved_.push_back(file);
  if (stored) PLUMBLINE_CHECK_OK(remove(kv::Family::meta, key));
  return put(kv::Family::meta, series::tier_key(written), value);
}

// Without the series that nobody knows any more. The new file's name.
Result<std::string> Salvager::rewrite_tier(const series::TierFile& tier, const kv::TableFiles& fresh) {
  const series::TierInfo& info = tier.info();
  PLUMBLINE_TRY(std::string name, unused_tier_name(info.day, info.resolution));
  PLUMBLINE_TRY(auto table, fresh.create(name));
  const auto out = std::make_unique<series::TierWriter>(std::move(table), std::move(name), info.day, info.resolution);
  PLUMBLINE_CHECK_OK(tier.read_all([&](series::TierSeries&& s) { return index_.contains(s.series.id) ? out->add(std::move(s)) : Status{}; }));
  PLUMBLINE_TRY(auto written, out->finish());
  return std::move(written.name);
}

// Behind all that are there, and have been made here: a name is used once.
Result<std::string> Salvager::unused_tier_name(std::uint32_t day, std::int64_t resolution) {
  constexpr std::uint32_t last = std::numeric_limits<std::uint32_t>::max();
  std::string stem = series::tier_name(day, resolution, last);
  stem.resize(stem.rfind('-') + 1);
  std::uint64_t next = 0;
  for (const std::string& name : names_)
    if (name.starts_with(stem)) next = std::max(next, std::uint64_t{series::tier_generation(name)} + 1);
  if (next > last)
    return fail(Code::corrupt, "segments/" + series::tier_name(day, resolution, last) + " is the last name: move it out of the directory");
  return use(series::tier_name(day, resolution, static_cast<std::uint32_t>(next)));
}

}  // namespace plumbline::storage
