// Tiers: making them of ended days, keeping them true to the samples, and dropping them.
#include <algorithm>
#include <map>
#include <utility>

#include "storage/kv/kill_point.hpp"
#include "storage/series/series_engine.hpp"
#include "storage/series/series_keys.hpp"

namespace plumbline::storage::series {

namespace {

// An hour behind midnight: senders are late by minutes, and the head still holds the day's last samples.
constexpr std::int64_t grace_ms = 3'600'000;

std::int64_t end_of(std::uint32_t day) { return (std::int64_t{day} + 1) * day_ms; }

}  // namespace

const Tier* SeriesEngine::tier_of(const Tiers& tiers, std::uint32_t day, std::int64_t resolution) {
  for (const auto& tier : tiers)
    if (tier->entry.day == day && (resolution == 0 ? tier->entry.final : tier->entry.resolution == resolution)) return tier.get();
  return nullptr;
}

std::shared_ptr<const Tiers> SeriesEngine::tier_list() const {
  Lock lock(mutex_);
  return tiers_;
}

Reader::Tiers SeriesEngine::tiers() const { return {any_tiers_.load(), samples_since_.load()}; }

void SeriesEngine::set_tiers(Tiers list) {
  std::ranges::sort(list, {}, [](const auto& t) { return std::tuple(t->entry.day, t->entry.resolution, t->name); });
  std::int64_t since = std::numeric_limits<std::int64_t>::min();
  for (const auto& tier : list)
    if (tier->entry.final) since = end_of(tier->entry.day);
  any_tiers_ = !list.empty();
  samples_since_ = since;
  tiers_ = std::make_shared<const Tiers>(std::move(list));
}

Status SeriesEngine::load_tiers() {
  Tiers list;
  Status damage;
  PLUMBLINE_CHECK_OK(kv_.scan(kv::Family::meta, tier_prefix(), tier_prefix_end(), [&](std::string_view key, std::string_view value) {
    const std::string name(key.substr(tier_prefix().size()));
    auto entry = decode_tier(name, value);
    if (!entry) {
      damage = fail(std::move(entry).error());
      return false;
    }
    auto file = TierFile::open(files_, name);
    if (file && ((*file)->info().day != entry->day || (*file)->info().resolution != entry->resolution))
      file = fail(Code::corrupt, "tier " + name + ": the list of tiers has another day or resolution than the file");
    if (!file && file.error().code != Code::corrupt && file.error().code != Code::io) {
      damage = fail(std::move(file).error());
      return false;
    }
    if (!file)
      log_.error(entry->final ? "a tier cannot be read; queries that need it fail until it is restored" : "a tier cannot be read and is made again",
                 {{"tier", name}, {"error", file.error().message}});
    list.push_back(std::make_shared<const Tier>(
        Tier{name, std::move(*entry), file ? *file : nullptr, file ? Error{} : file.error()}));
    return true;
  }));
  PLUMBLINE_CHECK_OK(damage);
  Lock lock(mutex_);
  set_tiers(std::move(list));
  return {};
}

Days SeriesEngine::days() const {
  Days out = days_of(*segments(), damaged());
  for (auto& [day, of_day] : out)
    if (const auto known = unreadable_.find(day); known != unreadable_.end() && known->second.names == of_day.names && !of_day.damage)
      of_day.damage = known->second.damage;
  return out;
}

bool SeriesEngine::passes_over(std::uint32_t day, const DaySegments& of_day, const Error& error) {
  if (error.code != Code::corrupt && error.code != Code::io) return false;
  log_.error("a day does not read, and is neither merged nor downsampled", {{"day", day}, {"error", error.message}});
  if (error.code == Code::corrupt) unreadable_[day] = {{}, of_day.names, error};
  return true;
}

bool SeriesEngine::heads_touch(std::uint32_t day) const {
  const TimeRange times = times_of_day(day);
  return std::ranges::any_of(heads(), [&](const auto& head) {
    const TimeRange bounds = head->bounds();
    return bounds.min <= bounds.max && times.overlaps(bounds.min, bounds.max);
  });
}

Status SeriesEngine::settle_strays() {
  if (strays_.empty()) return {};
  kv::Batch batch;
  const auto list = tier_list();
  for (const Stray& stray : strays_) {
    batch.remove(kv::Family::meta, tier_key(stray.name));
    for (const auto& tier : *list)
      if (tier->name == stray.replaced) batch.put(kv::Family::meta, tier_key(tier->name), tier_value(tier->entry));
  }
  PLUMBLINE_CHECK_OK(kv_.write(std::move(batch), kv::Sync::yes));
  for (const Stray& stray : std::exchange(strays_, {})) remove_file(stray.name, "dropped", "tier");
  return {};
}

Status SeriesEngine::replace_tier(const Tier* old, std::shared_ptr<const Tier> fresh) {
  kv::Batch batch;
  if (old != nullptr) batch.remove(kv::Family::meta, tier_key(old->name));
  if (fresh) batch.put(kv::Family::meta, tier_key(fresh->name), tier_value(fresh->entry));
  if (auto written = kv_.write(std::move(batch), kv::Sync::yes); !written) {
    if (fresh) strays_.push_back({fresh->name, old == nullptr ? "" : old->name});
    return written;
  }
  kv::kill_point("tier.committed");
  const std::string gone = old == nullptr ? "" : old->name;
  if (fresh) {
    tier_files_.add();
    tier_buckets_.add(fresh->file->info().buckets);
    tier_bytes_.add(fresh->file->info().bytes);
  }
  {
    Lock lock(mutex_);
    Tiers list;
    for (const auto& tier : *tiers_)
      if (tier.get() != old) list.push_back(tier);
    if (fresh) list.push_back(std::move(fresh));
    set_tiers(std::move(list));  // may free `old`
  }
  if (!gone.empty()) remove_file(gone, "dropped", "tier");
  kv::kill_point("tier.removed");
  return {};
}

Result<std::shared_ptr<const Tier>> SeriesEngine::written_tier(const SegmentInfo& info, TierEntry entry) {
  kv::kill_point("tier.written");
  auto file = TierFile::open(files_, info.name);
  if (file) return std::make_shared<const Tier>(Tier{info.name, std::move(entry), std::move(*file), {}});
  remove_file(info.name, "dropped", "tier");
  return fail(std::move(file).error());
}

Result<std::shared_ptr<const Tier>> SeriesEngine::write_tier(std::uint32_t day, std::int64_t resolution, const DaySegments& of_day) {
  PLUMBLINE_CHECK_OK(settle_strays());
  PLUMBLINE_TRY(const auto writer, TierWriter::create(files_, day, resolution));
  std::vector<const Segment*> views;
  for (const auto& segment : of_day.segments) views.push_back(segment.get());
  PLUMBLINE_CHECK_OK(merge_segments(views, *writer));
  PLUMBLINE_TRY(const SegmentInfo info, writer->finish());
  PLUMBLINE_TRY(auto fresh, written_tier(info, {day, resolution, false, of_day.names}));
  log_.info("wrote a tier of a day", {{"tier", info.name}, {"buckets", info.samples}, {"bytes", info.bytes}});
  return fresh;
}

Result<bool> SeriesEngine::make_tier(std::int64_t now_ms, std::span<const TierOption> tiers) {
  const auto list = tier_list();
  if (tiers.empty() && list->empty()) return false;
  const Days days = this->days();
  const auto wanted = [&](std::uint32_t day, std::int64_t resolution) {
    return std::ranges::any_of(tiers, [&](const TierOption& t) { return t.resolution == resolution && end_of(day) > t.cutoff; });
  };
  // What is not true any more and is not made again: of a day whose samples were all deleted, or of a tier that was turned off. Of a day
  // that does not read it may be all there is.
  for (const auto& tier : *list) {
    const auto day = days.find(tier->entry.day);
    if (tier->entry.final || (day != days.end() && (day->second.damage || is_fresh(*tier, day->second) || wanted(day->first, tier->entry.resolution))))
      continue;
    PLUMBLINE_CHECK_OK(replace_tier(tier.get(), nullptr));
    return true;
  }
  for (const auto& [day, of_day] : days) {
    if (now_ms <= end_of(day) + grace_ms) break;
    // Of a day whose samples are gone, what there is was accepted while they went: it is past the retention.
    if (of_day.damage || tier_of(*list, day, 0) != nullptr) continue;
    for (const TierOption& option : tiers) {
      const Tier* known = tier_of(*list, day, option.resolution);
      if (end_of(day) <= option.cutoff || (known != nullptr && is_fresh(*known, of_day)) || heads_touch(day)) continue;
      auto fresh = write_tier(day, option.resolution, of_day);
      if (!fresh && passes_over(day, of_day, fresh.error())) break;
      if (!fresh) return fail(std::move(fresh).error());
      PLUMBLINE_CHECK_OK(replace_tier(known, std::move(*fresh)));
      return true;
    }
  }
  return false;
}

Result<bool> SeriesEngine::tiers_ready(std::uint32_t day, DaySegments& of_day, std::span<const TierOption> tiers) {
  const auto list = tier_list();  // each replacement is of another resolution
  if (tier_of(*list, day, 0) != nullptr) return true;
  for (const TierOption& option : tiers) {
    if (end_of(day) <= option.cutoff) continue;
    const Tier* known = tier_of(*list, day, option.resolution);
    if (!of_day.damage) {
      if (heads_touch(day)) return false;
      if (known != nullptr && is_fresh(*known, of_day)) continue;
      auto fresh = write_tier(day, option.resolution, of_day);
      if (fresh) {
        PLUMBLINE_CHECK_OK(replace_tier(known, std::move(*fresh)));
        continue;
      }
      if (!passes_over(day, of_day, fresh.error())) return fail(std::move(fresh).error());
      if (fresh.error().code == Code::io) return false;  // a disk that fails now may read later
      of_day.damage = fresh.error();
    }
    // Waiting would not help: what seals until then makes its tiers stale, and no better ones can be made.
    if (known != nullptr && may_stand(*known, of_day))
      log_.warn("a day with a damaged segment keeps the tier that it has", {{"tier", known->name}});
    else
      log_.warn("a day with a damaged segment goes without being downsampled", {{"day", day}, {"resolution_ms", option.resolution}});
  }
  return true;
}

Result<bool> SeriesEngine::retain_tiers(std::span<const TierOption> tiers) {
  const auto list = tier_list();
  bool any = false;
  for (const auto& tier : *list) {
    const auto ended = [&](const TierOption& t) { return t.resolution == tier->entry.resolution && end_of(tier->entry.day) <= t.cutoff; };
    if (std::ranges::none_of(tiers, ended)) continue;
    PLUMBLINE_CHECK_OK(replace_tier(tier.get(), nullptr));
    kv::kill_point("tier.retained");
    log_.info("dropped a tier past its retention", {{"tier", tier->name}});
    any = true;
  }
  return any;
}

// Of tiers whose samples are still there nothing has to be done: rewriting the samples makes them stale.
Status SeriesEngine::erase_tiers(const Roaring& ids, TimeRange range) {
  const std::vector<SeriesRef> wanted = index_.refs(ids);
  const auto list = tier_list();
  Status passed_over;
  for (const auto& tier : *list) {
    const TimeRange times = times_of_day(tier->entry.day);
    if (!tier->entry.final || !range.overlaps(times.min, times.max)) continue;
    const Status erased = erase_tier(*tier, wanted, ids, range);
    if (!erased && erased.error().code != Code::corrupt && erased.error().code != Code::io) return erased;
    if (!erased && passed_over) passed_over = erased;
  }
  return passed_over;
}

Status SeriesEngine::erase_tier(const Tier& tier, std::span<const SeriesRef> wanted, const Roaring& ids, TimeRange range) {
  if (!tier.file) return fail(tier.damage);
  bool any = false;
  PLUMBLINE_CHECK_OK(tier.file->read(wanted, [&](const TierSeries& s) -> Status {
    any = any || std::ranges::any_of(s.buckets, [&](const TierBucket& b) { return range.overlaps(b.first_t, b.last_t); });
    return {};
  }));
  if (!any) return {};
  PLUMBLINE_CHECK_OK(settle_strays());
  PLUMBLINE_TRY(const auto writer, TierWriter::create(files_, tier.entry.day, tier.entry.resolution));
  PLUMBLINE_CHECK_OK(tier.file->read_all([&](TierSeries&& s) -> Status {
    if (ids.contains(s.series.id)) std::erase_if(s.buckets, [&](const TierBucket& b) { return range.overlaps(b.first_t, b.last_t); });
    return writer->add(std::move(s));
  }));
  PLUMBLINE_TRY(const SegmentInfo info, writer->finish());
  PLUMBLINE_TRY(auto fresh, written_tier(info, tier.entry));
  return replace_tier(&tier, std::move(fresh));
}

Result<SeriesEngine::Sources> SeriesEngine::sources(const SeriesQuery& query, std::span<const TimeRange> windows, TimeRange hull,
                                                    const Heads& heads) const {
  if (query.resolution_max <= 0) {
    PLUMBLINE_TRY(Segments all, touching(hull));
    return Sources{std::move(all), {}, {}};
  }
  std::shared_ptr<const Segments> segments;
  std::shared_ptr<const Tiers> tiers;
  std::vector<DamagedSegment> damaged;
  {
    Lock lock(mutex_);  // of one moment: a day's samples go when its tier becomes what stands for them
    segments = segments_;
    tiers = tiers_;
    damaged = damaged_;
  }
  std::vector<TimeRange> unsealed;
  for (const auto& head : heads)
    if (const TimeRange bounds = head->bounds(); bounds.min <= bounds.max) unsealed.push_back(bounds);
  const auto chosen = choose_tiers(*tiers, days_of(*segments, damaged), {windows, query.resolution_max, unsealed});
  for (const DamagedSegment& d : damaged)
    if (const TimeRange times = times_of_day(d.day); hull.overlaps(times.min, times.max) && !chosen.contains(d.day)) return fail(d.error);
  for (const auto& tier : *tiers)
    if (const TimeRange times = times_of_day(tier->entry.day); tier->entry.final && !tier->file && !chosen.contains(tier->entry.day) &&
                                                           tier->entry.resolution <= query.resolution_max && hull.overlaps(times.min, times.max + 1))
      return fail(tier->damage);
  Sources out;
  for (const auto& [day, tier] : chosen)
    if (const TimeRange times = times_of_day(day); hull.overlaps(times.min, times.max + 1)) out.tiers.push_back(tier);
  for (const auto& segment : *segments) {
    if (!hull.overlaps(segment->info().min_t, segment->info().max_t)) continue;
    const auto at = chosen.find(segment->day());
    if (at == chosen.end()) out.segments.push_back(segment);
    else if (!at->second->entry.final) out.covered.push_back(segment);
  }
  return out;
}

}  // namespace plumbline::storage::series
