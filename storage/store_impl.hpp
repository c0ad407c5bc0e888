// The Store over RocksDB: it orders writes into the journal, drives both engines and owns the data directory.
//
//   write():  gate -> shared lock -> ids -> journal record -> heads -> unlock
//   seal():   exclusive lock for the swap of the heads only; then segment files, and one atomic batch that names them, adds the
//             event blocks and moves the trim position
#pragma once

#include <atomic>
#include <map>
#include <thread>

#include "daemon/base/mutex.hpp"
#include "storage/events/event_engine.hpp"
#include "storage/journal/journal.hpp"
#include "storage/kv/file_tree.hpp"
#include "storage/kv/kv.hpp"
#include "storage/series/series_engine.hpp"
#include "storage/storage.hpp"
#include "storage/store_clock_guard.hpp"
#include "storage/store_syncer.hpp"

namespace plumbline::storage {

class KvStore final : public Store {
 public:
  KvStore(Options options, Clock& clock, Log& log, Registry& registry);
  ~KvStore() override;
  Status open();

  Result<WriteReceipt> write(WriteBatch batch) override;

  Status select(const SeriesQuery& query, const SeriesVisitor& visit) const override;
  Status select_parts(const SeriesQuery& query, const Runner& run, const PartVisitor& visit) const override;
  std::uint64_t moment() const override { return series_->changes().moment(); }
  std::int64_t changed_since(std::uint64_t moment, std::string_view metric) const override {
    return series_->changes().since(moment, metric);
  }
  std::size_t parts_of(const Matchers& matchers) const override { return series_->parts_of(matchers); }
  Result<bool> windows(const SeriesQuery& query, std::span<const TimeRange> windows,
                       const WindowVisitor& visit) const override;
  Tiers tiers() const override { return series_->tiers(); }
  Result<std::vector<Labels>> series(const std::vector<Matchers>& selectors, TimeRange range, std::size_t limit,
                                     const GoOn& go_on) const override;
  Result<std::vector<std::string>> label_names(const std::vector<Matchers>& selectors, TimeRange range,
                                               const GoOn& go_on) const override;
  Result<std::vector<std::string>> label_values(std::string_view name, const std::vector<Matchers>& selectors, TimeRange range,
                                                const GoOn& go_on) const override;
  Result<std::vector<MetricMetadata>> metadata(std::string_view metric) const override;
  Status scan(const EventQuery& query, const BlockVisitor& visit) const override;
  Result<std::vector<Labels>> streams(EventKind kind, const Matchers& matchers, TimeRange range_ns) const override;
  Result<std::vector<std::optional<model::LateLabel>>> late_labels(
      std::string_view model, std::span<const std::string> prediction_ids) const override;

  Result<std::optional<std::string>> get(std::string_view key) const override;
  Status put(std::vector<StatePut> puts) override;
  Status list(std::string_view prefix,
              const std::function<bool(std::string_view key, std::string_view value)>& visit) const override;

  Status maintain() override;
  Status seal() override;
  Status erase(const std::vector<Matchers>& selectors, TimeRange range) override;
  Result<BackupReport> backup(const std::string& name) override;
  Status close() override;
  Stats stats() const override;
  Result<model::Cardinality> cardinality(std::size_t n) const override;

 private:
  // The format that the directory has.
  Result<int> check_format();
  Status upgrade_from_v1();
  static void finish_upgrade(kv::Batch& out);
  Status load_positions();
  Status replay();
  Status load_metadata();
  static void to_wire(WriteBatch& batch, std::string& arena);
  // The histograms of a batch under the label bytes of their series, as WireSamples are.
  struct WireHistograms {
    WireSamples names;  // their first and count are of `samples` here
    std::vector<HistogramSample> samples;
  };
  static WireHistograms to_wire(std::vector<SeriesHistograms>& histograms, std::string& arena);
  // Takes out what is too old or too new; says which and why.
  void refuse(WriteBatch& batch, WriteReceipt& receipt) const;
  // The metadata that says something new.
  std::vector<MetricMetadata> changed_metadata(std::vector<MetricMetadata> metadata) const;
  Status journal(WriteBatch& batch, WriteReceipt& receipt);
  Status apply_facts(std::vector<MetricMetadata>& metadata, const std::vector<StatePut>& state);
  journal::Sync sync() const {
    return options_.journal_sync.policy == SyncPolicy::always ? journal::Sync::yes : journal::Sync::no;
  }
  Status alive() const PLUMBLINE_REQUIRES_SHARED(alive_mutex_);
  void note_first_write();
  bool seal_due() const;
  std::vector<series::TierOption> tier_options(std::int64_t now_ms) const;
  Status seal_once() PLUMBLINE_REQUIRES(upkeep_mutex_);
  Status seal_heads() PLUMBLINE_REQUIRES(upkeep_mutex_);
  Status commit_frozen() PLUMBLINE_REQUIRES(upkeep_mutex_);
  Status retain() PLUMBLINE_REQUIRES(upkeep_mutex_);
  Status fill_backup(const kv::FileTree& tree, const std::string& to, BackupReport& report);
  Status make_backup(const kv::FileTree& tree, const std::string& name, BackupReport& report);
  void refresh_meters();
  std::uint64_t disk_bytes() const;

  const Options options_;
  Clock& clock_;
  Log& log_;
  Registry& registry_;

  std::unique_ptr<kv::Kv> kv_;  // destroyed after the engines that borrow it
  std::unique_ptr<kv::TableFiles> files_;
  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<series::SeriesEngine> series_;
  std::unique_ptr<events::EventEngine> events_;
  std::unique_ptr<Syncer> syncer_;

  // Held shared by every call; exclusively by close() only.
  mutable SharedMutex alive_mutex_;
  std::atomic<bool> closed_{false};

  // Writers hold heads_mutex_ shared from their sequence number to the heads; a swap of the heads takes it exclusively, so
  // that the trim position lies between records. A reader-preferring lock would starve the swap: everybody passes the gate
  // first, and the swap waits inside of it.
  Mutex gate_mutex_;
  SharedMutex heads_mutex_;
  std::atomic<std::int64_t> first_write_ns_{0};  // steady clock; 0: the active heads are empty

  std::atomic<bool> backing_up_{false};
  Mutex upkeep_mutex_;  // seal, retention, close
  ClockGuard clock_guard_ PLUMBLINE_GUARDED_BY(upkeep_mutex_);
  bool upgrading_ PLUMBLINE_GUARDED_BY(upkeep_mutex_) = false;  // the next commit ends the upgrade of the directory
  bool frozen_ PLUMBLINE_GUARDED_BY(upkeep_mutex_) = false;  // heads wait for their commit (the first try may fail)
  std::uint64_t frozen_sequence_ PLUMBLINE_GUARDED_BY(upkeep_mutex_) = 0;  // the last record in the frozen heads
  std::uint64_t trimmed_ PLUMBLINE_GUARDED_BY(upkeep_mutex_) = 0;  // records up to here are in sealed blocks
  std::int64_t overrides_applied_ PLUMBLINE_GUARDED_BY(upkeep_mutex_) = -1;  // the day when they were
  std::uint64_t sealed_ PLUMBLINE_GUARDED_BY(upkeep_mutex_) = 0;   // the last seal's number

  mutable SharedMutex metadata_mutex_;
  std::map<std::string, MetricMetadata, std::less<>> metadata_ PLUMBLINE_GUARDED_BY(metadata_mutex_);

  Counter& samples_total_;
  Counter& rows_total_;
  Counter& labels_total_;
  Histogram& seal_seconds_;
  Histogram& resolve_seconds_;  // of a request, as the two below
  Histogram& journal_seconds_;
  Histogram& append_seconds_;
  Counter& seal_failures_;
};

}  // namespace plumbline::storage
