// The wide-event engine: rows of log lines, spans and inference records, and the overlay of late labels.
//
// The Store drives it exactly as it drives the series engine:
//   append()   after the batch is in the journal; the rows are searchable at once (active head)
//   freeze()   with no append running: the active head becomes the frozen one, a new active head takes over
//   seal()     writes the frozen head's blocks into one kv::Batch, which the Store commits together with the journal trim
//   thaw()     after that commit: the frozen head is dropped; readers then find the same rows in the blocks
// A reader sees blocks + frozen + active. Between commit and thaw the same rows exist twice; readers must not see them
// twice: the engine takes blocks of seal number >= the frozen head's number out of a scan until thaw().
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "storage/kv/kv.hpp"
#include "storage/storage.hpp"

namespace plumbline::storage::events {

// Lets a scan leave out sealed blocks that cannot hold what the caller looks for: every row the caller wants has a string in
// `column` that contains all words of `words` as whole words (codec/column_filter.hpp). Rows are not filtered by it, and
// rows in the head are visited in any case. For a substring pass the text's inner_words() only.
struct ScanHint {
  std::string column;
  std::string words;
};

// Threads: append(), scan(), streams(), late_labels() from any; freeze(), seal(), thaw(), retain() from one at a time.
// Borrows: kv, log, registry.
class EventEngine {
 public:
  EventEngine(kv::Kv& kv, Log& log, Registry& registry);
  ~EventEngine();

  // Of two labels of one prediction the one appended later is kept: labels come in the order of the journal, rows in any.
  void append(const std::vector<model::StreamRows>& events, const std::vector<model::LateLabel>& labels);
  std::uint64_t head_bytes() const;  // allocated by active and frozen head
  std::uint64_t head_rows() const;

  // Seal numbers grow, also over restarts. With a frozen head already there (its seal failed) nothing may be frozen.
  void freeze(std::uint64_t seal_number);
  Status seal(kv::Batch& out) const;
  void thaw();

  // Visits in order of time, oldest block first unless newest_first. Fails: corrupt, naming the damaged block's key in hex;
  // blocks before it were visited, and queries that do not need it still work. Unsupported: an id of an unknown field.
  Status scan(const EventQuery& query, const BlockVisitor& visit) const;
  Status scan(const EventQuery& query, std::span<const ScanHint> hints, const BlockVisitor& visit) const;
  Result<std::vector<Labels>> streams(EventKind kind, const Matchers& matchers, TimeRange range_ns) const;
  Result<std::vector<std::optional<model::LateLabel>>> late_labels(std::string_view model,
                                                                   std::span<const std::string> ids) const;
  // Drops sealed days that end before the cutoff, with their id index and late labels.
  Status retain(std::int64_t cutoff_ns);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace plumbline::storage::events
