// The read side of the metric engine: which series have samples in a range, and what the samples are.
#include <algorithm>
#include <atomic>
#include <bit>
#include <map>

#include "daemon/base/check.hpp"
#include "storage/series/merge.hpp"
#include "storage/series/series_engine.hpp"

namespace plumbline::storage::series {

namespace {

// What one pass of one thread over the segments may hold: about 32 MiB of samples at one every 15 s.
constexpr std::size_t samples_at_once = 2u << 20;
// Fewer series are not worth another thread: some 30 us of copying at 100 samples each. And what is aggregated is brought together
// from all parts, group by group.
constexpr std::size_t part_series_min = 128;
constexpr std::int64_t usual_interval_ms = 15'000;
// Labels of series are copied at some 1 us each: who waits is asked every few milliseconds.
constexpr std::size_t labels_between_asking = 4096;

// How many series one pass takes: enough to decode a group once for many of them, few enough for the memory above.
std::size_t series_at_once(TimeRange range) {
  const auto samples = static_cast<std::uint64_t>(range.max - range.min) / usual_interval_ms + 1;
  return std::clamp<std::size_t>(samples_at_once / std::min<std::uint64_t>(samples, samples_at_once), 16, 4096);
}

// A power of two: then a series that comes or goes moves no other from one part to another, but for the few times when the number
// changes. Sums of parts stay the same to the last bit as long as it does not.
std::size_t parts_for(std::size_t series) { return std::bit_floor(std::clamp<std::size_t>(series / part_series_min, 1, parts_max)); }

}  // namespace

Result<Segments> SeriesEngine::touching(TimeRange range) const {
  for (const DamagedSegment& d : damaged())
    if (const TimeRange times = times_of_day(d.day); range.overlaps(times.min, times.max)) return fail(d.error);
  Segments out;
  const auto list = segments();  // held: the loop would outlive a temporary
  for (const auto& segment : *list)
    if (range.overlaps(segment->info().min_t, segment->info().max_t)) out.push_back(segment);
  return out;
}

// What the parts of one select share.
struct SeriesEngine::Reading {
  const SeriesQuery& query;
  const Heads heads;
  const Segments segments;
  const std::size_t step;  // series at once
  std::atomic<std::uint64_t> samples{0};
  std::atomic<std::uint64_t> series{0};
  std::atomic<bool> stopped{false};
};

Status SeriesEngine::select(const SeriesQuery& query, const SeriesVisitor& visit) const {
  const Runner here = [](std::size_t count, const std::function<void(std::size_t)>& task) {
    for (std::size_t i = 0; i < count; ++i) task(i);
  };
  return select_parts(query, here, [&](std::size_t, Labels&& labels, const SeriesPoints& points) { return visit(labels, points); });
}

Status SeriesEngine::select_parts(const SeriesQuery& query, const Runner& run, const PartVisitor& visit) const {
  if (query.range.max < query.range.min) return {};
  Heads heads = this->heads();  // first: see the header
  PLUMBLINE_TRY(Segments segments, touching(query.range));
  const std::vector<SeriesRef> wanted = index_.refs(index_.resolve(query.matchers));
  if (wanted.empty()) return {};
  TimeRange bounded = query.range;
  bounded.min = std::max(bounded.min, time_min());
  bounded.max = std::max(bounded.min, std::min(bounded.max, time_max()));
  Reading reading{query, std::move(heads), std::move(segments), series_at_once(bounded)};
  const std::size_t parts = parts_for(wanted.size());
  std::vector<Status> ends(parts);
  // Series are in order of their vshards, which are a hash of their labels.
  const auto first_of = [&](std::size_t part) {
    return static_cast<std::size_t>(std::ranges::lower_bound(wanted, kv::vshards * part / parts, {}, &SeriesRef::vshard) - wanted.begin());
  };
  run(parts, [&](std::size_t part) {
    const std::size_t from = first_of(part), to = first_of(part + 1);
    ends[part] = read_part(reading, std::span(wanted).subspan(from, to - from), part, visit);
    if (!ends[part]) reading.stopped = true;
  });
  for (const Status& end : ends) PLUMBLINE_CHECK_OK(end);
  return {};
}

std::size_t SeriesEngine::parts_of(const Matchers& matchers) const { return parts_for(index_.resolve(matchers).cardinality()); }

Status SeriesEngine::read_part(Reading& reading, std::span<const SeriesRef> wanted, std::size_t part, const PartVisitor& visit) const {
  const SeriesQuery& query = reading.query;
  std::vector<Gather> gathers(std::min(reading.step, wanted.size()));
  std::vector<double> scratch;
  const auto too_many_samples = [&] {
    return fail(Code::over_limit, "the query reads more than " + std::to_string(query.samples_max) +
                                      " samples (samples_max): narrow its selector or its range");
  };
  for (std::size_t from = 0; from < wanted.size() && !reading.stopped; from += reading.step) {
    const auto batch = wanted.subspan(from, std::min(reading.step, wanted.size() - from));
    // A batch is sized for floats; histograms are counted while they are gathered, because one may be worth thousands of them.
    std::uint64_t gathered = 0;
    for (const auto& segment : reading.segments) {
      const auto gather_of = [&](SeriesRef ref) -> Gather& {
        return gathers[static_cast<std::size_t>(std::lower_bound(batch.begin(), batch.end(), ref) - batch.begin())];
      };
      const auto gather_chunk = [&](const SegmentChunk& chunk) -> Status {
        Gather& gather = gather_of({chunk.info().vshard, chunk.info().id});
        if (chunk.info().summary.has_stale) gather.note_stale();
        if (query.apart) {
          PLUMBLINE_TRY(const SharedTimes times, chunk.shared_times());
          PLUMBLINE_TRY(const auto values, chunk.values());
          gather.add(times, values, chunk.held_values(), query.range, segment->seal());
          return {};
        }
        PLUMBLINE_CHECK_OK(chunk.samples(query.range, gather.buffer()));
        gather.commit(segment->seal());
        return {};
      };
      PLUMBLINE_CHECK_OK(segment->read(batch, query.range, gather_chunk));
      const auto gather_histograms = [&](SeriesRef ref, std::vector<HistogramSample>&& samples) -> Status {
        Gather& gather = gather_of(ref);
        for (const HistogramSample& s : samples) gathered += model::samples_worth(s.h);
        if (reading.samples + gathered > query.samples_max) return too_many_samples();
        std::ranges::move(samples, std::back_inserter(gather.histogram_buffer()));
        gather.commit(segment->seal());
        return {};
      };
      PLUMBLINE_CHECK_OK(segment->read_histograms(batch, query.range, gather_histograms));
    }
    for (std::size_t i = 0; i < batch.size(); ++i) {
      Gather& gather = gathers[i];
      for (const auto& head : reading.heads) {
        const std::size_t before = gather.buffer().size();
        if (!head->read(batch[i].id, query.range, gather.buffer(), gather.histogram_buffer())) continue;
        if (std::ranges::any_of(std::span(gather.buffer()).subspan(before), model::is_stale, &Sample::v)) gather.note_stale();
        gather.commit(head->seal_number());
      }
      if (gather.empty()) continue;
      if (query.apart)
        gather.end(scratch);
      else
        gather.end();
      if (reading.series.fetch_add(1) >= query.series_max)
        return fail(Code::over_limit, "the query reads more than " + std::to_string(query.series_max) +
                                          " series (series_max): narrow its selector");
      std::uint64_t worth = gather.samples().size() + gather.values().size();
      for (const HistogramSample& s : gather.histograms()) worth += model::samples_worth(s.h);
      if (reading.samples.fetch_add(worth) + worth > query.samples_max) return too_many_samples();
      const SeriesPoints points{gather.samples(), gather.histograms(), gather.stale(), gather.times(), gather.values()};
      if (!visit(part, index_.labels(batch[i].id), points)) {
        reading.stopped = true;
        return {};
      }
      gather.clear();
    }
  }
  return {};
}

Roaring SeriesEngine::candidates(const std::vector<Matchers>& selectors) const {
  if (selectors.empty()) return index_.all();
  Roaring out;
  for (const Matchers& selector : selectors) out |= index_.resolve(selector);
  return out;
}

Result<Roaring> SeriesEngine::present(const Roaring& ids, TimeRange range, const GoOn& go_on) const {
  Roaring out;
  if (range.max < range.min) return out;
  const Heads heads = this->heads();
  PLUMBLINE_TRY(const Segments segments, touching(range));
  Segments edges;  // segments that the range cuts: their times must be looked at
  for (const auto& segment : segments) {
    if (range.contains(segment->info().min_t) && range.contains(segment->info().max_t))
      out |= segment->ids() & ids;
    else
      edges.push_back(segment);
  }
  for (const auto& head : heads) {
    const TimeRange bounds = head->bounds();
    if (bounds.max < bounds.min || !range.overlaps(bounds.min, bounds.max)) continue;
    PLUMBLINE_TRY(const Roaring found, head->present(ids - out, range, go_on));
    out |= found;
  }
  for (const auto& segment : edges) {
    PLUMBLINE_TRY(const Roaring found, segment->present(index_.refs(segment->ids() & (ids - out)), range, go_on));
    out |= found;
  }
  // Of days whose samples are gone, by the finest of their tiers that opens (it comes first): a bucket whose samples lie on both sides of the
  // range counts as one inside.
  std::map<std::uint32_t, const Tier*> of_days;
  const auto tiers = tier_list();  // held: they outlive the loops
  for (const auto& tier : *tiers) {
    if (!tier->entry.final) continue;
    const Tier*& chosen = of_days.try_emplace(tier->entry.day, tier.get()).first->second;
    if (!chosen->file) chosen = tier.get();
  }
  for (const auto& [number, tier] : of_days) {
    const TimeRange day = times_of_day(number);
    if (!range.overlaps(day.min, day.max)) continue;
    if (!tier->file) return fail(tier->damage);
    const Roaring rest = tier->file->info().ids & (ids - out);
    if (range.contains(day.min) && range.contains(day.max)) {
      out |= rest;
      continue;
    }
    const auto look = [&](const TierSeries& s) -> Status {
      if (go_on) PLUMBLINE_CHECK_OK(go_on());  // each: it may have taken the decoding of a group
      const auto inside = [&](const TierBucket& b) { return range.overlaps(b.first_t, b.last_t); };
      if (std::ranges::any_of(s.buckets, inside)) out.add(s.series.id);
      return {};
    };
    PLUMBLINE_CHECK_OK(tier->file->read(index_.refs(rest), look));
  }
  return out;
}

Result<std::vector<Labels>> SeriesEngine::series(const std::vector<Matchers>& selectors, TimeRange range, std::size_t limit,
                                                 const GoOn& go_on) const {
  PLUMBLINE_TRY(const Roaring ids, present(candidates(selectors), range, go_on));
  std::vector<Labels> out;
  std::size_t seen = 0;
  for (const SeriesId id : ids) {
    if (go_on && ++seen % labels_between_asking == 0) PLUMBLINE_CHECK_OK(go_on());
    if (Labels labels = index_.labels(id); !labels.empty()) out.push_back(std::move(labels));
  }
  std::sort(out.begin(), out.end());
  if (limit > 0 && out.size() > limit) out.resize(limit);
  return out;
}

Result<std::vector<std::string>> SeriesEngine::label_names(const std::vector<Matchers>& selectors, TimeRange range,
                                                           const GoOn& go_on) const {
  PLUMBLINE_TRY(const Roaring ids, present(candidates(selectors), range, go_on));
  return index_.label_names(ids);
}

Result<std::vector<std::string>> SeriesEngine::label_values(std::string_view name, const std::vector<Matchers>& selectors,
                                                            TimeRange range, const GoOn& go_on) const {
  PLUMBLINE_TRY(const Roaring ids, present(candidates(selectors), range, go_on));
  return index_.label_values(name, ids);
}

}  // namespace plumbline::storage::series
