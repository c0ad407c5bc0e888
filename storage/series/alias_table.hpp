// Further raw forms of series that have more than one. Rare, so the hash stands in the entry.
#pragma once

#include <cstdint>
#include <vector>

#include <roaring/roaring.hh>

#include "storage/series/form_hash.hpp"
#include "storage/series/tag_table.hpp"

namespace plumbline::storage::series {

// Threads: the caller's lock. How many forms a series may have is the caller's business.
class AliasTable {
 public:
  std::uint32_t find(const FormHash& form) const {  // TagTable::none when unknown
    const std::uint32_t entry = by_tag_.find(form.tag(), [&](std::uint32_t e) { return entries_[e].form == form; });
    return entry == TagTable::none ? TagTable::none : entries_[entry].id;
  }
  void add(const FormHash& form, std::uint32_t id) {
    by_tag_.add(form.tag(), static_cast<std::uint32_t>(entries_.size()));
    entries_.push_back({form, id});
  }
  // One pass over all entries, however many ids.
  void remove(const Roaring& ids) {
    const std::size_t gone = std::erase_if(entries_, [&](const Entry& e) { return ids.contains(e.id); });
    if (gone == 0) return;
    by_tag_ = {};
    for (std::size_t i = 0; i < entries_.size(); ++i) by_tag_.add(entries_[i].form.tag(), static_cast<std::uint32_t>(i));
    if (entries_.capacity() > 2 * entries_.size() + 64) entries_.shrink_to_fit();
  }
  std::size_t size() const { return entries_.size(); }
  std::size_t bytes() const { return entries_.capacity() * sizeof(Entry) + by_tag_.bytes(); }

 private:
  struct Entry {
    FormHash form;
    std::uint32_t id = 0;
  };
  std::vector<Entry> entries_;
  TagTable by_tag_;
};

}  // namespace plumbline::storage::series
