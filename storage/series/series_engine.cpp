#include "storage/series/series_engine.hpp"

#include <algorithm>

#include "daemon/base/bytes.hpp"
#include "daemon/base/check.hpp"
#include "storage/kv/kill_point.hpp"
#include "storage/model/wire_labels.hpp"
#include "storage/series/series_keys.hpp"

namespace plumbline::storage::series {

namespace {

// Some 300,000 series. What malloc takes for more than 32 MiB goes back to the kernel when it is freed, and what of it is not used costs nothing.
constexpr std::size_t load_piece_bytes = 64u << 20;

void add_refusal(std::vector<Refusal>& refusals, std::string_view reason, std::uint64_t count, auto&& describe) {
  for (Refusal& r : refusals)
    if (r.reason == reason) {
      r.count += count;
      return;
    }
  refusals.push_back({std::string(reason), describe(), count});
}

}  // namespace

SeriesEngine::SeriesEngine(kv::Kv& kv, kv::TableFiles& files, Log& log, Registry& registry, std::uint64_t decoded_bytes_max)
    : kv_(kv),
      files_(files),
      log_(log),
      created_(registry.counter("plumbline_store_series_created_total", "Series that were not known before.")),
      forgotten_(registry.counter("plumbline_store_series_forgotten_total",
                                  "Series that left the index because all their days were dropped.")),
      sealed_samples_(registry.counter("plumbline_store_sealed_samples_total", "Samples written to segments.")),
      sealed_bytes_(registry.counter("plumbline_store_sealed_bytes_total", "Bytes of segments written.")),
      rewritten_samples_(registry.counter("plumbline_store_rewritten_samples_total",
                                          "Samples written again when days were merged or series deleted.")),
      rewritten_bytes_(registry.counter("plumbline_store_rewritten_bytes_total",
                                        "Bytes of segments written again when days were merged or series deleted.")),
      rewrite_seconds_(registry.histogram("plumbline_store_rewrite_seconds", "How long a rewrite of segments took.")),
      tier_files_(registry.counter("plumbline_store_tier_files_total", "Files of downsampled days written.")),
      tier_buckets_(registry.counter("plumbline_store_tier_buckets_total", "Buckets of downsampled samples written.")),
      tier_bytes_(registry.counter("plumbline_store_tier_bytes_total", "Bytes of downsampled days written.")),
      caches_(directories_bytes_max, decoded_bytes_max, &registry),
      active_(std::make_shared<Head>(1)),
      segments_(std::make_shared<Segments>()),
      tiers_(std::make_shared<const Tiers>()) {}

Status SeriesEngine::load(std::uint64_t sealed) {
  {
    Lock lock(mutex_);
    active_ = std::make_shared<Head>(sealed + 1);
  }
  PLUMBLINE_CHECK_OK(load_index());
  PLUMBLINE_TRY(const auto next, kv_.get(kv::Family::meta, next_id_key()));
  if (next) {
    PLUMBLINE_TRY(const std::uint32_t id, decode_next_id(*next));
    index_.reserve_ids(id);
  }
  PLUMBLINE_TRY(const auto bounds, kv_.get(kv::Family::meta, bounds_key()));
  if (bounds) {
    PLUMBLINE_TRY(const model::TimeRange range, decode_bounds(*bounds));
    time_min_ = range.min;
    time_max_ = range.max;
  }
  PLUMBLINE_CHECK_OK(load_segments());
  return load_tiers();
}

// By id, and not in the order of the keys, which is that of vshards: series that came together are much alike, and the index is
// filled at its ends: 300,000 pods' series open in 1.9 CPU seconds instead of 3.3. Until all are in, each takes some 150 bytes more.
Status SeriesEngine::load_index() {
  struct Stored {
    SeriesId id = 0;
    std::string_view labels;
  };
  std::vector<Stored> stored;
  std::vector<std::string> pieces;  // of what `stored` views: one string that grows would be copied again and again
  const auto damaged = [](SeriesId id, std::string_view what) {
    return fail(Code::corrupt, "series index: id " + std::to_string(id) + ": " + std::string(what));
  };
  Status damage;
  PLUMBLINE_CHECK_OK(kv_.scan(kv::Family::series, "", "", [&](std::string_view key, std::string_view value) {
    ByteReader in(key);
    in.raw(kv::key_prefix_bytes);
    const SeriesId id = in.be32();
    if (!in.ok()) damage = damaged(id, "key ends early");
    if (pieces.empty() || pieces.back().capacity() - pieces.back().size() < value.size())
      pieces.emplace_back().reserve(std::max(value.size(), load_piece_bytes));
    std::string& piece = pieces.back();
    stored.push_back({id, std::string_view(piece.data() + piece.size(), value.size())});
    piece += value;
    return damage.has_value();
  }));
  PLUMBLINE_CHECK_OK(damage);
  std::ranges::sort(stored, {}, &Stored::id);
  for (const Stored& s : stored) {
    const auto labels = Labels::decode(s.labels);
    if (!labels) return damaged(s.id, labels.error().message);
    PLUMBLINE_CHECK_OK(index_.restore(s.id, *labels));
  }
  return {};
}

// What the index does not know: parsed, checked against the limits, registered.
void SeriesEngine::register_unknown(const WireSamples& wire, const EngineLimits& limits, Resolved& out) {
  std::vector<Labels> fresh;
  std::vector<std::size_t> places;  // of each fresh one, in out.runs
  const std::uint64_t active = active_series();
  for (std::size_t i = 0; i < out.runs.size(); ++i) {
    SeriesRun& run = out.runs[i];
    if (run.id != no_series) continue;
    auto labels = model::parse_wire_labels(wire.series[i].labels);
    if (!labels) {
      add_refusal(out.refusals, labels.error().reason, run.count,
                  [&] { return "timeseries " + std::to_string(i) + ": " + labels.error().message; });
      out.refused_samples += run.count;
      continue;
    }
    const auto refuse = [&](std::string_view reason, const std::string& what) {
      add_refusal(out.refusals, reason, run.count, [&] { return "new series " + labels->str() + ": " + what; });
      out.refused_samples += run.count;
      out.over_limit = true;
    };
    // Two requests at once may pass a limit by what they bring; the next one is refused.
    if (active + fresh.size() >= limits.series_active_max && index_.find(*labels) == no_series) {
      refuse("series_limit", "the limit of " + std::to_string(limits.series_active_max) +
                                 " active series (storage.series_active_max) is reached");
      continue;
    }
    if (limits.series_per_metric_max > 0 && index_.series_of_metric(labels->metric()) >= limits.series_per_metric_max &&
        index_.find(*labels) == no_series) {
      refuse("metric_series_limit", "the limit of " + std::to_string(limits.series_per_metric_max) +
                                        " series of one metric (storage.series_per_metric_max) is reached");
      continue;
    }
    fresh.push_back(std::move(*labels));
    places.push_back(i);
  }
  std::vector<LabelIndex::NewSeries> named;
  named.reserve(fresh.size());
  for (std::size_t i = 0; i < fresh.size(); ++i) named.push_back({&fresh[i], wire.series[places[i]].labels});
  std::uint64_t created = 0;
  {
    // Flag and lock before the index shows the ids: a request that finds one sees the flag and waits here for the set.
    Lock lock(definitions_mutex_);
    any_undefined_.store(true, std::memory_order_release);
    const std::vector<LabelIndex::Added> added = index_.add_many(named);
    for (std::size_t i = 0; i < added.size(); ++i) {
      out.runs[places[i]].id = added[i].id;
      if (!added[i].created) continue;
      undefined_.insert(added[i].id);
      ++created;
    }
    if (undefined_.empty()) any_undefined_.store(false, std::memory_order_release);
  }
  created_.add(created);
  std::erase_if(out.runs, [](const SeriesRun& run) { return run.id == no_series; });
}

void SeriesEngine::resolve(const WireSamples& wire, const EngineLimits& limits, Resolved& out) {
  out.runs.clear();
  out.definitions.clear();
  out.refusals.clear();
  out.refused_samples = 0;
  out.over_limit = false;
  out.runs.reserve(wire.series.size());
  bool unknown = false;
  {
    LabelIndex::Finder finder = index_.finder();
    for (const WireSeries& series : wire.series) {
      const SeriesId id = finder.find(series.labels);
      unknown |= id == no_series;
      out.runs.push_back({id, series.first, series.count});
    }
  }
  if (unknown) register_unknown(wire, limits, out);
  if (!any_undefined_.load(std::memory_order_acquire)) return;
  Lock lock(definitions_mutex_);
  for (const SeriesRun& run : out.runs)
    if (undefined_.contains(run.id)) out.definitions.push_back({run.id, model::wire_form(index_.labels(run.id))});
}

void SeriesEngine::append(const Points& points, const std::vector<Definition>& definitions, std::int64_t now_ms) {
  if (points.runs.empty() && points.histogram_runs.empty()) return;
  defined(definitions);
  const std::shared_ptr<Head> head = active();
  // By the newest sample alone, one sender whose clock is ahead would make everybody else's late.
  const std::int64_t late = std::min(time_max_.load(std::memory_order_relaxed), now_ms) - 60'000;
  const auto saw_all = [&](const auto& runs, const auto& samples) {
    const model::TimeRange seen = head->append(runs, samples);
    saw(seen.min, seen.max);
    note_changes(runs, samples, seen.min, late);
  };
  if (!points.runs.empty()) saw_all(points.runs, points.samples);
  if (!points.histogram_runs.empty()) saw_all(points.histogram_runs, points.histograms);
}

// Usual traffic is one note for all metrics: the newest steps of every answer are evaluated anew in any case. What is late is noted by
// metric, so that one sender of old samples does not make everybody's answers useless.
template <class Point>
void SeriesEngine::note_changes(std::span<const SeriesRun> runs, std::span<const Point> points, std::int64_t seen_min, std::int64_t late) {
  if (seen_min >= late) return changes_.note(seen_min);
  std::int64_t usual = std::numeric_limits<std::int64_t>::max();
  std::vector<SeriesId> ids;
  std::vector<std::int64_t> times;
  for (const SeriesRun& run : runs) {
    std::int64_t first = std::numeric_limits<std::int64_t>::max();
    for (const Point& p : points.subspan(run.first, run.count)) first = std::min(first, p.t);
    if (first >= late) {
      usual = std::min(usual, first);
    } else {
      ids.push_back(run.id);
      times.push_back(first);
    }
  }
  if (usual != std::numeric_limits<std::int64_t>::max()) changes_.note(usual);
  std::size_t noted = 0;
  index_.visit_metrics(ids, [&](std::size_t i, std::string_view metric) {
    changes_.note(metric, times[i]);
    ++noted;
  });
  // A series that the index does not know is nobody's to ask for, but nothing is lost by saying it to all.
  if (noted < ids.size()) changes_.note(seen_min);
}

void SeriesEngine::defined(const std::vector<Definition>& definitions) {
  if (definitions.empty()) return;
  Lock lock(definitions_mutex_);
  for (const Definition& d : definitions)
    if (undefined_.erase(d.id) > 0) unsealed_.push_back(d.id);
  if (undefined_.empty()) any_undefined_.store(false, std::memory_order_release);
}

Status SeriesEngine::replay(const std::vector<Definition>& definitions, const Points& points) {
  for (const Definition& d : definitions) {
    auto labels = model::parse_wire_labels(d.labels);
    if (!labels) return fail(Code::corrupt, "the labels of series " + std::to_string(d.id) + ": " + labels.error().message);
    // A record may repeat a definition, and a seal may have written it without being committed.
    const Labels known = index_.labels(d.id);
    if (known.empty())
      PLUMBLINE_CHECK_OK(index_.restore(d.id, std::move(*labels)));
    else if (known != *labels)
      return fail(Code::corrupt, "series " + std::to_string(d.id) + " is " + known.str() + " and " + labels->str());
    Lock lock(definitions_mutex_);
    unsealed_.push_back(d.id);
  }
  for (const auto& runs : {points.runs, points.histogram_runs})
    if (const SeriesId unknown = index_.first_unknown(runs); unknown != no_series)
      return fail(Code::corrupt, "it names series " + std::to_string(unknown) + ", which the series index lacks");
  append(points, {}, 0);  // nobody has kept an answer yet: nothing is late
  return {};
}

std::shared_ptr<Head> SeriesEngine::active() const {
  Lock lock(mutex_);
  return active_;
}

std::vector<DamagedSegment> SeriesEngine::damaged() const {
  Lock lock(mutex_);
  return damaged_;
}

std::shared_ptr<const Segments> SeriesEngine::segments() const {
  Lock lock(mutex_);
  return segments_;
}

void SeriesEngine::saw(std::int64_t t_min, std::int64_t t_max) {
  std::int64_t min = time_min_.load(std::memory_order_relaxed);
  while ((min == 0 || t_min < min) && !time_min_.compare_exchange_weak(min, t_min, std::memory_order_relaxed)) {
  }
  std::int64_t max = time_max_.load(std::memory_order_relaxed);
  while ((max == 0 || t_max > max) && !time_max_.compare_exchange_weak(max, t_max, std::memory_order_relaxed)) {
  }
}

Heads SeriesEngine::heads() const {
  Lock lock(mutex_);
  Heads out;
  if (frozen_) out.push_back(frozen_);
  out.push_back(active_);
  return out;
}

std::uint64_t SeriesEngine::head_bytes() const {
  std::uint64_t total = 0;
  for (const auto& head : heads()) total += head->bytes();
  return total;
}
std::uint64_t SeriesEngine::head_samples() const {
  std::uint64_t total = 0;
  for (const auto& head : heads()) total += head->samples();
  return total;
}
std::uint64_t SeriesEngine::active_series() const { return heads().back()->series(); }

std::uint64_t SeriesEngine::segment_bytes() const {
  std::uint64_t total = 0;
  const auto list = segments();  // held: the loop would outlive a temporary
  for (const auto& segment : *list) total += segment->info().bytes;
  const auto tiers = tier_list();
  for (const auto& tier : *tiers) total += tier->file ? tier->file->info().bytes : 0;
  return total;
}

void SeriesEngine::freeze() {
  {
    Lock lock(definitions_mutex_);
    sealing_.insert(sealing_.end(), unsealed_.begin(), unsealed_.end());
    unsealed_.clear();
  }
  Lock lock(mutex_);
  PLUMBLINE_CHECK(!frozen_, "one head is sealed at a time");
  frozen_ = active_;
  active_ = std::make_shared<Head>(frozen_->seal_number() + 1);
}

bool SeriesEngine::frozen() const {
  Lock lock(mutex_);
  return frozen_ != nullptr;
}

void SeriesEngine::thaw() {
  sealing_.clear();
  Lock lock(mutex_);
  // In one step: a reader that finds no head must find the segments.
  if (!sealed_now_.empty()) {
    auto list = std::make_shared<Segments>(*segments_);
    list->insert(list->end(), sealed_now_.begin(), sealed_now_.end());
    sort_segments(*list);
    segments_ = std::move(list);
    sealed_now_.clear();
  }
  frozen_ = nullptr;
}

Status SeriesEngine::forget() {
  const auto tiers = tier_list();
  if (!damaged().empty() || std::ranges::any_of(*tiers, [](const auto& tier) { return tier->entry.final && !tier->file; })) return {};
  Roaring gone = index_.all();
  const auto list = segments();  // held: the loop would outlive a temporary
  for (const auto& segment : *list) gone -= segment->ids();
  for (const auto& tier : *tiers)
    if (tier->file) gone -= tier->file->info().ids;
  for (const auto& head : heads()) gone -= head->ids();
  if (gone.isEmpty()) return {};
  kv::Batch batch;
  for (const SeriesId id : gone) batch.remove(kv::Family::series, series_key(index_.vshard(id), id));
  batch.put(kv::Family::meta, next_id_key(), encode_next_id(index_.next_id()));
  kv::kill_point("forget.before");
  // Synced: a forgotten series that comes back gets a new id, and a power cut must not bring the old one back beside it.
  const Status written = kv_.write(std::move(batch), kv::Sync::yes);
  kv::kill_point("forget.after");
  Lock lock(definitions_mutex_);
  if (!written) {
    // It may come back with the next start all the same: until a seal has written them anew, nothing but the records that
    // name these series can be relied on to define them.
    any_undefined_.store(true, std::memory_order_release);
    for (const SeriesId id : gone) undefined_.insert(id);
    return written;
  }
  index_.remove(gone);
  for (const SeriesId id : gone) undefined_.erase(id);  // of those whose first record failed
  if (undefined_.empty()) any_undefined_.store(false, std::memory_order_release);
  forgotten_.add(gone.cardinality());
  return {};
}

}  // namespace plumbline::storage::series
