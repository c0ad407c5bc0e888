// What was decoded of segments lately, kept for the next reader, and shared by all segments of a store: a dashboard asks for the
// same series again and again, and decoding is most of what that costs.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/base/meters.hpp"
#include "daemon/base/mutex.hpp"

namespace plumbline::storage::series {

struct Directory;

struct CacheMeters {  // null: not counted
  Counter* hits = nullptr;
  Counter* misses = nullptr;
};

// The segment, a number that no other open segment of the process has, and the place in it.
struct PartKey {
  std::uint64_t segment = 0, place = 0;
  bool operator==(const PartKey&) const = default;
};
struct PartKeyHash {
  std::uint64_t operator()(const PartKey& key) const {
    const std::uint64_t h = (key.segment * 0x9e37'79b9'7f4a'7c15 ^ key.place) * 0xd6e8'feb8'6659'fd93;
    return h ^ h >> 32;
  }
};

// Decoded parts. Drops what was not used for longest. Threads: any; cut into shards, because the threads of one query ask for
// thousands of parts. Borrows: the counters.
template <class Part>
class SegmentCache {
 public:
  explicit SegmentCache(std::uint64_t bytes_max, CacheMeters meters = {}) : bytes_max_(bytes_max / shards), meters_(meters) {}

  // Null when it is not there.
  std::shared_ptr<const Part> find(PartKey key) {
    Shard& shard = shard_of(key);
    std::shared_ptr<const Part> found;
    {
      Lock lock(shard.mutex);
      if (const auto at = shard.places.find(key); at != shard.places.end()) {
        shard.used.splice(shard.used.begin(), shard.used, at->second);
        found = at->second->part;
      }
    }
    if (Counter* const told = found ? meters_.hits : meters_.misses; told != nullptr) told->add();
    return found;
  }
  void put(PartKey key, std::shared_ptr<const Part> part, std::uint64_t bytes) {
    bytes += 192;  // the nodes of both containers, and what the allocator adds
    if (bytes > bytes_max_) return;
    Shard& shard = shard_of(key);
    std::list<Entry> dropped;  // freed after the lock
    Lock lock(shard.mutex);
    if (shard.places.contains(key)) return;  // another reader was faster
    shard.used.push_front({key, std::move(part), bytes});
    shard.places.emplace(key, shard.used.begin());
    shard.bytes += bytes;
    while (shard.bytes > bytes_max_) {
      shard.bytes -= shard.used.back().bytes;
      shard.places.erase(shard.used.back().key);
      dropped.splice(dropped.begin(), shard.used, std::prev(shard.used.end()));
    }
  }
  std::uint64_t bytes() const {
    std::uint64_t sum = 0;
    for (const Shard& shard : shards_) {
      Lock lock(shard.mutex);
      sum += shard.bytes;
    }
    return sum;
  }

 private:
  struct Entry {
    PartKey key;
    std::shared_ptr<const Part> part;
    std::uint64_t bytes = 0;
  };
  struct Shard {
    mutable Mutex mutex;
    std::list<Entry> used PLUMBLINE_GUARDED_BY(mutex);  // the latest first
    std::unordered_map<PartKey, typename std::list<Entry>::iterator, PartKeyHash> places PLUMBLINE_GUARDED_BY(mutex);
    std::uint64_t bytes PLUMBLINE_GUARDED_BY(mutex) = 0;
  };
  static constexpr std::size_t shards = 8;
  Shard& shard_of(const PartKey& key) { return shards_[PartKeyHash()(key) >> 61]; }

  const std::uint64_t bytes_max_;  // of a shard
  const CacheMeters meters_;
  std::array<Shard, shards> shards_;
};

// What was asked for lately: a reading that passes over everything once should not drive out what is read often. Remembers the last
// 65,536 to 131,072 parts (a day of some 10,000 series at 15 s) as bits among 2^20, so that at most one part in eight is taken for one
// that was asked for. Threads: any.
class AskedLately {
 public:
  // Whether it was asked for before.
  bool again(PartKey key) {
    const std::uint64_t hash = PartKeyHash()(key);
    const std::size_t word = hash / 64 % words;
    const std::uint64_t bit = std::uint64_t{1} << hash % 64;
    if (((now_[word].fetch_or(bit, std::memory_order_relaxed) | before_[word].load(std::memory_order_relaxed)) & bit) != 0) return true;
    // One of the threads turns the page; what the others note meanwhile may be forgotten.
    if (count_.fetch_add(1, std::memory_order_relaxed) % remembered == remembered - 1)
      for (std::size_t i = 0; i < words; ++i) before_[i] = now_[i].exchange(0, std::memory_order_relaxed);
    return false;
  }

 private:
  static constexpr std::size_t words = (1u << 20) / 64, remembered = 1u << 16;
  std::array<std::atomic<std::uint64_t>, words> now_{}, before_{};
  std::atomic<std::uint64_t> count_{0};
};

// All a segment decodes. Outlives the segments that use it.
struct SegmentCaches {
  // Bytes of directories, and of values and times. Borrows: the registry, which may be null.
  SegmentCaches(std::uint64_t directory_bytes_max, std::uint64_t decoded_bytes_max, Registry* registry = nullptr);

  SegmentCache<Directory> directories;            // by group
  SegmentCache<std::vector<double>> values;       // by group and chunk
  SegmentCache<std::vector<std::int64_t>> times;  // by times record and column
  AskedLately asked;                              // of values and times
};

}  // namespace plumbline::storage::series
