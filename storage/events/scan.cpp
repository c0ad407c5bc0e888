#include "storage/events/scan.hpp"

#include <algorithm>
#include <set>
#include <tuple>

#include "daemon/base/text.hpp"
#include "storage/events/directory.hpp"

namespace plumbline::storage::events {

Scan::Scan(const kv::Kv& kv, HeadsView heads, const EventQuery& query, std::span<const ScanHint> hints,
           const std::atomic<Day>& retained_from)
    : kv_(kv),
      heads_(std::move(heads)),
      query_(query),
      hints_(hints),
      retained_from_(retained_from),
      projection_(query.columns) {}

Status Scan::run(const BlockVisitor& visit) {
  PLUMBLINE_CHECK_OK(collect());
  for (std::size_t i = 0; i < candidates_.size(); ++i) candidates_[i].order = i;
  std::sort(candidates_.begin(), candidates_.end(), [this](const Candidate& a, const Candidate& b) {
    return query_.newest_first ? std::tie(b.max_time, a.order) < std::tie(a.max_time, b.order)
                               : std::tie(a.min_time, a.order) < std::tie(b.min_time, b.order);
  });
  for (const Candidate& c : candidates_) {
    PLUMBLINE_TRY(const bool more, c.rows != nullptr ? visit_rows(c, visit) : visit_block(c, visit));
    if (!more) break;
  }
  return {};
}

// ------------------------------------------------------------------------------------------------------------ collecting

Status Scan::collect() {
  if (query_.range_ns.min > query_.range_ns.max) return {};
  if (!query_.id) {
    collect_heads();
    return collect_blocks();
  }
  const auto kind = id_kind_of(query_.id->first);
  if (!kind)
    return fail(Code::unsupported, "no id index for field '" + query_.id->first +
                                       "'; look-ups by id know trace_id, span_id and prediction_id");
  for (const auto& head : heads_.heads)
    for (auto& [stream, view] : head->find(*kind, query_.id->second, query_.range_ns))
      if (stream->kind() == query_.kind && model::matches_all(query_.stream, stream->labels()))
        add_rows(stream, std::move(view));
  return collect_ids(*kind);
}

void Scan::add_rows(const StreamHead* stream, RowsView view) {
  if (view.rows.empty()) return;
  view.sort();
  rows_.push_back(std::make_unique<Rows>(Rows{stream, std::move(view)}));
  const Rows& rows = *rows_.back();
  for (std::size_t first = 0; first < rows.view.rows.size();) {
    Candidate c;
    c.rows = &rows;
    c.first = first;
    c.last = rows.view.cut(first);
    c.min_time = rows.view.rows[first].time_ns;
    c.max_time = rows.view.rows[c.last - 1].time_ns;
    first = c.last;
    candidates_.push_back(c);
  }
}

void Scan::collect_heads() {
  for (const auto& head : heads_.heads)
    for (const StreamHead* stream : head->streams())
      if (stream->kind() == query_.kind && model::matches_all(query_.stream, stream->labels()))
        add_rows(stream, stream->rows_in(query_.range_ns));
}

bool Scan::wanted_stream(const std::string& encoded) {
  const auto known = wanted_.find(encoded);
  if (known != wanted_.end()) return known->second;
  const auto labels = Labels::decode(encoded);
  // Labels that do not decode are let through: the block's own header then says what is damaged.
  return wanted_.emplace(encoded, !labels || model::matches_all(query_.stream, *labels)).first->second;
}

Status Scan::collect_blocks() {
  return read_directories(kv_, query_.kind, query_.range_ns, [&](const DirectoryKey& key, DirectoryEntry&& entry) {
    if (heads_.hides(key.seal) || !wanted_stream(entry.stream)) return Status{};
    for (const SealedBlock& b : entry.blocks) {
      if (!query_.range_ns.overlaps(b.min_time, b.max_time)) continue;
      Candidate c;
      c.min_time = b.min_time;
      c.max_time = b.max_time;
      c.key = {key.kind, key.day, key.stream, b.min_time, key.seal, b.number};
      candidates_.push_back(c);
    }
    return Status{};
  });
}

Status Scan::collect_ids(IdKind kind) {
  const std::string prefix = id_prefix(kind, query_.id->second);
  return kv_.scan(kv::Family::event_ids, prefix, prefix_end(prefix), [&](std::string_view key, std::string_view) {
    const auto block = block_of_id_key(key);
    if (!block || block->kind != query_.kind || heads_.hides(block->seal)) return true;
    if (block->day < day_of(query_.range_ns.min) || block->day > day_of(query_.range_ns.max)) return true;
    Candidate c;
    c.min_time = c.max_time = block->min_time;
    c.key = *block;
    candidates_.push_back(c);
    return true;
  });
}

// -------------------------------------------------------------------------------------------------------------- visiting

Result<bool> Scan::visit_rows(const Candidate& c, const BlockVisitor& visit) const {
  std::vector<std::int64_t> times;
  std::vector<Column> columns;
  c.rows->view.to_columns(c.first, c.last, projection_, times, columns);
  return visit(RowBlock{query_.kind, &c.rows->stream->labels(), times, columns});
}

Result<std::optional<std::string>> Scan::fetch(const BlockKey& key) const {
  PLUMBLINE_TRY(std::optional<std::string> bytes, kv_.get(kv::Family::events, key.encode()));
  if (!bytes && key.day >= retained_from_.load())
    return fail(Code::corrupt, "event block " + hex(key.encode()) + ": the block is missing");
  return bytes;
}

Result<bool> Scan::visit_block(const Candidate& c, const BlockVisitor& visit) const {
  PLUMBLINE_TRY(const std::optional<std::string> bytes, fetch(c.key));
  if (!bytes) return true;
  auto more = visit_bytes(*bytes, visit);
  if (!more) return fail(more.error().in("event block " + hex(c.key.encode())));
  return more;
}

// Rows in range and, for a look-up, with the id.
Result<std::vector<std::uint32_t>> Scan::matching_rows(const BlockView& view, std::span<const std::int64_t> times) const {
  std::vector<model::Value> ids;
  if (query_.id) {
    const BlockColumn* column = view.find(query_.id->first);
    if (column == nullptr) return std::vector<std::uint32_t>{};
    PLUMBLINE_CHECK_OK(view.decode(*column, 0, view.rows(), ids));
  }
  std::vector<std::uint32_t> rows;
  for (std::uint32_t row = 0; row < times.size(); ++row) {
    if (!query_.range_ns.contains(times[row])) continue;
    if (query_.id) {
      const auto* id = std::get_if<std::string>(&ids[row]);
      if (id == nullptr || *id != query_.id->second) continue;
    }
    rows.push_back(row);
  }
  return rows;
}

Result<bool> Scan::visit_bytes(std::string_view bytes, const BlockVisitor& visit) const {
  PLUMBLINE_TRY(const BlockView view, BlockView::open(bytes));
  if (view.kind() != query_.kind || !model::matches_all(query_.stream, view.stream())) return true;
  for (const ScanHint& hint : hints_)
    if (!view.may_contain_words(hint.column, hint.words)) return true;
  PLUMBLINE_TRY(const std::vector<std::int64_t> times, view.times());
  PLUMBLINE_TRY(const std::vector<std::uint32_t> rows, matching_rows(view, times));
  if (rows.empty()) return true;

  const std::size_t first = rows.front();
  const std::size_t last = rows.back() + std::size_t{1};
  const bool gaps = last - first != rows.size();  // only a look-up by id leaves rows out in between
  std::vector<std::int64_t> kept;
  for (const std::uint32_t row : rows) kept.push_back(times[row]);
  std::vector<Column> columns;
  for (const BlockColumn& column : view.columns()) {
    if (!projection_.wants(column.name)) continue;
    Column out{std::string(column.name), {}};
    PLUMBLINE_CHECK_OK(view.decode(column, first, last, out.values));
    if (gaps) {
      for (std::size_t i = 0; i < rows.size(); ++i)
        if (rows[i] - first != i) out.values[i] = std::move(out.values[rows[i] - first]);
      out.values.resize(rows.size());
    }
    columns.push_back(std::move(out));
  }
  return visit(RowBlock{query_.kind, &view.stream(), kept, columns});
}

// --------------------------------------------------------------------------------------------------------------- streams

Status Scan::collect_streams(std::vector<Labels>& out) {
  std::set<Labels> found;
  if (query_.range_ns.min > query_.range_ns.max) return {};
  for (const auto& head : heads_.heads)
    for (const StreamHead* stream : head->streams())
      if (stream->kind() == query_.kind && model::matches_all(query_.stream, stream->labels()) &&
          stream->has_row_in(query_.range_ns))
        found.insert(stream->labels());

  // Blocks that begin before the range and end after it may still have no row in it: only those are read.
  std::map<std::string, std::vector<BlockKey>> doubtful;
  std::set<std::string, std::less<>> sure;
  PLUMBLINE_CHECK_OK(
      read_directories(kv_, query_.kind, query_.range_ns, [&](const DirectoryKey& key, DirectoryEntry&& entry) {
        if (heads_.hides(key.seal) || !wanted_stream(entry.stream) || sure.contains(entry.stream)) return Status{};
        for (const SealedBlock& b : entry.blocks) {
          if (query_.range_ns.contains(b.min_time) || query_.range_ns.contains(b.max_time)) {
            sure.insert(entry.stream);
            return Status{};
          }
          if (query_.range_ns.overlaps(b.min_time, b.max_time))
            doubtful[entry.stream].push_back({key.kind, key.day, key.stream, b.min_time, key.seal, b.number});
        }
        return Status{};
      }));
  for (const auto& [stream, keys] : doubtful) {
    for (const BlockKey& key : keys) {
      if (sure.contains(stream)) break;
      PLUMBLINE_TRY(const std::optional<std::string> bytes, fetch(key));
      if (!bytes) continue;
      const auto view = BlockView::open(*bytes);
      if (!view) return fail(view.error().in("event block " + hex(key.encode())));
      const auto times = view->times();
      if (!times) return fail(times.error().in("event block " + hex(key.encode())));
      if (std::any_of(times->begin(), times->end(), [&](std::int64_t t) { return query_.range_ns.contains(t); }))
        sure.insert(stream);
    }
  }
  for (const std::string& encoded : sure) {
    PLUMBLINE_TRY(Labels labels, Labels::decode(encoded));
    found.insert(std::move(labels));
  }
  out.assign(found.begin(), found.end());
  return {};
}

}  // namespace plumbline::storage::events
