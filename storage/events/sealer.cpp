#include "storage/events/sealer.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

#include "storage/events/block.hpp"
#include "storage/events/directory.hpp"
#include "storage/events/late_label.hpp"

namespace plumbline::storage::events {
namespace {

// The end of the rows of rows[first]'s day, at most `last`; rows are sorted.
std::size_t end_of_day(const RowsView& view, std::size_t first, std::size_t last) {
  const Day day = day_of(view.rows[first].time_ns);
  const auto begin = view.rows.begin();
  const auto end = std::partition_point(begin + static_cast<std::ptrdiff_t>(first), begin + static_cast<std::ptrdiff_t>(last),
                                        [&](const RowRef& r) { return day_of(r.time_ns) == day; });
  return static_cast<std::size_t>(end - begin);
}

}  // namespace

void put_ids(const BlockKey& key, std::string_view field, std::span<const model::Value> values, kv::Batch& out) {
  const auto kind = id_kind_of(field);
  if (!kind) return;
  std::set<std::string_view> ids;  // the spans of a trace share one entry per block
  for (const model::Value& v : values)
    if (const auto* text = std::get_if<std::string>(&v); text != nullptr && !text->empty()) ids.insert(*text);
  for (const std::string_view id : ids) out.put(kv::Family::event_ids, id_key(*kind, id, key), {});
}

SealCounts seal_head(const Head& head, kv::Batch& out) {
  SealCounts counts;
  std::map<std::string, std::vector<DirectoryEntry>> directories;  // by key
  const Projection everything;
  std::vector<std::int64_t> times;
  std::vector<Column> columns;
  std::vector<const StreamHead*> streams = head.streams();
  for (const StreamHead* stream : streams) {
    RowsView view = stream->rows_in({});
    view.sort();
    const std::string labels = stream->labels().encode();
    const std::uint64_t fingerprint = stream->labels().fingerprint();
    for (std::size_t first = 0; first < view.rows.size();) {
      const std::size_t last = end_of_day(view, first, view.cut(first));
      view.to_columns(first, last, everything, times, columns);
      BlockKey key{stream->kind(), day_of(times.front()), fingerprint, times.front(), head.seal_number(),
                   static_cast<std::uint32_t>(counts.blocks)};
      const std::string block = build_block(stream->kind(), stream->labels(), times, columns);
      out.put(kv::Family::events, key.encode(), block);
      for (const Column& column : columns) put_ids(key, column.name, column.values, out);
      auto& entries = directories[DirectoryKey{key.kind, key.day, fingerprint, key.seal}.encode()];
      if (entries.empty() || entries.back().stream != labels) entries.push_back({labels, {}});
      entries.back().blocks.push_back({key.number, times.front(), times.back(), times.size()});
      ++counts.blocks;
      counts.rows += times.size();
      counts.bytes += block.size();
      first = last;
    }
  }
  for (const auto& [key, entries] : directories) out.put(kv::Family::events, key, encode_directory(entries));
  head.each_label([&](const std::string& key, const PendingLabel& label) {
    out.put(kv::Family::labels, key, encode_label(label));
  });
  return counts;
}

}  // namespace plumbline::storage::events
