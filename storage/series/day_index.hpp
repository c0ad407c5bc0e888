// Which series have chunks on which UTC day. Persisted per (vshard, day) in the family `postings`; a series whose days have
// all been dropped leaves the series index, so that churn ages out.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include <roaring/roaring.hh>

#include "daemon/base/mutex.hpp"
#include "storage/kv/kv.hpp"
#include "storage/model/sample.hpp"

namespace plumbline::storage::series {

// Ids that a seal adds, by (day, vshard).
using DayAdditions = std::map<std::pair<std::uint32_t, std::uint16_t>, Roaring>;

struct DayIds {
  std::uint32_t day = 0;
  std::shared_ptr<const Roaring> ids;
};

// Threads: readers any; load, put, add, remove from one at a time.
class DayIndex {
 public:
  Status load(const kv::Kv& kv);
  // Writes what the family will hold once `additions` are in.
  void put(const DayAdditions& additions, kv::Batch& out) const;
  void add(const DayAdditions& additions);
  // The days that a range touches, in order.
  std::vector<DayIds> touching(model::TimeRange range) const;
  std::vector<std::uint32_t> days() const;
  std::vector<std::uint16_t> vshards(std::uint32_t day) const;
  void remove(std::uint32_t day);
  Roaring all() const;  // ids that have any day

 private:
  mutable SharedMutex mutex_;
  std::map<std::pair<std::uint32_t, std::uint16_t>, Roaring> shards_ PLUMBLINE_GUARDED_BY(mutex_);
  // The union over vshards, replaced as a whole so that readers keep what they hold.
  std::map<std::uint32_t, std::shared_ptr<const Roaring>> days_ PLUMBLINE_GUARDED_BY(mutex_);
};

std::string day_key(std::uint16_t vshard, std::uint32_t day);

}  // namespace plumbline::storage::series
