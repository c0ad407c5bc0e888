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
  for (const auto& input : inputs) remove_file(input->info().name, "rewritten", "segment");
  kv::kill_point("rewrite.removed");
  rewritten_samples_.add(info.samples);
  rewritten_bytes_.add(info.bytes);
  rewrite_seconds_.observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  return {};
}

Result<bool> SeriesEngine::merge_day(std::int64_t now_ms) {
  for (const auto& [day, of_day] : days()) {
    // An hour behind midnight: senders are late by minutes, and the head still holds the day's last samples.
    const bool ended = now_ms > (static_cast<std::int64_t>(day) + 1) * day_ms + 3'600'000;
    // Merging what reads of a damaged day would make its tiers stale, and no others can be made.
    if (of_day.damage || !worth_merging(of_day.segments, ended)) continue;
    const Status merged = rewrite(of_day.segments, nullptr);
    if (!merged && passes_over(day, of_day, merged.error())) continue;
    PLUMBLINE_CHECK_OK(merged);
    log_.info("merged the segments of a day", {{"day", day}, {"segments", of_day.segments.size()}});
    return true;
  }
  return false;
}

Status SeriesEngine::erase(const Roaring& ids, TimeRange range) {
  if (ids.isEmpty() || range.max < range.min) return {};
  Status passed_over;
  for (const auto& [day, of_day] : days_of(*segments(), damaged())) {
    if (!range.overlaps(day * day_ms, (day + std::int64_t{1}) * day_ms - 1)) continue;
    Status erased;
    if (of_day.damage) erased = fail(*of_day.damage);
    for (const auto& segment : of_day.segments)
      if (erased && range.overlaps(segment->info().min_t, segment->info().max_t)) erased = erase_from(segment, ids, range);
    if (!erased && erased.error().code != Code::corrupt && erased.error().code != Code::io) return erased;
    if (!erased && passed_over) passed_over = erased;
  }
  const Status erased = erase_tiers(ids, range);
  return passed_over ? erased : passed_over;
}

Status SeriesEngine::erase_from(const std::shared_ptr<const Segment>& segment, const Roaring& ids, TimeRange range) {
  if (!segment->ids().intersect(ids)) return {};
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
  if (!any) return {};
  const DroppedRanges dropped = [&](SeriesRef ref) {
    return ids.contains(ref.id) ? std::vector<TimeRange>{range} : std::vector<TimeRange>{};
  };
  PLUMBLINE_CHECK_OK(rewrite({segment}, dropped));
  std::vector<SeriesId> gone;
  for (const SeriesId id : segment->ids() & ids) gone.push_back(id);
  index_.visit_metrics(gone, [&](std::size_t, std::string_view metric) { changes_.note(metric, std::max(range.min, segment->info().min_t)); });
  return {};
}

}  // namespace plumbline::storage::series
