// Labels <-> id, and the postings (label pair -> ids) that matchers are resolved with. All in memory, rebuilt at start from the
// stored definitions. Built for three things: a request whose series come in the order of the last one costs a hash and a
// compare each; a series costs some 100 bytes beside what only it has; a million new series are no incident.
//
// A *raw form* is the labels of a series as remote write carries them (model/wire_labels.hpp). Most series have one, the
// canonical; a sender that does not sort has another. The index knows forms by a keyed hash of 128 bits (form_hash.hpp says
// why that is an identity) and never stores their bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <roaring/roaring.hh>

#include "daemon/base/mutex.hpp"
#include "storage/model/cardinality.hpp"
#include "storage/model/matcher.hpp"
#include "storage/series/alias_table.hpp"
#include "storage/series/form_hash.hpp"
#include "storage/series/head.hpp"
#include "storage/series/label_list.hpp"
#include "storage/series/label_pairs.hpp"
#include "storage/series/paged.hpp"
#include "storage/series/segment.hpp"
#include "storage/series/tag_table.hpp"

namespace plumbline::storage::series {

// Threads: any.
class LabelIndex {
 public:
  // Looks up the series of one request. Holds the index's lock shared: short-lived, one thread, and that thread calls nothing
  // of the index but the Finder while it lives (a writer that waits in between would be a deadlock).
  class Finder {
   public:
    Finder(const Finder&) = delete;
    Finder& operator=(const Finder&) = delete;
    ~Finder();
    // no_series when the form is unknown: the caller parses it and calls add() once the Finder is gone.
    SeriesId find(std::string_view raw);
    std::uint16_t vshard(SeriesId id) const;      // of an id that find() gave
    model::Labels labels(SeriesId id) const;

   private:
    friend class LabelIndex;
    explicit Finder(const LabelIndex& index);
    const LabelIndex& index_;
    SeriesId last_ = no_series;
  };

  struct Added {
    SeriesId id = no_series;
    bool created = false;
  };
  struct NewSeries {
    const model::Labels* labels = nullptr;
    std::string_view raw;  // empty: only the canonical form is known
  };
  LabelIndex();

  Finder finder() const PLUMBLINE_EXCLUDES(mutex_);
  // Registers, or finds what is registered already, and remembers `raw` as a form of it. A series remembers at most
  // 1 + forms_more_max forms; a further one takes the place of the one that find() compares first.
  Added add(const model::Labels& labels, std::string_view raw) PLUMBLINE_EXCLUDES(mutex_);
  std::vector<Added> add_many(std::span<const NewSeries> series) PLUMBLINE_EXCLUDES(mutex_);  // the lock once
  // At start, from disk, in any order. Fails: corrupt when the id is taken or is no_series.
  Status restore(SeriesId id, const model::Labels& labels) PLUMBLINE_EXCLUDES(mutex_);
  // Ids below this are never given out (again).
  void reserve_ids(SeriesId next) PLUMBLINE_EXCLUDES(mutex_);
  SeriesId next_id() const PLUMBLINE_EXCLUDES(mutex_);

  model::Labels labels(SeriesId id) const PLUMBLINE_EXCLUDES(mutex_);  // empty for an unknown id
  std::vector<model::Labels> labels_of(std::span<const SeriesId> ids) const PLUMBLINE_EXCLUDES(mutex_);
  SeriesId find(const model::Labels& labels) const PLUMBLINE_EXCLUDES(mutex_);  // no_series when unknown
  bool contains(SeriesId id) const PLUMBLINE_EXCLUDES(mutex_);
  // The first that is not known, or no_series; the lock once.
  SeriesId first_unknown(std::span<const SeriesRun> runs) const PLUMBLINE_EXCLUDES(mutex_);
  // Those of `ids` that are known: by vshard, then id; or by vshard, and within it siblings (one metric on many hosts) beside
  // each other, as segments are written.
  std::vector<SeriesRef> refs(const Roaring& ids) const PLUMBLINE_EXCLUDES(mutex_);
  std::vector<SeriesRef> label_order(const Roaring& ids) const PLUMBLINE_EXCLUDES(mutex_);
  std::uint16_t vshard(SeriesId id) const PLUMBLINE_EXCLUDES(mutex_);  // Labels::fingerprint() % 256; 0 when unknown
  Roaring all() const PLUMBLINE_EXCLUDES(mutex_);
  std::size_t size() const PLUMBLINE_EXCLUDES(mutex_);
  void remove(const Roaring& ids) PLUMBLINE_EXCLUDES(mutex_);  // unknown ids are left out; ids are never given again

  Roaring resolve(const model::Matchers& matchers) const PLUMBLINE_EXCLUDES(mutex_);
  // Names and values that occur on the given series; sorted.
  std::vector<std::string> label_names(const Roaring& ids) const PLUMBLINE_EXCLUDES(mutex_);
  std::vector<std::string> label_values(std::string_view name, const Roaring& ids) const PLUMBLINE_EXCLUDES(mutex_);

  // The metric of each of the known ones among `ids`, "" where it has none. `visit` calls nothing of the index.
  void visit_metrics(std::span<const SeriesId> ids, const std::function<void(std::size_t, std::string_view)>& visit) const
      PLUMBLINE_EXCLUDES(mutex_);
  std::uint32_t series_of_metric(std::string_view metric) const PLUMBLINE_EXCLUDES(mutex_);  // a look-up, no scan
  model::Cardinality cardinality(std::size_t n) const PLUMBLINE_EXCLUDES(mutex_);
  std::size_t memory_bytes() const PLUMBLINE_EXCLUDES(mutex_);  // what was allocated; walks the postings

  static constexpr std::uint32_t forms_more_max = 3;

 private:
  struct Record {
    FormHash form;                   // of the form that find() compares first; {} for a removed series
    // Who followed last time. Written under the shared lock, so only through atomic_ref; any value is a good one.
    mutable std::uint32_t next = no_series;
    std::uint32_t at = Arena::none;  // its label list in lists_
  };
  // What add() computes before it takes the lock.
  struct Prepared {
    const model::Labels* labels = nullptr;
    FormHash raw;
    FormHash canonical;
    std::uint8_t vshard = 0;
  };

  // Taken and let go before the lock is taken shared.
  void pass_gate() const PLUMBLINE_EXCLUDES(gate_) { Lock gate(gate_); }
  Prepared prepare(const model::Labels& labels, std::string_view raw, std::string& scratch) const;
  SeriesId find_form(const FormHash& form) const PLUMBLINE_REQUIRES_SHARED(mutex_);
  SeriesId find_labels(const Prepared& wanted) const PLUMBLINE_REQUIRES_SHARED(mutex_);
  Added add_locked(const Prepared& wanted) PLUMBLINE_REQUIRES(mutex_);
  void insert(SeriesId id, const Prepared& made) PLUMBLINE_REQUIRES(mutex_);
  void remember_form(SeriesId id, const Prepared& wanted) PLUMBLINE_REQUIRES(mutex_);
  void forget_forms(const Roaring& ids) PLUMBLINE_REQUIRES(mutex_);
  void compact_lists() PLUMBLINE_REQUIRES(mutex_);
  bool known(SeriesId id) const PLUMBLINE_REQUIRES_SHARED(mutex_) {
    return id < records_.size() && records_[id].at != Arena::none;
  }
  LabelList<const std::uint32_t> list(SeriesId id) const PLUMBLINE_REQUIRES_SHARED(mutex_) {
    return LabelList<const std::uint32_t>(lists_.at(records_[id].at));
  }
  std::uint32_t pair_of(SeriesId id, std::uint32_t name) const PLUMBLINE_REQUIRES_SHARED(mutex_);
  model::Labels labels_locked(SeriesId id) const PLUMBLINE_REQUIRES_SHARED(mutex_);
  void narrow(Roaring& ids, const model::Matcher& matcher) const PLUMBLINE_REQUIRES_SHARED(mutex_);
  void narrow_regex(Roaring& ids, const model::Matcher& matcher, std::uint32_t name) const
      PLUMBLINE_REQUIRES_SHARED(mutex_);

  const FormKey key_;
  // Held by a writer while it waits and passed by every reader: the lock prefers readers, who would starve it.
  mutable Mutex gate_;
  mutable SharedMutex mutex_;
  Paged<Record> records_ PLUMBLINE_GUARDED_BY(mutex_);
  TagTable by_form_ PLUMBLINE_GUARDED_BY(mutex_);    // first forms, and canonical forms where those differ
  AliasTable more_forms_ PLUMBLINE_GUARDED_BY(mutex_);
  Arena lists_ PLUMBLINE_GUARDED_BY(mutex_);
  LabelPairs pairs_ PLUMBLINE_GUARDED_BY(mutex_);
  std::vector<std::uint32_t> last_pairs_ PLUMBLINE_GUARDED_BY(mutex_);  // of the series inserted last: the next is much alike
  Roaring all_ PLUMBLINE_GUARDED_BY(mutex_);
  SeriesId next_id_ PLUMBLINE_GUARDED_BY(mutex_) = 0;
};

}  // namespace plumbline::storage::series
