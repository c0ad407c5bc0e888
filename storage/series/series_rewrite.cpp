// Rewriting sealed days: merging the segments of a day into one, and leaving out what was deleted.
#include <algorithm>
#include <chrono>
#include <map>

#include "daemon/base/bytes.hpp"
#include "storage/kv/kill_point.hpp"
#include "storage/series/segment_writer.hpp"
#include "storage/series/series_engine.hpp"
#include "storage/series/series_keys.hpp"

namespace plumbline::storage::series {

namespace {

// What one merge may read: some seconds of upkeep, in which no head is sealed.
constexpr std::uint64_t merge_samples_max = 100'000'000;
// The running day is merged when it has this many segments, an ended one when it has two.
constexpr std::size_t running_day_segments = 16;
// A day that took an hour to merge must not be merged again for a late sample: what is new has this share, or is many files.
constexpr std::uint64_t new_share = 4;
constexpr std::size_t many_segments = 8;

bool worth_merging(const Segments& day, bool ended) {
  if (day.size() < (ended ? 2 : running_day_segments)) return false;
  std::uint64_t total = 0;
  std::uint64_t largest = 0;
  for (const auto& segment : day) {
    total += segment->info().samples;
    largest = std::max(largest, segment->info().samples);
  }
  return total <= merge_samples_max && (day.size() >= many_segments || (total - largest) * new_share >= largest);
}

}  // namespace

// The inputs are of one day. Their files go when the list that names the new one is durable.
Status SeriesEngine::rewrite(const Segments& inputs, const DroppedRanges& dropped) {
  const auto start = std::chrono::steady_clock::now();
  std::uint64_t seal = 0;
  std::uint32_t generation = 0;
  std::vector<const Segment*> views;
  for (const auto& input : inputs) {
    seal = std::max(seal, input->seal());
    generation = std::max(generation, segment_generation(input->info().name));
    views.push_back(input.get());
  }
  PLUMBLINE_TRY(const auto writer, SegmentWriter::create(files_, inputs.front()->day(), seal, generation + 1));
  PLUMBLINE_CHECK_OK(merge_segments(views, *writer, dropped));
  PLUMBLINE_TRY(const SegmentInfo info, writer->finish());
  kv::kill_point("rewrite.written");
  kv::Batch batch;
  for (const auto& input : inputs) batch.remove(kv::Family::meta, segment_key(input->info().name));
  std::shared_ptr<const Segment> fresh;
  if (info.series > 0) {
    PLUMBLINE_TRY(fresh, Segment::open(files_, info.name, &caches_));
    batch.put(kv::Family::meta, segment_key(info.name), segment_value(info.day));
  }
  PLUMBLINE_CHECK_OK(kv_.write(std::move(batch), kv::Sync::yes));
  kv::kill_point("rewrite.committed");
  {
    Lock lock(mutex_);
    auto list = std::make_shared<Segments>();
    for (const auto& segment : *segments_)
      if (std::ranges::find(inputs, segment) == inputs.end()) list->push_back(segment);
    if (fresh) list->push_back(fresh);
    sort_segments(*list);
    segments_ = std::move(list);
  }
  for (const auto& input : inputs)
    if (auto removed = files_.remove(input->info().name); !removed)
      log_.warn("a rewritten segment still takes space",
                {{"segment", input->info().name}, {"error", removed.error().message}});
  kv::kill_point("rewrite.removed");
  rewritten_samples_.add(info.samples);
  rewritten_bytes_.add(info.bytes);
  rewrite_seconds_.observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  return {};
}

Result<bool> SeriesEngine::merge_day(std::int64_t now_ms) {
  std::map<std::uint32_t, Segments> days;
  const auto list = segments();  // held: the loop would outlive a temporary
  for (const auto& segment : *list) days[segment->day()].push_back(segment);
  for (const auto& [day, segments] : days) {
    // An hour behind midnight: senders are late by minutes, and the head still holds the day's last samples.
    const bool ended = now_ms > (static_cast<std::int64_t>(day) + 1) * day_ms + 3'600'000;
    if (!worth_merging(segments, ended)) continue;
    PLUMBLINE_CHECK_OK(rewrite(segments, nullptr));
    log_.info("merged the segments of a day", {{"day", day}, {"segments", segments.size()}});
    return true;
  }
  return false;
}

Status SeriesEngine::erase(const Roaring& ids, TimeRange range) {
  if (ids.isEmpty() || range.max < range.min) return {};
  PLUMBLINE_TRY(const Segments affected, touching(range));
  const DroppedRanges dropped = [&](SeriesRef ref) {
    return ids.contains(ref.id) ? std::vector<TimeRange>{range} : std::vector<TimeRange>{};
  };
  for (const auto& segment : affected) {
    if (!segment->ids().intersect(ids)) continue;
    // A segment whose samples of these series all lie outside of the range stays as it is.
    bool any = false;
    PLUMBLINE_CHECK_OK(segment->read_summaries(index_.refs(segment->ids() & ids), range, [&](const ChunkInfo&) -> Status {
      any = true;
      return {};
    }));
    PLUMBLINE_CHECK_OK(segment->read_histograms(index_.refs(segment->histogram_ids() & ids), range,
                                                [&](SeriesRef, std::vector<HistogramSample>&&) -> Status {
                                                  any = true;
                                                  return {};
                                                }));
    if (!any) continue;
    PLUMBLINE_CHECK_OK(rewrite({segment}, dropped));
    std::vector<SeriesId> gone;
    for (const SeriesId id : segment->ids() & ids) gone.push_back(id);
    index_.visit_metrics(gone, [&](std::size_t, std::string_view metric) { changes_.note(metric, std::max(range.min, segment->info().min_t)); });
  }
  return erase_tiers(ids, range);
}

}  // namespace plumbline::storage::series
