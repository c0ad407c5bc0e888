// Labels <-> id, and the postings (label name -> value -> ids) that matchers are resolved with. All in memory, rebuilt from
// the family `series` at start: 60,000 series take 60 ms.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <roaring/roaring.hh>

#include "daemon/base/mutex.hpp"
#include "storage/model/matcher.hpp"
#include "storage/series/id_table.hpp"
#include "storage/series/series_entry.hpp"

namespace plumbline::storage::series {

// A series as a request names it: the hash is computed once and serves look-up, id table and vshard.
struct SeriesKey {
  const model::Labels* labels = nullptr;
  std::uint64_t fingerprint = 0;
};

// Threads: any.
class SeriesIndex {
 public:
  // One lock for a whole request; null where the series is unknown.
  void find(const std::vector<SeriesKey>& keys, std::vector<EntryPtr>& out) const;
  // Registers, or finds what another thread registered meanwhile.
  EntryPtr add(std::uint64_t fingerprint, model::Labels labels);
  // At start, from disk. Fails: corrupt when the id is taken.
  Status restore(std::uint32_t id, model::Labels labels);
  // Ids below this are never given out (again).
  void reserve_ids(std::uint32_t next);
  std::uint32_t next_id() const;
  EntryPtr entry(std::uint32_t id) const;
  std::vector<EntryPtr> entries(const Roaring& ids) const;  // by id; unknown ids are left out
  Roaring all() const;
  std::size_t size() const;
  void remove(const Roaring& ids);

  Roaring resolve(const model::Matchers& matchers) const;
  // Names and values that occur on the given series; sorted.
  std::vector<std::string> label_names(const Roaring& ids) const;
  std::vector<std::string> label_values(std::string_view name, const Roaring& ids) const;

 private:
  using Values = std::map<std::string, Roaring, std::less<>>;  // sorted: /label/<n>/values answers in order

  const EntryPtr* find_locked(std::uint64_t fingerprint, const model::Labels& labels) const
      PLUMBLINE_REQUIRES_SHARED(mutex_);
  void insert_locked(const EntryPtr& entry) PLUMBLINE_REQUIRES(mutex_);
  Roaring matching(const Values& values, const model::Matcher& matcher) const PLUMBLINE_REQUIRES_SHARED(mutex_);
  void narrow(Roaring& ids, const model::Matcher& matcher) const PLUMBLINE_REQUIRES_SHARED(mutex_);

  mutable SharedMutex mutex_;
  std::vector<EntryPtr> by_id_ PLUMBLINE_GUARDED_BY(mutex_);
  IdTable by_hash_ PLUMBLINE_GUARDED_BY(mutex_);
  std::map<std::string, Values, std::less<>> postings_ PLUMBLINE_GUARDED_BY(mutex_);
  Roaring all_ PLUMBLINE_GUARDED_BY(mutex_);
  std::uint32_t next_id_ PLUMBLINE_GUARDED_BY(mutex_) = 0;
};

}  // namespace plumbline::storage::series
