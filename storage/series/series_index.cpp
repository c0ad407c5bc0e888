#include "storage/series/series_index.hpp"

#include <algorithm>

namespace plumbline::storage::series {

using model::Labels;
using model::Matcher;
using model::MatchOp;

namespace {

// "a|b|c" of plain characters is a set look-up, the commonest regex of dashboards; empty when it is anything more.
std::vector<std::string_view> literal_alternatives(std::string_view regex) {
  std::vector<std::string_view> out;
  for (const char c : regex) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                       c == '-' || c == ':' || c == '/' || c == ' ' || c == '|';
    if (!plain) return out;
  }
  for (std::size_t from = 0;;) {
    const std::size_t bar = regex.find('|', from);
    out.push_back(regex.substr(from, bar - from));
    if (bar == std::string_view::npos) return out;
    from = bar + 1;
  }
}

// Cheapest first: equality narrows most, conditions that an absent label fulfils only take away.
int cost(const Matcher& m) {
  if (m.op() == MatchOp::equal && !m.value().empty()) return 0;
  return m.matches_empty() ? 2 : 1;
}

// Two label sets with one hash are rare and real: every hit compares the labels.
auto same_labels(const std::vector<EntryPtr>& entries, const Labels& labels) {
  return [&entries, &labels](std::uint32_t candidate) { return entries[candidate]->labels == labels; };
}

}  // namespace

const EntryPtr* SeriesIndex::find_locked(std::uint64_t fingerprint, const Labels& labels) const {
  const std::uint32_t id = by_hash_.find(fingerprint, same_labels(by_id_, labels));
  return id == IdTable::none ? nullptr : &by_id_[id];
}

void SeriesIndex::find(const std::vector<SeriesKey>& keys, std::vector<EntryPtr>& out) const {
  out.assign(keys.size(), nullptr);
  ReadLock lock(mutex_);
  for (std::size_t i = 0; i < keys.size(); ++i)
    if (const EntryPtr* found = find_locked(keys[i].fingerprint, *keys[i].labels)) out[i] = *found;
}

void SeriesIndex::insert_locked(const EntryPtr& entry) {
  if (by_id_.size() <= entry->id) by_id_.resize(entry->id + 1);
  by_id_[entry->id] = entry;
  all_.add(entry->id);
  for (const model::Label& l : entry->labels) {
    auto name = postings_.find(l.name);
    if (name == postings_.end()) name = postings_.try_emplace(l.name).first;
    auto value = name->second.find(l.value);
    if (value == name->second.end()) value = name->second.try_emplace(l.value).first;
    value->second.add(entry->id);
  }
  if (entry->id >= next_id_) next_id_ = entry->id + 1;
  by_hash_.add(entry->fingerprint, entry->id);
}

EntryPtr SeriesIndex::add(std::uint64_t fingerprint, Labels labels) {
  WriteLock lock(mutex_);
  if (const EntryPtr* found = find_locked(fingerprint, labels)) return *found;
  auto entry = std::make_shared<SeriesEntry>(next_id_, fingerprint, std::move(labels));
  insert_locked(entry);
  return entry;
}

Status SeriesIndex::restore(std::uint32_t id, Labels labels) {
  WriteLock lock(mutex_);
  if (id < by_id_.size() && by_id_[id])
    return fail(Code::corrupt, "series id " + std::to_string(id) + " is defined twice: " + by_id_[id]->labels.str() +
                                   " and " + labels.str());
  const std::uint64_t fingerprint = labels.fingerprint();
  auto entry = std::make_shared<SeriesEntry>(id, fingerprint, std::move(labels));
  entry->persisted = true;
  insert_locked(entry);
  return {};
}

void SeriesIndex::reserve_ids(std::uint32_t next) {
  WriteLock lock(mutex_);
  next_id_ = std::max(next_id_, next);
}

std::uint32_t SeriesIndex::next_id() const {
  ReadLock lock(mutex_);
  return next_id_;
}

EntryPtr SeriesIndex::entry(std::uint32_t id) const {
  ReadLock lock(mutex_);
  return id < by_id_.size() ? by_id_[id] : nullptr;
}

std::vector<EntryPtr> SeriesIndex::entries(const Roaring& ids) const {
  std::vector<EntryPtr> out;
  out.reserve(ids.cardinality());
  ReadLock lock(mutex_);
  for (const std::uint32_t id : ids)
    if (id < by_id_.size() && by_id_[id]) out.push_back(by_id_[id]);
  return out;
}

Roaring SeriesIndex::all() const {
  ReadLock lock(mutex_);
  return all_;
}

std::size_t SeriesIndex::size() const {
  ReadLock lock(mutex_);
  return all_.cardinality();
}

void SeriesIndex::remove(const Roaring& ids) {
  WriteLock lock(mutex_);
  for (const std::uint32_t id : ids) {
    if (id >= by_id_.size() || !by_id_[id]) continue;
    const EntryPtr entry = std::move(by_id_[id]);
    by_id_[id] = nullptr;
    all_.remove(id);
    by_hash_.remove(entry->fingerprint, id);
    for (const model::Label& l : entry->labels) {
      const auto name = postings_.find(l.name);
      const auto value = name->second.find(l.value);
      value->second.remove(id);
      if (value->second.isEmpty()) name->second.erase(value);
      if (name->second.empty()) postings_.erase(name);
    }
  }
}

Roaring SeriesIndex::matching(const Values& values, const Matcher& matcher) const {
  Roaring out;
  if (matcher.op() == MatchOp::equal) {
    const auto it = values.find(matcher.value());
    return it == values.end() ? out : it->second;
  }
  if (matcher.op() == MatchOp::regex) {
    const auto literals = literal_alternatives(matcher.value());
    for (const std::string_view literal : literals)
      if (const auto it = values.find(literal); it != values.end()) out |= it->second;
    if (!literals.empty()) return out;
  }
  std::vector<const Roaring*> hits;
  for (const auto& [value, ids] : values)
    if (matcher.matches(value)) hits.push_back(&ids);
  return hits.empty() ? out : Roaring::fastunion(hits.size(), hits.data());
}

void SeriesIndex::narrow(Roaring& ids, const Matcher& matcher) const {
  const auto name = postings_.find(matcher.name());
  const bool absent_matches = matcher.matches_empty();
  if (name == postings_.end()) {
    if (!absent_matches) ids = Roaring();
    return;
  }
  const Values& values = name->second;
  if (ids.cardinality() < values.size() && matcher.op() != MatchOp::equal) {
    // Fewer candidates than values: ask each candidate for its value instead of each value for its series.
    Roaring kept;
    for (const std::uint32_t id : ids)
      if (matcher.matches(by_id_[id]->labels)) kept.add(id);
    ids = std::move(kept);
    return;
  }
  if (!absent_matches) {
    ids &= matching(values, matcher);
    return;
  }
  // The label may be absent: take away the series whose value does not match.
  for (const auto& [value, with_value] : values)
    if (!matcher.matches(value)) ids -= with_value;
}

Roaring SeriesIndex::resolve(const model::Matchers& matchers) const {
  std::vector<const Matcher*> order;
  for (const Matcher& m : matchers) order.push_back(&m);
  std::stable_sort(order.begin(), order.end(), [](const Matcher* a, const Matcher* b) { return cost(*a) < cost(*b); });
  ReadLock lock(mutex_);
  Roaring ids = all_;
  for (const Matcher* m : order) {
    if (ids.isEmpty()) break;
    narrow(ids, *m);
  }
  return ids;
}

std::vector<std::string> SeriesIndex::label_names(const Roaring& ids) const {
  std::vector<std::string> out;
  ReadLock lock(mutex_);
  for (const auto& [name, values] : postings_)
    for (const auto& [value, with_value] : values)
      if (with_value.intersect(ids)) {
        out.push_back(name);
        break;
      }
  return out;
}

std::vector<std::string> SeriesIndex::label_values(std::string_view name, const Roaring& ids) const {
  std::vector<std::string> out;
  ReadLock lock(mutex_);
  const auto found = postings_.find(name);
  if (found == postings_.end()) return out;
  for (const auto& [value, with_value] : found->second)
    if (with_value.intersect(ids)) out.push_back(value);
  return out;
}

}  // namespace plumbline::storage::series
