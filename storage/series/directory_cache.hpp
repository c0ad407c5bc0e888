// Decoded directories of groups that were read lately, shared by all segments of a process: who asks for few series of many
// groups again and again (a dashboard over 30 days) pays for decoding once.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <utility>

#include "daemon/base/meters.hpp"
#include "daemon/base/mutex.hpp"

namespace plumbline::storage::series {

struct Directory;

// Borrows: the counters. Threads: any. Outlives the segments that use it. Drops what was not used for longest.
class DirectoryCache {
 public:
  explicit DirectoryCache(std::uint64_t bytes_max, Counter* hits = nullptr, Counter* misses = nullptr)
      : bytes_max_(bytes_max), hits_(hits), misses_(misses) {}
  // `segment` is a number that no other open segment of the process has.
  std::shared_ptr<const Directory> find(std::uint64_t segment, std::size_t group);
  void put(std::uint64_t segment, std::size_t group, std::shared_ptr<const Directory> directory);
  std::uint64_t bytes() const;

 private:
  using Key = std::pair<std::uint64_t, std::size_t>;
  struct Entry {
    Key key;
    std::shared_ptr<const Directory> directory;
    std::uint64_t bytes = 0;
  };
  const std::uint64_t bytes_max_;
  Counter* const hits_;  // null: not counted
  Counter* const misses_;
  mutable Mutex mutex_;
  std::list<Entry> used_ PLUMBLINE_GUARDED_BY(mutex_);  // the latest first
  std::map<Key, std::list<Entry>::iterator> places_ PLUMBLINE_GUARDED_BY(mutex_);
  std::uint64_t bytes_ PLUMBLINE_GUARDED_BY(mutex_) = 0;
};

}  // namespace plumbline::storage::series
