// Every (label name, value) that occurs, once: its number, its string, the series that have it. Sixteen bytes and the string
// for a value that one series has; a sorted list, then a bitmap, for those that many share.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <roaring/roaring.hh>

#include "daemon/base/mutex.hpp"
#include "storage/series/form_hash.hpp"
#include "storage/series/paged.hpp"
#include "storage/series/tag_table.hpp"

namespace plumbline::storage::series {

class IdUnion;

// Threads: the caller's lock, shared for const members (which sort under a lock of their own), exclusive for the others.
class LabelPairs {
 public:
  using PairId = std::uint32_t;
  using NameId = std::uint32_t;
  static constexpr std::uint32_t none = 0xffff'ffff;

  explicit LabelPairs(const FormKey& key) : key_(key) {}

  // The pair may be without series until add(). `guess` is any number: the pair where it often is, or at least its name.
  PairId intern(std::string_view name, std::string_view value, PairId guess = none);
  void add(PairId pair, std::uint32_t series);                   // not yet one of its series
  // Takes the series `gone` from each of `touched`, which are all pairs that one of them has; forgets pairs without series.
  void remove(const Roaring& gone, const std::vector<PairId>& touched);

  NameId find_name(std::string_view name) const;
  PairId find(NameId name, std::string_view value) const;
  NameId name_of(PairId pair) const { return pairs_[pair].name; }
  std::string_view name_text(PairId pair) const { return names_[pairs_[pair].name]->text; }
  std::string_view value_text(PairId pair) const;
  std::uint32_t count(PairId pair) const { return pairs_[pair].count; }
  std::uint32_t pairs_end() const { return pairs_.size(); }  // numbers below it are pairs, or free (count 0)

  // Series that have the name with any value.
  const Roaring& having(NameId name) const { return names_[name]->having; }
  std::size_t value_count(NameId name) const { return names_[name]->values.size(); }
  void intersect(Roaring& ids, PairId pair) const;  // ids &= series of the pair
  void subtract(Roaring& ids, PairId pair) const;
  bool any_of(PairId pair, const Roaring& ids) const;
  void gather(IdUnion& out, PairId pair) const;

  // The pairs of a name in no order, and those whose value begins with `prefix`.
  template <class Visit>
  void each(NameId name, const Visit& visit) const PLUMBLINE_EXCLUDES(order_) {
    ReadLock lock(order_);
    for (const PairId pair : names_[name]->values) visit(pair);
  }
  template <class Visit>
  void each_with_prefix(NameId name, std::string_view prefix, const Visit& visit) const PLUMBLINE_EXCLUDES(order_) {
    if (names_[name]->values.size() - sorted_of(name) > unsorted_max) sort(name);
    ReadLock lock(order_);
    const Name& n = *names_[name];
    const auto [first, last] = prefix_range(n, prefix);
    for (std::size_t i = first; i < last; ++i) visit(n.values[i]);
    for (std::size_t i = n.sorted; i < n.values.size(); ++i)
      if (value_text(n.values[i]).starts_with(prefix)) visit(n.values[i]);
  }
  std::vector<PairId> sorted_values(NameId name) const PLUMBLINE_EXCLUDES(order_);  // by value
  void sort_by_value(std::vector<PairId>& pairs) const;                             // of one name
  template <class Visit>
  void each_name(const Visit& visit) const {  // visit(NameId, text), in no order
    for (NameId id = 0; id < names_.size(); ++id)
      if (names_[id]) visit(id, std::string_view(names_[id]->text));
  }

  std::size_t postings_bytes(PairId pair) const;
  std::size_t bytes() const;  // walks the shared postings
  static constexpr std::size_t pair_bytes = 16 + 12 + 5;  // record, table, order: what a value costs beside its string

 private:
  struct Pair {
    std::uint32_t value_at = Arena::none;  // varint length, then the bytes
    NameId name = none;
    std::uint32_t count = 0;  // series
    std::uint32_t ids = 0;    // the series when there is one, else a place in shared_
  };
  struct Shared {
    std::vector<std::uint32_t> few;  // sorted
    std::unique_ptr<Roaring> many;   // instead of few
  };
  struct Name {
    std::string text;
    // Values are appended as they come; a reader who needs order sorts what is new and merges it. Changed under the caller's
    // exclusive lock, or under the caller's shared lock and order_ exclusively.
    std::vector<PairId> values;
    std::size_t sorted = 0;  // values before this are in order
    Roaring having;
  };
  static constexpr std::size_t few_max = 96;       // beyond, a bitmap is smaller
  static constexpr std::size_t unsorted_max = 256;  // as many are scanned rather than sorted

  NameId intern_name(std::string_view name);
  PairId take_number();
  void take_away(Pair& pair, const Roaring& gone);
  void forget(PairId pair);
  void forget_name(NameId name);
  void compact();
  std::size_t sorted_of(NameId name) const PLUMBLINE_EXCLUDES(order_);
  void sort(NameId name) const PLUMBLINE_EXCLUDES(order_);
  std::pair<std::size_t, std::size_t> prefix_range(const Name& name, std::string_view prefix) const;

  const FormKey& key_;
  mutable SharedMutex order_;
  Paged<Pair> pairs_;
  Roaring free_pairs_;
  std::vector<std::unique_ptr<Name>> names_;
  std::vector<NameId> free_names_;
  TagTable by_value_;  // of (name, value)
  TagTable by_name_;
  std::vector<Shared> shared_;
  std::vector<std::uint32_t> free_shared_;
  Arena strings_;
};

// Collects series for a union: a bitmap of plain words when that is small beside what is collected, else a sort.
class IdUnion {
 public:
  void add(std::uint32_t id) { ids_.push_back(id); }
  void add(const std::vector<std::uint32_t>& ids) { ids_.insert(ids_.end(), ids.begin(), ids.end()); }
  void add(const Roaring& ids) { maps_.push_back(&ids); }  // borrowed until take()
  Roaring take();

 private:
  std::vector<std::uint32_t> ids_;
  std::vector<const Roaring*> maps_;
};

}  // namespace plumbline::storage::series
