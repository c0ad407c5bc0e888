// What upkeep does behind the writers' backs: heads become segments, old days go.
#include <algorithm>
#include <limits>
#include <map>

#include "daemon/base/bytes.hpp"
#include "daemon/base/check.hpp"
#include "storage/kv/kill_point.hpp"
#include "storage/series/segment_list.hpp"
#include "storage/series/segment_writer.hpp"
#include "storage/series/series_engine.hpp"
#include "storage/series/series_keys.hpp"

namespace plumbline::storage::series {

namespace {

// Days that are written in one pass over the head: a writer holds a group of series, about a megabyte with its file's buffers.
constexpr std::uint32_t days_at_once = 32;

}  // namespace

Status SeriesEngine::load_segments() {
  kv::kill_point("open.segments");
  Segments list;
  Status damage;
  PLUMBLINE_CHECK_OK(kv_.scan(kv::Family::meta, segment_prefix(), segment_prefix_end(), [&](std::string_view key, std::string_view value) {
    const std::string name(key.substr(segment_prefix().size()));
    auto segment = Segment::open(files_, name, &caches_);
    if (segment) {
      list.push_back(std::move(*segment));
      return true;
    }
    // One damaged file must not cost the others: its day answers with the damage, the rest is served.
    if (segment.error().code != Code::corrupt && segment.error().code != Code::io) {
      damage = fail(std::move(segment).error());
      return false;
    }
    log_.error("a segment cannot be read; queries of its day fail until it is restored or removed",
               {{"segment", name}, {"error", segment.error().message}});
    const auto day = segment_day(name, value);
    if (!day) {
      damage = fail(day.error());
      return false;
    }
    Lock lock(mutex_);
    damaged_.push_back({*day, name, segment.error()});
    return true;
  }));
  PLUMBLINE_CHECK_OK(damage);
  sort_segments(list);
  Lock lock(mutex_);
  segments_ = std::make_shared<Segments>(std::move(list));
  return {};
}

Status SeriesEngine::remove_orphans() {
  PLUMBLINE_TRY(const std::vector<std::string> live, live_tables(kv_));
  PLUMBLINE_TRY(const std::vector<std::string> orphans, orphan_segments(files_, live));
  for (const std::string& name : orphans) {
    log_.info("removing a segment that no commit names", {{"segment", name}});
    kv::kill_point("open.orphan");
    PLUMBLINE_CHECK_OK(files_.remove(name));
  }
  return {};
}

Status SeriesEngine::seal_days(const Head& head, const std::vector<SeriesRef>& order, std::uint32_t first_day,
                               std::uint32_t last_day) {
  std::vector<std::unique_ptr<SegmentWriter>> writers(last_day - first_day + 1);
  const model::TimeRange range{first_day * day_ms, (last_day + std::int64_t{1}) * day_ms - 1};
  std::vector<Sample> samples;
  std::vector<HistogramSample> histograms;
  // Hands the samples of each day to its writer.
  const auto by_day = [&](auto rest, const auto& add) -> Status {
    while (!rest.empty()) {
      const std::uint32_t day = day_of(rest.front().t);
      const std::int64_t end = (day + std::int64_t{1}) * day_ms;
      const auto next = std::ranges::lower_bound(rest, end, {}, [](const auto& s) { return s.t; });
      const auto count = static_cast<std::size_t>(next - rest.begin());
      auto& writer = writers[day - first_day];
      if (!writer) {
        kv::kill_point("seal.segment.create");
        PLUMBLINE_TRY(writer, SegmentWriter::create(files_, day, head.seal_number()));
      }
      PLUMBLINE_CHECK_OK(add(*writer, rest.first(count)));
      rest = rest.subspan(count);
    }
    return {};
  };
  for (const SeriesRef& ref : order) {
    samples.clear();
    histograms.clear();
    head.read(ref.id, range, samples, histograms);
    PLUMBLINE_CHECK_OK(by_day(std::span<const Sample>(samples),
                              [&](SegmentWriter& to, std::span<const Sample> of_day) { return to.add(ref, of_day); }));
    PLUMBLINE_CHECK_OK(by_day(std::span<const HistogramSample>(histograms), [&](SegmentWriter& to, std::span<const HistogramSample> of_day) {
      return to.add_histograms(ref, of_day);
    }));
  }
  for (auto& writer : writers) {
    if (!writer) continue;
    PLUMBLINE_TRY(const SegmentInfo info, writer->finish());
    kv::kill_point("seal.segment.finish");
    PLUMBLINE_TRY(std::shared_ptr<const Segment> segment, Segment::open(files_, info.name, &caches_));
    sealed_now_.push_back(std::move(segment));
    sealed_samples_.add(info.samples);
    sealed_bytes_.add(info.bytes);
  }
  return {};
}

// The definitions that only the journal has. They need not be atomic with the commit: ids are for ever, and a replay that
// finds them already there compares them.
Status SeriesEngine::seal_definitions(kv::Batch& out) {
  std::sort(sealing_.begin(), sealing_.end());
  sealing_.erase(std::unique(sealing_.begin(), sealing_.end()), sealing_.end());
  if (sealing_.empty()) return {};
  std::vector<std::pair<std::string, SeriesId>> keys;
  keys.reserve(sealing_.size());
  for (const SeriesId id : sealing_) keys.emplace_back(series_key(index_.vshard(id), id), id);
  // A few ride in the batch; a million would be in memory three times before they reach a file.
  constexpr std::size_t in_batch_max = 10'000;
  if (keys.size() <= in_batch_max) {
    for (const auto& [key, id] : keys) out.put(kv::Family::series, key, index_.labels(id).encode());
    return {};
  }
  std::sort(keys.begin(), keys.end());
  return kv_.ingest(kv::Family::series, [&](const kv::Kv::Put& put) -> Status {
    for (const auto& [key, id] : keys) PLUMBLINE_CHECK_OK(put(key, index_.labels(id).encode()));
    return {};
  });
}

Status SeriesEngine::seal(kv::Batch& out) {
  std::shared_ptr<const Head> head;
  {
    Lock lock(mutex_);
    head = frozen_;
  }
  PLUMBLINE_CHECK(head, "seal() follows freeze()");
  sealed_now_.clear();
  const Roaring ids = head->ids();
  if (!ids.isEmpty()) {
    const std::vector<SeriesRef> order = index_.label_order(ids);
    const std::uint32_t last = day_of(head->bounds().max);
    for (std::uint32_t day = day_of(head->bounds().min); day <= last; day += days_at_once)
      PLUMBLINE_CHECK_OK(seal_days(*head, order, day, std::min(last, day + days_at_once - 1)));
  }
  kv::kill_point("seal.segments.written");
  PLUMBLINE_CHECK_OK(seal_definitions(out));
  kv::kill_point("seal.definitions");
  for (const auto& segment : sealed_now_) out.put(kv::Family::meta, segment_key(segment->info().name), segment_value(segment->day()));
  out.put(kv::Family::meta, bounds_key(), encode_bounds({time_min_, time_max_}));
  return {};
}

// Readers that hold it keep reading: the file goes when they let it go.
void SeriesEngine::remove_file(const std::string& name, std::string_view how, std::string_view kind) {
  if (auto removed = files_.remove(name); !removed)
    log_.warn("a " + std::string(how) + " " + std::string(kind) + " still takes space", {{kind, name}, {"error", removed.error().message}});
}

Result<bool> SeriesEngine::retain(std::int64_t cutoff_ms, std::span<const TierOption> tiers) {
  const auto ended = [&](std::uint32_t day) { return (static_cast<std::int64_t>(day) + 1) * day_ms <= cutoff_ms; };
  Days days = this->days();
  std::erase_if(days, [&](const auto& day) { return !ended(day.first); });
  for (auto day = days.begin(); day != days.end();) {
    PLUMBLINE_TRY(const bool ready, tiers_ready(day->first, day->second, tiers));
    day = ready ? std::next(day) : days.erase(day);
  }
  Segments keep;
  const auto list = segments();  // held: the loop would outlive a temporary
  for (const auto& segment : *list)
    if (!days.contains(segment->day())) keep.push_back(segment);
  std::vector<std::string> drop;
  for (const auto& [day, of_day] : days) drop.insert(drop.end(), of_day.names.begin(), of_day.names.end());
  if (drop.empty()) return false;
  // The list first: a crash in between leaves files that the next start removes.
  kv::kill_point("retain.before");
  kv::Batch batch;
  for (const std::string& name : drop) batch.remove(kv::Family::meta, segment_key(name));
  // From here on the tiers of the days stand for their samples.
  Tiers tiers_left;
  std::vector<std::string> tiers_gone;
  const auto tiers_before = tier_list();
  for (const auto& tier : *tiers_before) {
    const auto day = days.find(tier->entry.day);
    if (day == days.end() || tier->entry.final) {
      tiers_left.push_back(tier);
    } else if (may_stand(*tier, day->second)) {
      auto final = std::make_shared<Tier>(*tier);
      final->entry.final = true;
      batch.put(kv::Family::meta, tier_key(tier->name), tier_value(final->entry));
      tiers_left.push_back(std::move(final));
    } else {
      batch.remove(kv::Family::meta, tier_key(tier->name));
      tiers_gone.push_back(tier->name);
    }
  }
  PLUMBLINE_CHECK_OK(kv_.write(std::move(batch), kv::Sync::yes));
  kv::kill_point("retain.committed");
  {
    Lock lock(mutex_);
    segments_ = std::make_shared<Segments>(std::move(keep));
    set_tiers(std::move(tiers_left));
    std::erase_if(damaged_, [&](const DamagedSegment& d) { return days.contains(d.day); });
  }
  for (const std::string& name : tiers_gone) remove_file(name, "dropped", "tier");
  changes_.note(std::numeric_limits<std::int64_t>::min());
  for (const std::string& name : drop) {
    remove_file(name, "dropped", "segment");
    log_.info("dropped a segment past the retention", {{"segment", name}});
    kv::kill_point("retain.removed");
  }
  const std::int64_t oldest = cutoff_ms / day_ms * day_ms;
  std::int64_t min = time_min_.load();
  while (min != 0 && min < oldest && !time_min_.compare_exchange_weak(min, std::min(oldest, time_max_.load()))) {
  }
  return true;
}

}  // namespace plumbline::storage::series
