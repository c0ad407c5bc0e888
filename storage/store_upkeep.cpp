// Sealing, retention and self-metrics: what upkeep does behind the writers' backs.
#include "storage/kv/kill_point.hpp"
#include "storage/store_impl.hpp"
#include "storage/store_keys.hpp"
#include "storage/store_values.hpp"

namespace plumbline::storage {

namespace {
// A journal this long is replayed in seconds; a head of constant series may stay small for hours while it grows.
constexpr std::uint64_t journal_bytes_max = 512ull << 20;
}  // namespace

bool KvStore::seal_due() const {
  if (series_->head_bytes() + events_->head_bytes() >= options_.head_bytes_max) return true;
  if (journal_->bytes() >= journal_bytes_max) return true;
  if (journal_->in_doubt()) return true;  // and no write is taken until then
  const std::int64_t first = first_write_ns_.load();
  if (first == 0) return false;
  const Steady since{std::chrono::nanoseconds(first)};
  return clock_.steady() - since >= options_.head_age_max;
}

Status KvStore::maintain() {
  ReadLock alive_lock(alive_mutex_);
  PLUMBLINE_CHECK_OK(alive());
  Lock upkeep(upkeep_mutex_);
  Status sealed;
  if (frozen_ || seal_due()) sealed = seal_once();
  Status retained = retain();
  if (sealed && retained) {
    // One file at a time: in between heads are sealed.
    const std::int64_t now_ms = clock_.now_ms();
    if (auto merged = series_->merge_day(now_ms); !merged) retained = fail(merged.error().in("merging a day"));
    else if (!*merged)
      if (auto made = series_->make_tier(now_ms, tier_options(now_ms)); !made) retained = fail(made.error().in("downsampling a day"));
  }
  refresh_meters();
  return sealed ? retained : sealed;
}

Status KvStore::seal() {
  ReadLock alive_lock(alive_mutex_);
  PLUMBLINE_CHECK_OK(alive());
  Lock upkeep(upkeep_mutex_);
  return seal_once();
}

Status KvStore::erase(const std::vector<Matchers>& selectors, TimeRange range) {
  ReadLock alive_lock(alive_mutex_);
  PLUMBLINE_CHECK_OK(alive());
  Lock upkeep(upkeep_mutex_);
  PLUMBLINE_CHECK_OK(seal_once());
  kv::kill_point("erase.sealed");
  Roaring ids;
  for (const Matchers& selector : selectors) ids |= series_->index().resolve(selector);
  return series_->erase(ids, range);
}

Status KvStore::seal_once() {
  if (frozen_) PLUMBLINE_CHECK_OK(commit_frozen());  // an earlier seal whose commit failed
  if (journal_->last_sequence() != trimmed_) return seal_heads();
  return journal_->in_doubt() ? journal_->trim(trimmed_) : Status{};
}

Status KvStore::seal_heads() {
  {
    Lock gate(gate_mutex_);
    WriteLock heads(heads_mutex_);
    series_->freeze();
    events_->freeze(sealed_ + 1);
    frozen_sequence_ = std::max(trimmed_, journal_->last_sequence());  // an upgrade's old position is ahead
    first_write_ns_ = 0;
    frozen_ = true;
  }
  kv::kill_point("seal.frozen");
  return commit_frozen();
}

Status KvStore::commit_frozen() {
  const Steady start = clock_.steady();
  kv::Batch batch;
  const std::uint64_t trim = frozen_sequence_;
  const std::uint64_t seal = sealed_ + 1;
  const bool upgrading = upgrading_;
  const auto build = [&]() -> Status {
    PLUMBLINE_CHECK_OK(series_->seal(batch));
    PLUMBLINE_CHECK_OK(events_->seal(batch));
    if (upgrading) finish_upgrade(batch);
    batch.put(kv::Family::meta, positions_key(), encode_positions({upgrading ? 0 : trim, seal}));
    // Synced whatever the journal's policy is: the records behind it are about to go.
    kv::kill_point("seal.commit.before");
    return kv_->write(std::move(batch), kv::Sync::yes);
  };
  if (auto status = build(); !status) {
    seal_failures_.add();
    return fail(status.error().in("sealing the head"));
  }
  kv::kill_point("seal.commit.after");
  series_->thaw();
  events_->thaw();
  frozen_ = false;
  ++sealed_;
  trimmed_ = frozen_sequence_;
  seal_seconds_.observe(std::chrono::duration<double>(clock_.steady() - start).count());
  // The position above is what trims; this only gives the space back, and a crash before it leaves records that replay
  // passes over.
  if (auto status = journal_->trim(trimmed_); !status)
    log_.warn("the trimmed journal still takes space", {{"error", status.error().message}});
  return {};
}

std::vector<series::TierOption> KvStore::tier_options(std::int64_t now_ms) const {
  std::vector<series::TierOption> out;
  for (const auto& [resolution, keep] : {std::pair{series::tier_5m, options_.downsample_5m_retention}, std::pair{series::tier_1h, options_.downsample_1h_retention}})
    if (keep > Millis(0)) out.push_back({resolution, now_ms - keep.count()});
  return out;
}

Status KvStore::retain() {
  const std::int64_t now_ns = clock_.now_ns();
  if (!clock_guard_.trust(now_ns, clock_.steady())) return {};
  const std::int64_t now_ms = now_ns / 1'000'000;
  const auto tiers = tier_options(now_ms);
  PLUMBLINE_TRY(bool dropped, series_->retain(now_ms - options_.retention_series.count(), tiers));
  PLUMBLINE_TRY(const bool dropped_tiers, series_->retain_tiers(tiers));
  dropped = dropped || dropped_tiers;
  PLUMBLINE_CHECK_OK(events_->retain(now_ns - options_.retention_events.count() * 1'000'000));
  // Once per start and then once a day: a day is what ends.
  const std::int64_t today = now_ms / 86'400'000;
  if (!options_.retention_overrides.empty() && today != overrides_applied_) {
    for (const Options::Retention& r : options_.retention_overrides) {
      const std::int64_t cutoff = (now_ms - r.keep.count()) / 86'400'000 * 86'400'000;
      if (cutoff <= 0) continue;
      const Status erased = series_->erase(series_->index().resolve(r.matchers), {0, cutoff - 1});
      if (erased) continue;
      if (erased.error().code != Code::corrupt && erased.error().code != Code::io) return erased;
      // It must not hold up the rest for ever: tomorrow it is tried again.
      log_.error("a retention override passed over a day that does not read", {{"error", erased.error().message}});
    }
    overrides_applied_ = today;
  }
  if (!dropped) return {};
  Lock gate(gate_mutex_);
  WriteLock heads(heads_mutex_);
  return series_->forget();
}

void KvStore::refresh_meters() {
  const auto set = [this](const char* name, const char* help, double value) { registry_.gauge(name, help).set(value); };
  set("plumbline_store_series_active", "Series that wrote since the last seal.",
      static_cast<double>(series_->active_series()));
  set("plumbline_store_series", "Series in the index.", static_cast<double>(series_->total_series()));
  set("plumbline_store_head_bytes", "Memory of the open heads.",
      static_cast<double>(series_->head_bytes() + events_->head_bytes()));
  set("plumbline_store_head_samples", "Samples in the open heads.", static_cast<double>(series_->head_samples()));
  set("plumbline_store_head_rows", "Rows in the open heads.", static_cast<double>(events_->head_rows()));
  set("plumbline_store_journal_bytes", "Journal that a restart replays.", static_cast<double>(journal_->bytes()));
  const auto written = [this](const char* kind, std::uint64_t bytes) {
    Counter& counter = registry_.counter("plumbline_store_rocksdb_written_bytes_total", "Bytes that RocksDB gave to the disk: its log, flushes, compactions.", {{"kind", kind}});
    if (bytes > counter.value()) counter.add(bytes - counter.value());
  };
  const kv::Kv::Written bytes = kv_->written_bytes();
  written("log", bytes.log);
  written("flush", bytes.flushed);
  written("compaction", bytes.compacted);
  set("plumbline_store_rocksdb_bytes", "Files of RocksDB.", static_cast<double>(kv_->disk_bytes()));
  set("plumbline_store_segment_bytes", "Files of segments.", static_cast<double>(series_->segment_bytes()));
  set("plumbline_store_disk_bytes", "Files of the data directory.", static_cast<double>(disk_bytes()));
}

std::uint64_t KvStore::disk_bytes() const {
  return kv_->disk_bytes() + series_->segment_bytes() + journal_->bytes();
}

Stats KvStore::stats() const {
  Stats out;
  ReadLock alive_lock(alive_mutex_);
  if (!alive()) return out;
  out.series_active = series_->active_series();
  out.series_total = series_->total_series();
  out.head_bytes = series_->head_bytes() + events_->head_bytes();
  out.head_samples = series_->head_samples();
  out.head_rows = events_->head_rows();
  out.disk_bytes = disk_bytes();
  out.journal_sequence = journal_->last_sequence();
  out.time_min_ms = series_->time_min();
  out.time_max_ms = series_->time_max();
  return out;
}

}  // namespace plumbline::storage
