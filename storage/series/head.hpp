// The open end of every series: Gorilla chunks in memory for what arrives in order, and a side buffer for what does not.
//
// A head is active (takes appends), then frozen (read only, being sealed), then dropped. Readers hold it by shared_ptr.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <roaring/roaring.hh>

#include "daemon/base/mutex.hpp"
#include "storage/codec/gorilla.hpp"
#include "storage/series/series_entry.hpp"

namespace plumbline::storage::series {

// Samples that came late or rewrite a timestamp. Sorted, but for a tail that is sorted in when it grows.
class SideBuffer {
 public:
  void add(model::Sample sample);
  // In the order of time, one per timestamp (the last write), inside the range.
  std::vector<model::Sample> read(model::TimeRange range) const;
  bool any(model::TimeRange range) const;
  bool empty() const { return samples_.empty(); }
  std::size_t memory_bytes() const { return samples_.capacity() * sizeof(model::Sample); }

 private:
  std::vector<model::Sample> samples_;
  std::size_t sorted_ = 0;  // the first so many are sorted and unique
};

// Keeps the last of equal timestamps; `samples` is stably sorted by time first.
void sort_and_keep_last(std::vector<model::Sample>& samples);

// Threads: any (64 locks, by id).
class Head {
 public:
  explicit Head(std::uint64_t seal_number) : seal_number_(seal_number) {}
  // The seal that will write this head: samples of a higher number are later writes.
  std::uint64_t seal_number() const { return seal_number_; }

  void append(const EntryPtr& entry, const std::vector<model::Sample>& samples);
  // Appends the samples inside the range to `out`, sorted, one per timestamp. False when the head has none.
  bool read(std::uint32_t id, model::TimeRange range, std::vector<model::Sample>& out) const;
  bool any(std::uint32_t id, model::TimeRange range) const;
  bool holds(std::uint32_t id) const;
  Roaring ids() const;
  // Every series with all its samples, sorted, one per timestamp; no append may run. False stops.
  void visit(const std::function<bool(const SeriesEntry&, const std::vector<model::Sample>&)>& each) const;

  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  std::uint64_t samples() const { return samples_.load(std::memory_order_relaxed); }
  std::uint64_t series() const { return series_.load(std::memory_order_relaxed); }

 private:
  struct OpenChunk {
    codec::GorillaEncoder encoder;
    std::int64_t min_t = 0;
    std::int64_t max_t = 0;
  };
  struct OpenSeries {
    EntryPtr entry;
    std::vector<OpenChunk> chunks;
    std::uint64_t last_bits = 0;
    SideBuffer side;
    std::size_t memory_bytes() const;
    void append(model::Sample sample);
    void read(model::TimeRange range, std::vector<model::Sample>& out) const;
    bool any(model::TimeRange range) const;
  };
  static constexpr std::uint32_t shard_count = 64;
  struct alignas(64) Shard {
    mutable Mutex mutex;
    // By id / 64: ids are dense, and a vector of pointers beats a hash table.
    std::vector<std::unique_ptr<OpenSeries>> series PLUMBLINE_GUARDED_BY(mutex);
  };
  const Shard& shard(std::uint32_t id) const { return shards_[id % shard_count]; }

  const std::uint64_t seal_number_;
  std::array<Shard, shard_count> shards_;
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> samples_{0};
  std::atomic<std::uint64_t> series_{0};
};

}  // namespace plumbline::storage::series
