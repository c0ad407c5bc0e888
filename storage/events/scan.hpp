// One pass over heads and blocks for a query: collects what may hold matching rows (without decoding), orders it by time,
// then decodes and visits one after the other, so that a visitor who stops early pays only for what it saw.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/events/block.hpp"
#include "storage/events/event_engine.hpp"
#include "storage/events/head.hpp"
#include "storage/events/keys.hpp"
#include "storage/kv/kv.hpp"

namespace plumbline::storage::events {

// What a reader stands on: heads that were current at one moment. Blocks of their seal numbers or later hold the same rows
// and are left out, also when freeze, commit and thaw all happen while the reader works.
struct HeadsView {
  std::vector<std::shared_ptr<const Head>> heads;  // active, then frozen
  bool hides(std::uint64_t seal) const {
    for (const auto& h : heads)
      if (seal >= h->seal_number()) return true;
    return false;
  }
};

class Scan {
 public:
  // A block of a day before `retained_from` may vanish under the scan; that is retention, not damage.
  Scan(const kv::Kv& kv, HeadsView heads, const EventQuery& query, std::span<const ScanHint> hints,
       const std::atomic<Day>& retained_from);
  Status run(const BlockVisitor& visit);
  Status collect_streams(std::vector<Labels>& out);

 private:
  struct Rows {
    const StreamHead* stream = nullptr;
    RowsView view;
  };
  struct Candidate {
    std::int64_t min_time = 0;
    std::int64_t max_time = 0;
    const Rows* rows = nullptr;  // of a head; null for a sealed block
    std::size_t first = 0;
    std::size_t last = 0;
    BlockKey key;
    std::size_t order = 0;  // of collection: settles equal times
  };
  Status collect();
  void collect_heads();
  Status collect_blocks();
  Status collect_ids(IdKind kind);
  void add_rows(const StreamHead* stream, RowsView view);
  bool wanted_stream(const std::string& encoded);
  Result<std::optional<std::string>> fetch(const BlockKey& key) const;
  Result<bool> visit_rows(const Candidate& c, const BlockVisitor& visit) const;
  Result<bool> visit_block(const Candidate& c, const BlockVisitor& visit) const;
  Result<bool> visit_bytes(std::string_view bytes, const BlockVisitor& visit) const;
  Result<std::vector<std::uint32_t>> matching_rows(const BlockView& view, std::span<const std::int64_t> times) const;

  const kv::Kv& kv_;
  const HeadsView heads_;
  const EventQuery& query_;
  const std::span<const ScanHint> hints_;
  const std::atomic<Day>& retained_from_;
  const Projection projection_;
  std::vector<std::unique_ptr<Rows>> rows_;
  std::vector<Candidate> candidates_;
  std::map<std::string, bool, std::less<>> wanted_;  // by encoded labels
};

}  // namespace plumbline::storage::events
