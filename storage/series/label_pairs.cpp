#include "storage/series/label_pairs.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "daemon/base/check.hpp"

namespace plumbline::storage::series {
namespace {

constexpr std::uint32_t name_salt = 0xffff'ffff;  // no name has this number

std::size_t varint_bytes(std::size_t v) {
  std::size_t n = 1;
  for (; v >= 0x80; v >>= 7) ++n;
  return n;
}

// Vectors of long-lived numbers: a quarter of slack instead of a half.
template <class T>
void push_gently(std::vector<T>& v, T item) {
  if (v.size() == v.capacity() && v.size() >= 8) v.reserve(v.size() + v.size() / 4);
  v.push_back(std::move(item));
}

std::uint64_t eight_bytes_from(std::string_view text, std::size_t at) {
  unsigned char buffer[8] = {};
  if (at < text.size()) std::memcpy(buffer, text.data() + at, std::min<std::size_t>(8, text.size() - at));
  std::uint64_t v = 0;
  for (const unsigned char c : buffer) v = v << 8 | c;
  return v;
}

}  // namespace

std::string_view LabelPairs::value_text(PairId pair) const {
  const auto* at = reinterpret_cast<const unsigned char*>(strings_.at(pairs_[pair].value_at));
  std::size_t size = *at & 0x7f;
  for (int shift = 7; (*at++ & 0x80) != 0; shift += 7) size |= static_cast<std::size_t>(*at & 0x7f) << shift;
  return {reinterpret_cast<const char*>(at), size};
}

LabelPairs::NameId LabelPairs::find_name(std::string_view name) const {
  return by_name_.find(key_.tag(name, name_salt), [&](NameId n) { return names_[n]->text == name; });
}

LabelPairs::PairId LabelPairs::find(NameId name, std::string_view value) const {
  return by_value_.find(key_.tag(value, name),
                        [&](PairId p) { return pairs_[p].name == name && value_text(p) == value; });
}

LabelPairs::NameId LabelPairs::intern_name(std::string_view name) {
  const std::uint32_t tag = key_.tag(name, name_salt);
  const NameId found = by_name_.find(tag, [&](NameId n) { return names_[n]->text == name; });
  if (found != none) return found;
  NameId id;
  if (free_names_.empty()) {
    id = static_cast<NameId>(names_.size());
    names_.emplace_back();
  } else {
    id = free_names_.back();
    free_names_.pop_back();
  }
  names_[id] = std::make_unique<Name>();
  names_[id]->text = name;
  by_name_.add(tag, id);
  return id;
}

// The lowest free number, so that pages at the top become empty and go.
LabelPairs::PairId LabelPairs::take_number() {
  if (free_pairs_.isEmpty()) {
    PLUMBLINE_CHECK(pairs_.size() < none, "four billion label pairs");
    return pairs_.size();
  }
  const PairId id = free_pairs_.minimum();
  free_pairs_.remove(id);
  return id;
}

LabelPairs::PairId LabelPairs::intern(std::string_view name, std::string_view value, PairId guess) {
  NameId name_id = none;
  if (guess < pairs_.size() && pairs_[guess].count > 0 && name_text(guess) == name) {
    if (value_text(guess) == value) return guess;
    name_id = pairs_[guess].name;
  } else {
    name_id = intern_name(name);
  }
  const std::uint32_t tag = key_.tag(value, name_id);
  const PairId found =
      by_value_.find(tag, [&](PairId p) { return pairs_[p].name == name_id && value_text(p) == value; });
  if (found != none) return found;
  const PairId id = take_number();
  Pair& pair = pairs_.make(id);
  pair.name = name_id;
  pair.value_at = strings_.put(varint_bytes(value.size()) + value.size());
  auto* at = reinterpret_cast<unsigned char*>(strings_.at(pair.value_at));
  std::size_t size = value.size();
  for (; size >= 0x80; size >>= 7) *at++ = static_cast<unsigned char>(size | 0x80);
  *at++ = static_cast<unsigned char>(size);
  if (!value.empty()) std::memcpy(at, value.data(), value.size());
  by_value_.add(tag, id);
  push_gently(names_[name_id]->values, id);
  return id;
}

void LabelPairs::add(PairId pair_id, std::uint32_t series) {
  Pair& pair = pairs_[pair_id];
  names_[pair.name]->having.add(series);
  if (pair.count++ == 0) {
    pair.ids = series;
    return;
  }
  if (pair.count == 2) {
    const std::uint32_t first = pair.ids;
    if (free_shared_.empty()) {
      pair.ids = static_cast<std::uint32_t>(shared_.size());
      push_gently(shared_, Shared{});
    } else {
      pair.ids = free_shared_.back();
      free_shared_.pop_back();
    }
    shared_[pair.ids].few = {std::min(first, series), std::max(first, series)};
    return;
  }
  Shared& shared = shared_[pair.ids];
  if (shared.many) {
    shared.many->add(series);
    return;
  }
  auto& few = shared.few;
  if (series > few.back()) push_gently(few, series);
  else few.insert(std::lower_bound(few.begin(), few.end(), series), series);
  if (few.size() <= few_max) return;
  shared.many = std::make_unique<Roaring>(few.size(), few.data());
  few = {};
}

void LabelPairs::take_away(Pair& pair, const Roaring& gone) {
  if (pair.count <= 1) {  // touched, so its one series goes
    pair.count = 0;
    return;
  }
  Shared& shared = shared_[pair.ids];
  std::uint32_t last = 0;
  if (shared.many) {
    *shared.many -= gone;
    pair.count = static_cast<std::uint32_t>(shared.many->cardinality());
    if (pair.count > 0) last = shared.many->minimum();
    if (pair.count > 1 && pair.count <= few_max / 2) {
      shared.few.resize(pair.count);
      shared.many->toUint32Array(shared.few.data());
      shared.many.reset();
    }
  } else {
    std::erase_if(shared.few, [&](std::uint32_t id) { return gone.contains(id); });
    pair.count = static_cast<std::uint32_t>(shared.few.size());
    if (pair.count > 0) last = shared.few.front();
  }
  if (pair.count > 1) return;
  shared = {};
  free_shared_.push_back(pair.ids);
  pair.ids = last;
}

void LabelPairs::forget(PairId id) {
  Pair& pair = pairs_[id];
  const std::string_view value = value_text(id);
  by_value_.remove(key_.tag(value, pair.name), id);
  strings_.drop(varint_bytes(value.size()) + value.size());
  pairs_.release(id);
  free_pairs_.add(id);
}

void LabelPairs::forget_name(NameId id) {
  by_name_.remove(key_.tag(names_[id]->text, name_salt), id);
  names_[id].reset();
  free_names_.push_back(id);
}

void LabelPairs::remove(const Roaring& gone, const std::vector<PairId>& touched) {
  std::vector<bool> name_touched(names_.size());
  for (const PairId id : touched) {
    take_away(pairs_[id], gone);
    name_touched[pairs_[id].name] = true;
  }
  for (NameId n = 0; n < name_touched.size(); ++n) {
    if (!name_touched[n]) continue;
    Name& name = *names_[n];
    name.having -= gone;
    std::size_t kept = 0;
    std::size_t sorted = 0;
    for (std::size_t i = 0; i < name.values.size(); ++i) {
      if (pairs_[name.values[i]].count == 0) continue;
      if (i < name.sorted) ++sorted;
      name.values[kept++] = name.values[i];
    }
    name.values.resize(kept);
    name.sorted = sorted;
    if (name.values.capacity() > 2 * kept + 16) name.values.shrink_to_fit();
  }
  for (const PairId id : touched)
    if (pairs_[id].count == 0) forget(id);
  for (NameId n = 0; n < name_touched.size(); ++n)
    if (name_touched[n] && names_[n]->values.empty()) forget_name(n);
  by_value_.shrink();
  by_name_.shrink();
  if (strings_.mostly_dead()) compact();
}

void LabelPairs::compact() {
  Arena fresh;
  for (PairId id = 0; id < pairs_.size(); ++id) {
    if (pairs_[id].count == 0) continue;
    const std::size_t value = value_text(id).size();
    const std::size_t bytes = varint_bytes(value) + value;
    const std::uint32_t to = fresh.put(bytes);
    std::memcpy(fresh.at(to), strings_.at(pairs_[id].value_at), bytes);
    pairs_[id].value_at = to;
  }
  strings_ = std::move(fresh);
}

void LabelPairs::intersect(Roaring& ids, PairId id) const {
  const Pair& pair = pairs_[id];
  if (pair.count > 1 && shared_[pair.ids].many) {
    ids &= *shared_[pair.ids].many;
    return;
  }
  Roaring kept;
  if (pair.count == 1 && ids.contains(pair.ids)) kept.add(pair.ids);
  if (pair.count > 1)
    for (const std::uint32_t series : shared_[pair.ids].few)
      if (ids.contains(series)) kept.add(series);
  ids = std::move(kept);
}

void LabelPairs::subtract(Roaring& ids, PairId id) const {
  const Pair& pair = pairs_[id];
  if (pair.count == 1) ids.remove(pair.ids);
  if (pair.count <= 1) return;
  const Shared& shared = shared_[pair.ids];
  if (shared.many) ids -= *shared.many;
  for (const std::uint32_t series : shared.few) ids.remove(series);
}

bool LabelPairs::any_of(PairId id, const Roaring& ids) const {
  const Pair& pair = pairs_[id];
  if (pair.count <= 1) return pair.count == 1 && ids.contains(pair.ids);
  const Shared& shared = shared_[pair.ids];
  if (shared.many) return shared.many->intersect(ids);
  return std::any_of(shared.few.begin(), shared.few.end(), [&](std::uint32_t s) { return ids.contains(s); });
}

void LabelPairs::gather(IdUnion& out, PairId id) const {
  const Pair& pair = pairs_[id];
  if (pair.count == 1) out.add(pair.ids);
  if (pair.count <= 1) return;
  const Shared& shared = shared_[pair.ids];
  if (shared.many) out.add(*shared.many);
  else out.add(shared.few);
}

// Values of one name mostly begin alike ("pod-", an address); eight bytes after what is common to all decide nearly always, and
// need no look at the strings.
void LabelPairs::sort_by_value(std::vector<PairId>& pairs) const {
  if (pairs.size() < 2) return;
  const std::string_view first = value_text(pairs[0]);
  std::size_t common = first.size();
  for (const PairId p : pairs) {
    const std::string_view value = value_text(p);
    common = static_cast<std::size_t>(
        std::mismatch(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(common), value.begin(), value.end())
            .first - first.begin());
  }
  struct Keyed {
    std::uint64_t key;
    PairId pair;
  };
  std::vector<Keyed> keyed;
  keyed.reserve(pairs.size());
  for (const PairId p : pairs) keyed.push_back({eight_bytes_from(value_text(p), common), p});
  std::sort(keyed.begin(), keyed.end(), [this](const Keyed& a, const Keyed& b) {
    return a.key != b.key ? a.key < b.key : value_text(a.pair) < value_text(b.pair);
  });
  for (std::size_t i = 0; i < pairs.size(); ++i) pairs[i] = keyed[i].pair;
}

std::size_t LabelPairs::sorted_of(NameId name) const {
  ReadLock lock(order_);
  return names_[name]->sorted;
}

void LabelPairs::sort(NameId name_id) const {
  WriteLock lock(order_);
  Name& name = *names_[name_id];
  if (name.sorted == name.values.size()) return;
  const auto middle = name.values.begin() + static_cast<std::ptrdiff_t>(name.sorted);
  std::vector<PairId> fresh(middle, name.values.end());
  if (fresh.size() > name.sorted / 8) {
    sort_by_value(name.values);
    name.sorted = name.values.size();
    return;
  }
  sort_by_value(fresh);
  // From the back: each new value is found by bisection and what is larger moves as one piece, so that a few new values among
  // a million cost twenty compares each.
  std::size_t left = name.sorted;
  std::size_t to = name.values.size();
  for (std::size_t i = fresh.size(); i-- > 0;) {
    const std::string_view value = value_text(fresh[i]);
    const auto begin = name.values.begin();
    const auto at = std::partition_point(begin, begin + static_cast<std::ptrdiff_t>(left),
                                         [&](PairId p) { return value_text(p) < value; });
    const auto keep = static_cast<std::size_t>(at - begin);
    std::move_backward(at, begin + static_cast<std::ptrdiff_t>(left), begin + static_cast<std::ptrdiff_t>(to));
    to -= left - keep;
    left = keep;
    name.values[--to] = fresh[i];
  }
  name.sorted = name.values.size();
}

std::vector<LabelPairs::PairId> LabelPairs::sorted_values(NameId name) const {
  sort(name);
  ReadLock lock(order_);
  return names_[name]->values;
}

std::pair<std::size_t, std::size_t> LabelPairs::prefix_range(const Name& name, std::string_view prefix) const {
  const auto begin = name.values.begin();
  const auto end = begin + static_cast<std::ptrdiff_t>(name.sorted);
  const auto first = std::partition_point(begin, end, [&](PairId p) { return value_text(p) < prefix; });
  const auto last = std::partition_point(first, end, [&](PairId p) { return value_text(p).starts_with(prefix); });
  return {static_cast<std::size_t>(first - begin), static_cast<std::size_t>(last - begin)};
}

std::size_t LabelPairs::postings_bytes(PairId id) const {
  const Pair& pair = pairs_[id];
  if (pair.count <= 1) return 0;
  const Shared& shared = shared_[pair.ids];
  return sizeof(Shared) + shared.few.capacity() * 4 + (shared.many ? sizeof(Roaring) + shared.many->getSizeInBytes() : 0);
}

std::size_t LabelPairs::bytes() const {
  std::size_t n = pairs_.bytes() + free_pairs_.getSizeInBytes() + by_value_.bytes() + by_name_.bytes() + strings_.bytes() +
                  shared_.capacity() * sizeof(Shared) + (free_shared_.capacity() + free_names_.capacity()) * 4 +
                  names_.capacity() * sizeof(names_[0]);
  for (const Shared& shared : shared_)
    n += shared.few.capacity() * 4 + (shared.many ? sizeof(Roaring) + shared.many->getSizeInBytes() : 0);
  for (const auto& name : names_)
    if (name) n += sizeof(Name) + name->text.capacity() + name->values.capacity() * 4 + name->having.getSizeInBytes();
  return n;
}

Roaring IdUnion::take() {
  Roaring out;
  if (!ids_.empty()) {
    const std::uint32_t last = *std::max_element(ids_.begin(), ids_.end());
    if (last / 64 < ids_.size() * 4 + 1024) {
      std::vector<std::uint64_t> words(last / 64 + 1);
      for (const std::uint32_t id : ids_) words[id / 64] |= std::uint64_t{1} << (id % 64);
      ids_.clear();
      for (std::size_t w = 0; w < words.size(); ++w)
        for (std::uint64_t bits = words[w]; bits != 0; bits &= bits - 1)
          ids_.push_back(static_cast<std::uint32_t>(w * 64 + static_cast<std::size_t>(std::countr_zero(bits))));
    } else {
      std::sort(ids_.begin(), ids_.end());
    }
    out.addMany(ids_.size(), ids_.data());
  }
  if (maps_.empty()) return out;
  maps_.push_back(&out);
  return Roaring::fastunion(maps_.size(), maps_.data());
}

}  // namespace plumbline::storage::series
