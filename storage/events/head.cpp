#include "storage/events/head.hpp"

#include <algorithm>
#include <map>

#include "daemon/base/bytes.hpp"
#include "daemon/base/check.hpp"

namespace plumbline::storage::events {
namespace {

// What a stream costs before its first row: the object, its labels twice, the table's node.
std::size_t stream_bytes(const model::Labels& labels) {
  std::size_t bytes = sizeof(StreamHead) + 96;
  for (const model::Label& l : labels) bytes += 2 * (sizeof(model::Label) + l.name.size() + l.value.size());
  return bytes;
}

std::size_t label_bytes(const std::string& key, const PendingLabel& label) {
  std::size_t bytes = key.size() + sizeof(std::string) + sizeof(PendingLabel) + 32;  // 32: node and bucket
  if (const auto* text = std::get_if<std::string>(&label.value)) bytes += text->size();
  if (const auto* list = std::get_if<model::List>(&label.value)) bytes += list->size() * sizeof(double);
  return bytes;
}

// Ids of different kinds must not share chains only because they are the same text.
std::uint64_t mixed(IdKind kind, std::uint64_t hash) {
  return hash ^ static_cast<std::uint64_t>(kind) * 0x9e3779b97f4a7c15ull;
}

}  // namespace

void IdTable::grow(Shard& shard) {
  const std::size_t size = std::max<std::size_t>(64, shard.buckets.size() * 2);
  shard.buckets.assign(size, 0);
  // The bucket comes from the upper half of the hash too: the lower bits chose the shard.
  for (std::size_t i = 0; i < shard.entries.size(); ++i) {
    Entry& e = shard.entries[i];
    std::uint32_t& bucket = shard.buckets[e.check & (size - 1)];
    e.next = bucket;
    bucket = static_cast<std::uint32_t>(i + 1);
  }
}

std::size_t IdTable::add(const AddedId& id, std::uint32_t stream) {
  const std::uint64_t hash = mixed(id.kind, id.hash);
  Shard& shard = shards_[hash % shards_.size()];
  Lock lock(shard.mutex);
  const auto size = [&] PLUMBLINE_NO_THREAD_SAFETY_ANALYSIS {
    return shard.entries.capacity() * sizeof(Entry) + shard.buckets.capacity() * sizeof(std::uint32_t);
  };
  const std::size_t before = size();
  if (shard.entries.size() >= shard.buckets.size()) grow(shard);
  const auto check = static_cast<std::uint32_t>(hash >> 32);
  std::uint32_t& bucket = shard.buckets[check & (shard.buckets.size() - 1)];
  shard.entries.push_back({check, bucket, {stream, id.row}});
  bucket = static_cast<std::uint32_t>(shard.entries.size());
  return size() - before;
}

std::vector<IdTable::Row> IdTable::find(IdKind kind, std::string_view id) const {
  const std::uint64_t hash = mixed(kind, hash64(id));
  const auto check = static_cast<std::uint32_t>(hash >> 32);
  const Shard& shard = shards_[hash % shards_.size()];
  std::vector<Row> out;
  Lock lock(shard.mutex);
  if (shard.buckets.empty()) return out;
  for (std::uint32_t at = shard.buckets[check & (shard.buckets.size() - 1)]; at != 0; at = shard.entries[at - 1].next)
    if (shard.entries[at - 1].check == check) out.push_back(shard.entries[at - 1].row);
  return out;
}

Head::Numbered Head::stream_of(EventKind kind, const model::Labels& labels) {
  const auto slot = static_cast<std::size_t>(kind);
  PLUMBLINE_CHECK(slot < kind_slots, "a row has one of the known kinds");
  {
    ReadLock lock(streams_mutex_);
    const auto found = by_labels_[slot].find(labels);
    if (found != by_labels_[slot].end()) return found->second;
  }
  WriteLock lock(streams_mutex_);
  const auto [at, added] = by_labels_[slot].try_emplace(labels);
  if (added) {
    streams_.push_back(std::make_unique<StreamHead>(kind, labels));
    at->second = {static_cast<std::uint32_t>(streams_.size() - 1), streams_.back().get()};
    bytes_.fetch_add(stream_bytes(labels), std::memory_order_relaxed);
  }
  return at->second;
}

void Head::append(const std::vector<model::StreamRows>& events, const std::vector<model::LateLabel>& labels) {
  std::vector<AddedId> ids;
  for (const model::StreamRows& e : events) {
    if (e.rows.empty()) continue;
    const Numbered stream = stream_of(e.kind, e.stream);
    ids.clear();
    StreamHead::Grown grown = stream.stream->append(e.rows, ids);
    for (const AddedId& id : ids) grown.bytes += ids_.add(id, stream.number);
    bytes_.fetch_add(grown.bytes, std::memory_order_relaxed);
    rows_.fetch_add(grown.rows, std::memory_order_relaxed);
  }
  if (labels.empty()) return;
  Lock lock(labels_mutex_);
  for (const model::LateLabel& l : labels) {
    PendingLabel pending{l.label, l.time_ns};
    std::string key = label_key(l.model, l.prediction_id);
    const auto found = labels_.find(key);
    if (found != labels_.end()) {
      bytes_.fetch_sub(label_bytes(key, found->second), std::memory_order_relaxed);
      found->second = std::move(pending);
      bytes_.fetch_add(label_bytes(key, found->second), std::memory_order_relaxed);
    } else {
      bytes_.fetch_add(label_bytes(key, pending), std::memory_order_relaxed);
      labels_.emplace(std::move(key), std::move(pending));
    }
  }
}

std::vector<const StreamHead*> Head::streams() const {
  ReadLock lock(streams_mutex_);
  std::vector<const StreamHead*> out;
  out.reserve(streams_.size());
  for (const auto& s : streams_) out.push_back(s.get());
  return out;
}

std::vector<std::pair<const StreamHead*, RowsView>> Head::find(IdKind kind, std::string_view id,
                                                               model::TimeRange range) const {
  std::map<std::uint32_t, std::vector<std::uint32_t>> rows_of;
  for (const IdTable::Row& row : ids_.find(kind, id)) rows_of[row.stream].push_back(row.row);
  std::vector<std::pair<const StreamHead*, RowsView>> out;
  for (auto& [number, rows] : rows_of) {
    std::sort(rows.begin(), rows.end());  // arrival order, which sort() keeps for equal times
    rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
    const StreamHead* stream = nullptr;
    {
      ReadLock lock(streams_mutex_);
      stream = streams_[number].get();
    }
    RowsView view = stream->rows_with(rows, field_of(kind), id, range);
    if (!view.rows.empty()) out.emplace_back(stream, std::move(view));
  }
  return out;
}

std::optional<PendingLabel> Head::label(const std::string& key) const {
  Lock lock(labels_mutex_);
  const auto found = labels_.find(key);
  if (found == labels_.end()) return std::nullopt;
  return found->second;
}

void Head::each_label(const std::function<void(const std::string&, const PendingLabel&)>& visit) const {
  Lock lock(labels_mutex_);
  for (const auto& [key, label] : labels_) visit(key, label);
}

}  // namespace plumbline::storage::events
