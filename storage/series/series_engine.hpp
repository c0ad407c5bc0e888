// The metric engine: series index, heads, sealed chunks. The Store drives it exactly as it drives the event engine:
//   resolve()  before the journal: label sets become entries (ids)
//   append()   after the batch is in the journal; the samples are visible at once
//   freeze()   with no append running; seal() into the batch that also trims the journal; thaw() after its commit
// A reader takes the heads first and the chunks after: between commit and thaw a sample is seen twice and merged, never zero
// times. Equal timestamps: the later seal wins, then the frozen head, then the active one; inside a head the later write.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "daemon/base/mutex.hpp"
#include "storage/kv/kv.hpp"
#include "storage/series/day_index.hpp"
#include "storage/series/head.hpp"
#include "storage/series/series_index.hpp"
#include "storage/storage.hpp"

namespace plumbline::storage::series {

// The heads a read works with, oldest first.
using Heads = std::vector<std::shared_ptr<const Head>>;

// Threads: resolve, append and all reads from any; load, freeze, seal, thaw, retain, forget from one at a time.
// Borrows: kv, log, registry.
class SeriesEngine {
 public:
  SeriesEngine(kv::Kv& kv, Log& log, Registry& registry);

  // Reads the index; seals are numbered above `sealed`. Fails: corrupt, io, unsupported.
  Status load(std::uint64_t sealed);

  struct Refused {
    std::uint64_t samples = 0;
    std::string example;  // a series
  };
  // One entry per remaining element. New series are registered, their labels moved out of the batch; known ones keep theirs.
  // New series that would pass `active_max` are taken out of the batch and told in `refused`; known series always pass.
  std::vector<EntryPtr> resolve(std::vector<SeriesSamples>& series, std::uint64_t active_max, Refused& refused);
  // Adds the definitions of entries that no earlier batch has made durable, and marks all as named by `sequence`.
  void define(const std::vector<EntryPtr>& entries, std::uint64_t sequence, kv::Batch& out) const;
  // Every element has at least one sample.
  void append(const std::vector<EntryPtr>& entries, const std::vector<SeriesSamples>& series);
  EntryPtr entry(std::uint32_t id) const { return index_.entry(id); }
  // From the journal at start.
  void replay(const EntryPtr& entry, const std::vector<Sample>& samples, std::uint64_t sequence);

  std::uint64_t head_bytes() const;
  std::uint64_t head_samples() const;
  std::uint64_t active_series() const;
  std::uint64_t total_series() const { return index_.size(); }
  std::int64_t time_min() const { return time_min_; }  // 0 when there are no samples
  std::int64_t time_max() const { return time_max_; }

  void freeze();
  Status seal(kv::Batch& out);
  void thaw();
  bool frozen() const;

  // Drops the days that end at or before the cutoff. True when there were any: forget() then has something to do.
  Result<bool> retain(std::int64_t cutoff_ms);
  // Removes series that have no chunk, no sample in a head and no record behind `trimmed` that names them. No writer may
  // run: the caller holds the lock that freezes.
  Status forget(std::uint64_t trimmed);

  Status select(const SeriesQuery& query, const SeriesVisitor& visit) const;
  Result<std::vector<Labels>> series(const std::vector<Matchers>& selectors, TimeRange range, std::size_t limit) const;
  Result<std::vector<std::string>> label_names(const std::vector<Matchers>& selectors, TimeRange range) const;
  Result<std::vector<std::string>> label_values(std::string_view name, const std::vector<Matchers>& selectors,
                                                TimeRange range) const;

 private:
  std::shared_ptr<Head> active() const;
  Heads heads() const;
  Roaring candidates(const std::vector<Matchers>& selectors) const;
  // Those of `ids` that have a sample in range.
  Result<Roaring> present(const Roaring& ids, TimeRange range) const;
  void saw(std::int64_t t);
  std::string encode_bounds() const;

  kv::Kv& kv_;
  Log& log_;
  Counter& created_;
  Counter& forgotten_;
  SeriesIndex index_;
  DayIndex days_;
  DayAdditions sealing_;  // by seal() for thaw()

  mutable Mutex mutex_;
  std::shared_ptr<Head> active_ PLUMBLINE_GUARDED_BY(mutex_);
  std::shared_ptr<Head> frozen_ PLUMBLINE_GUARDED_BY(mutex_);
  std::atomic<std::int64_t> time_min_{0};
  std::atomic<std::int64_t> time_max_{0};
};

}  // namespace plumbline::storage::series
