// A head: all rows and late labels since the last freeze, searchable at once. The engine has one active and, while it is
// being sealed, one frozen.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/base/mutex.hpp"
#include "storage/events/stream_head.hpp"

namespace plumbline::storage::events {

// Hash table of (id kind, id) -> row, 22 bytes per id: only hashes are kept, the row itself is compared. Threads: any.
class IdTable {
 public:
  struct Row {
    std::uint32_t stream = 0;
    std::uint32_t row = 0;
  };
  // Returns by how many bytes the table grew.
  std::size_t add(const AddedId& id, std::uint32_t stream);
  std::vector<Row> find(IdKind kind, std::string_view id) const;

 private:
  struct Entry {
    std::uint32_t check = 0;  // upper half of the hash
    std::uint32_t next = 0;   // entry number + 1; 0 ends the chain
    Row row;
  };
  struct Shard {
    mutable Mutex mutex;
    std::vector<Entry> entries PLUMBLINE_GUARDED_BY(mutex);
    std::vector<std::uint32_t> buckets PLUMBLINE_GUARDED_BY(mutex);  // entry number + 1
  };
  static void grow(Shard& shard) PLUMBLINE_REQUIRES(shard.mutex);
  std::array<Shard, 16> shards_;  // so that concurrent writers seldom meet
};

struct PendingLabel {
  model::Value value;
  std::int64_t time_ns = 0;
};

// Threads: any. Blocks: never for long.
class Head {
 public:
  static constexpr std::uint64_t unsealed = std::numeric_limits<std::uint64_t>::max();

  void append(const std::vector<model::StreamRows>& events, const std::vector<model::LateLabel>& labels);
  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  std::uint64_t rows() const { return rows_.load(std::memory_order_relaxed); }

  // Set when the head freezes, before any of its blocks can be read: blocks of this number or later are in this head too.
  void set_seal_number(std::uint64_t number) { seal_number_.store(number); }
  std::uint64_t seal_number() const { return seal_number_.load(); }

  // Streams live as long as the head.
  std::vector<const StreamHead*> streams() const PLUMBLINE_EXCLUDES(streams_mutex_);
  // Rows whose id field equals `id`, per stream, in range.
  std::vector<std::pair<const StreamHead*, RowsView>> find(IdKind kind, std::string_view id, model::TimeRange range) const
      PLUMBLINE_EXCLUDES(streams_mutex_);

  std::optional<PendingLabel> label(const std::string& key) const PLUMBLINE_EXCLUDES(labels_mutex_);
  void each_label(const std::function<void(const std::string& key, const PendingLabel&)>& visit) const
      PLUMBLINE_EXCLUDES(labels_mutex_);

 private:
  struct Numbered {
    std::uint32_t number = 0;
    StreamHead* stream = nullptr;
  };
  static constexpr std::size_t kind_slots = 5;  // EventKind begins at 1
  using Streams = std::unordered_map<model::Labels, Numbered, model::LabelsHash>;
  Numbered stream_of(EventKind kind, const model::Labels& labels) PLUMBLINE_EXCLUDES(streams_mutex_);

  mutable SharedMutex streams_mutex_;
  std::array<Streams, kind_slots> by_labels_ PLUMBLINE_GUARDED_BY(streams_mutex_);  // by kind
  std::vector<std::unique_ptr<StreamHead>> streams_ PLUMBLINE_GUARDED_BY(streams_mutex_);
  IdTable ids_;
  mutable Mutex labels_mutex_;
  std::unordered_map<std::string, PendingLabel> labels_ PLUMBLINE_GUARDED_BY(labels_mutex_);  // by label_key()
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> rows_{0};
  std::atomic<std::uint64_t> seal_number_{unsealed};
};

}  // namespace plumbline::storage::events
