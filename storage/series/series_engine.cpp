#include "storage/series/series_engine.hpp"

#include <algorithm>
#include <unordered_map>

#include "daemon/base/bytes.hpp"
#include "daemon/base/check.hpp"
#include "storage/series/chunk.hpp"

namespace plumbline::storage::series {

namespace {

std::string series_key(const SeriesEntry& entry) {
  ByteWriter out;
  out.raw(kv::key_prefix(entry.vshard));
  out.be32(entry.id);
  return out.take();
}
std::string next_id_key() { return kv::key_prefix(0) + "series_next_id"; }
std::string bounds_key() { return kv::key_prefix(0) + "series_bounds"; }

}  // namespace

SeriesEngine::SeriesEngine(kv::Kv& kv, Log& log, Registry& registry)
    : kv_(kv),
      log_(log),
      created_(registry.counter("plumbline_store_series_created_total", "Series that were not known before.")),
      forgotten_(registry.counter("plumbline_store_series_forgotten_total",
                                  "Series that left the index because all their days were dropped.")),
      active_(std::make_shared<Head>(1)) {}

Status SeriesEngine::load(std::uint64_t sealed) {
  {
    Lock lock(mutex_);
    active_ = std::make_shared<Head>(sealed + 1);
  }
  Status damage;
  PLUMBLINE_CHECK_OK(kv_.scan(kv::Family::series, "", "", [&](std::string_view key, std::string_view value) {
    ByteReader in(key);
    in.raw(kv::key_prefix_bytes);
    const std::uint32_t id = in.be32();
    auto labels = Labels::decode(value);
    if (!in.ok() || !labels) {
      damage = fail(Code::corrupt, "series index: id " + std::to_string(id) + ": " +
                                       (labels ? std::string("key ends early") : labels.error().message));
      return false;
    }
    damage = index_.restore(id, std::move(*labels));
    return damage.has_value();
  }));
  PLUMBLINE_CHECK_OK(damage);
  PLUMBLINE_TRY(const auto next, kv_.get(kv::Family::meta, next_id_key()));
  if (next) index_.reserve_ids(static_cast<std::uint32_t>(ByteReader(*next).le64()));
  PLUMBLINE_TRY(const auto bounds, kv_.get(kv::Family::meta, bounds_key()));
  if (bounds) {
    ByteReader in(*bounds);
    time_min_ = in.zigzag();
    time_max_ = in.zigzag();
  }
  return days_.load(kv_);
}

std::vector<EntryPtr> SeriesEngine::resolve(std::vector<SeriesSamples>& series, std::uint64_t active_max,
                                            Refused& refused) {
  std::vector<SeriesKey> keys;
  keys.reserve(series.size());
  for (const SeriesSamples& s : series) keys.push_back({&s.labels, s.labels.fingerprint()});
  std::vector<EntryPtr> entries;
  index_.find(keys, entries);

  const std::shared_ptr<Head> active = this->active();
  const std::uint64_t number = active->seal_number();
  // Two requests at once may pass the limit by what they bring; the next one is refused.
  const std::uint64_t now = active->series();
  std::uint64_t room = active_max > now ? active_max - now : 0;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!entries[i]) {
      if (room == 0) {
        if (refused.samples == 0) refused.example = series[i].labels.str();
        refused.samples += series[i].samples.size();
        continue;
      }
      --room;
      entries[i] = index_.add(keys[i].fingerprint, std::move(series[i].labels));
      created_.add();
    }
    entries[i]->active_in.store(number, std::memory_order_relaxed);
    if (kept != i) {
      entries[kept] = std::move(entries[i]);
      series[kept] = std::move(series[i]);
    }
    ++kept;
  }
  entries.resize(kept);
  series.resize(kept);
  return entries;
}

void SeriesEngine::define(const std::vector<EntryPtr>& entries, std::uint64_t sequence, kv::Batch& out) const {
  for (const EntryPtr& e : entries) {
    // Requests run side by side: the largest number stays.
    std::uint64_t before = e->touched.load(std::memory_order_relaxed);
    while (before < sequence && !e->touched.compare_exchange_weak(before, sequence, std::memory_order_relaxed)) {
    }
    if (!e->persisted.load(std::memory_order_acquire))
      out.put(kv::Family::series, series_key(*e), e->labels.encode());
  }
}

void SeriesEngine::append(const std::vector<EntryPtr>& entries, const std::vector<SeriesSamples>& series) {
  if (entries.empty()) return;
  const std::shared_ptr<Head> head = active();  // once per request: no swap happens under the caller's lock
  std::int64_t min = series.front().samples.front().t;
  std::int64_t max = min;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!entries[i]->persisted.load(std::memory_order_relaxed))
      entries[i]->persisted.store(true, std::memory_order_release);
    head->append(entries[i], series[i].samples);
    for (const Sample& s : series[i].samples) {
      min = std::min(min, s.t);
      max = std::max(max, s.t);
    }
  }
  saw(min);
  saw(max);
}

void SeriesEngine::replay(const EntryPtr& entry, const std::vector<Sample>& samples, std::uint64_t sequence) {
  entry->touched = sequence;
  const std::shared_ptr<Head> head = active();
  head->append(entry, samples);
  entry->active_in.store(head->seal_number(), std::memory_order_relaxed);
  for (const Sample& s : samples) saw(s.t);
}

std::shared_ptr<Head> SeriesEngine::active() const {
  Lock lock(mutex_);
  return active_;
}

void SeriesEngine::saw(std::int64_t t) {
  std::int64_t min = time_min_.load(std::memory_order_relaxed);
  while ((min == 0 || t < min) && !time_min_.compare_exchange_weak(min, t, std::memory_order_relaxed)) {
  }
  std::int64_t max = time_max_.load(std::memory_order_relaxed);
  while ((max == 0 || t > max) && !time_max_.compare_exchange_weak(max, t, std::memory_order_relaxed)) {
  }
}

std::string SeriesEngine::encode_bounds() const {
  ByteWriter out;
  out.zigzag(time_min_);
  out.zigzag(time_max_);
  return out.take();
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

void SeriesEngine::freeze() {
  Lock lock(mutex_);
  PLUMBLINE_CHECK(!frozen_, "one head is sealed at a time");
  frozen_ = active_;
  active_ = std::make_shared<Head>(frozen_->seal_number() + 1);
}

bool SeriesEngine::frozen() const {
  Lock lock(mutex_);
  return frozen_ != nullptr;
}

Status SeriesEngine::seal(kv::Batch& out) {
  std::shared_ptr<const Head> head;
  {
    Lock lock(mutex_);
    head = frozen_;
  }
  PLUMBLINE_CHECK(head, "seal() follows freeze()");
  sealing_.clear();
  std::vector<Sample> part;
  head->visit([&](const SeriesEntry& entry, const std::vector<Sample>& samples) {
    for (std::size_t i = 0; i < samples.size();) {
      const std::uint32_t day = day_of(samples[i].t);
      part.clear();
      while (i < samples.size() && part.size() < chunk_samples_max && day_of(samples[i].t) == day)
        part.push_back(samples[i++]);
      const ChunkKey key{day, entry.id, part.front().t, head->seal_number()};
      out.put(kv::Family::chunks, chunk_key(entry.vshard, key), encode_chunk(entry.id, part));
      sealing_[{day, entry.vshard}].add(entry.id);
    }
    return true;
  });
  days_.put(sealing_, out);
  out.put(kv::Family::meta, bounds_key(), encode_bounds());
  return {};
}

void SeriesEngine::thaw() {
  days_.add(sealing_);  // before the head goes: a reader that finds no head must find the days
  sealing_.clear();
  Lock lock(mutex_);
  frozen_ = nullptr;
}

Result<bool> SeriesEngine::retain(std::int64_t cutoff_ms) {
  bool dropped = false;
  for (const std::uint32_t day : days_.days()) {
    if ((static_cast<std::int64_t>(day) + 1) * day_ms > cutoff_ms) break;
    // The postings go last: a crash in between leaves a day that is dropped again.
    kv::Batch postings;
    for (const std::uint16_t vshard : days_.vshards(day)) {
      PLUMBLINE_CHECK_OK(
          kv_.drop_range(kv::Family::chunks, chunk_key_from(vshard, day), chunk_key_from(vshard, day + 1)));
      postings.remove(kv::Family::postings, day_key(vshard, day));
    }
    PLUMBLINE_CHECK_OK(kv_.write(std::move(postings), kv::Sync::no));
    days_.remove(day);
    const std::int64_t oldest = (static_cast<std::int64_t>(day) + 1) * day_ms;
    std::int64_t min = time_min_.load();
    while (min != 0 && min < oldest && !time_min_.compare_exchange_weak(min, std::min(oldest, time_max_.load()))) {
    }
    log_.info("dropped a day of series", {{"day", day}});
    dropped = true;
  }
  return dropped;
}

Status SeriesEngine::forget(std::uint64_t trimmed) {
  Roaring gone = index_.all();
  gone -= days_.all();
  for (const auto& head : heads()) gone -= head->ids();
  kv::Batch batch;
  Roaring remove;
  for (const EntryPtr& e : index_.entries(gone)) {
    if (e->touched.load() > trimmed) continue;
    batch.remove(kv::Family::series, series_key(*e));
    remove.add(e->id);
  }
  if (remove.isEmpty()) return {};
  ByteWriter next;
  next.le64(index_.next_id());
  batch.put(kv::Family::meta, next_id_key(), next.str());
  PLUMBLINE_CHECK_OK(kv_.write(std::move(batch), kv::Sync::no));
  index_.remove(remove);
  forgotten_.add(remove.cardinality());
  return {};
}

}  // namespace plumbline::storage::series
