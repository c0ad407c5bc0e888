// The rows of one stream that are not sealed yet. Rows stand as bytes, field after field, in chunks that never move: a row
// of 20 numbers takes about 220 bytes instead of the 1.6 kB of a model::Row, and a reader needs the lock only while it
// copies where the rows are.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/base/mutex.hpp"
#include "storage/events/keys.hpp"
#include "storage/events/projection.hpp"
#include "storage/model/labels.hpp"
#include "storage/model/sample.hpp"
#include "storage/storage.hpp"

namespace plumbline::storage::events {

// `at` points to varint size, then per field: varint number of its name, value (value_bytes.hpp).
struct RowRef {
  std::int64_t time_ns = 0;
  const char* at = nullptr;
};

struct AddedId {
  IdKind kind = IdKind::trace;
  std::uint64_t hash = 0;
  std::uint32_t row = 0;  // its number in the stream
};

// Rows of a stream, readable without a lock as long as the head lives.
struct RowsView {
  std::vector<std::string> names;  // of the fields, by number
  std::vector<RowRef> rows;

  void sort();  // by time; rows of one time stay in order of arrival
  // The end of the longest run of rows from `first` that may become one block.
  std::size_t cut(std::size_t first) const;
  // The wanted columns of rows [first, last), in order of first appearance; also their times.
  void to_columns(std::size_t first, std::size_t last, const Projection& wanted, std::vector<std::int64_t>& times,
                  std::vector<Column>& columns) const;
};

// Threads: any. Blocks: never for long.
class StreamHead {
 public:
  StreamHead(EventKind kind, model::Labels labels);
  EventKind kind() const { return kind_; }
  const model::Labels& labels() const { return labels_; }

  struct Grown {
    std::size_t bytes = 0;
    std::size_t rows = 0;
  };
  // Adds the ids of the rows to `ids`. An exemplar that equals one of the last few is left out: senders and scraped targets
  // repeat theirs until a new one comes.
  Grown append(std::span<const model::Row> rows, std::vector<AddedId>& ids) PLUMBLINE_EXCLUDES(mutex_);
  RowsView rows_in(model::TimeRange range) const PLUMBLINE_EXCLUDES(mutex_);
  // Those of the numbered rows that are in range and whose field `field` is the string `value`.
  RowsView rows_with(std::span<const std::uint32_t> numbers, std::string_view field, std::string_view value,
                     model::TimeRange range) const PLUMBLINE_EXCLUDES(mutex_);
  bool has_row_in(model::TimeRange range) const PLUMBLINE_EXCLUDES(mutex_);

 private:
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const { return std::hash<std::string_view>()(s); }
  };
  std::uint32_t number_of(std::string_view name, std::size_t position) PLUMBLINE_REQUIRES(mutex_);
  const char* store(std::string_view bytes) PLUMBLINE_REQUIRES(mutex_);
  bool repeats(std::int64_t time_ns, std::string_view row) const PLUMBLINE_REQUIRES(mutex_);

  const EventKind kind_;
  const model::Labels labels_;
  mutable Mutex mutex_;
  std::vector<std::unique_ptr<char[]>> chunks_ PLUMBLINE_GUARDED_BY(mutex_);
  std::size_t chunk_used_ PLUMBLINE_GUARDED_BY(mutex_) = 0;
  std::size_t chunk_size_ PLUMBLINE_GUARDED_BY(mutex_) = 0;
  std::size_t bytes_ PLUMBLINE_GUARDED_BY(mutex_) = 0;
  std::vector<RowRef> rows_ PLUMBLINE_GUARDED_BY(mutex_);
  std::vector<std::string> names_ PLUMBLINE_GUARDED_BY(mutex_);
  std::unordered_map<std::string, std::uint32_t, NameHash, std::equal_to<>> numbers_ PLUMBLINE_GUARDED_BY(mutex_);
  // Field i of the last row: writers repeat their order, which saves the hash look-up.
  std::vector<std::uint32_t> last_order_ PLUMBLINE_GUARDED_BY(mutex_);
};

}  // namespace plumbline::storage::events
