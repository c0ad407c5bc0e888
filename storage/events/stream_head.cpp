#include "storage/events/stream_head.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "daemon/base/bytes.hpp"
#include "daemon/base/check.hpp"
#include "storage/events/block.hpp"
#include "storage/events/value_bytes.hpp"

namespace plumbline::storage::events {
namespace {

// Chunks double from 1 KiB, so that ten thousand quiet streams stay cheap, to 64 KiB.
constexpr std::size_t chunk_min = 1 << 10;
constexpr std::size_t chunk_max = 64 << 10;
// What a name costs in the two tables, on top of its text.
constexpr std::size_t name_overhead = 2 * sizeof(std::string) + 48;

std::string_view row_bytes(const char* at) {
  // The longest size is a varint of ten bytes; the reader stops at its end, wherever the chunk ends.
  std::uint64_t size = 0;
  int shift = 0;
  for (;; ++at, shift += 7) {
    const auto byte = static_cast<std::uint8_t>(*at);
    size |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return {at + 1, size};
}

ByteReader fields_of(const char* at) { return ByteReader(row_bytes(at)); }

}  // namespace

void RowsView::sort() {
  const auto earlier = [](const RowRef& a, const RowRef& b) { return a.time_ns < b.time_ns; };
  if (std::is_sorted(rows.begin(), rows.end(), earlier)) return;
  std::vector<std::pair<std::int64_t, std::size_t>> order;
  order.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) order.emplace_back(rows[i].time_ns, i);
  std::sort(order.begin(), order.end());
  std::vector<RowRef> sorted;
  sorted.reserve(rows.size());
  for (const auto& [time, i] : order) sorted.push_back(rows[i]);
  rows = std::move(sorted);
}

std::size_t RowsView::cut(std::size_t first) const {
  const std::size_t most = std::min(rows.size(), first + block_rows_max);
  // Sparse rows: the cells of a decoded block are counted only where the names could make them too many.
  const bool count_cells = names.size() > block_cells_max / block_rows_max;
  std::vector<bool> seen(count_cells ? names.size() : 0);
  std::size_t columns = 0;
  std::size_t bytes = 0;
  std::size_t last = first;
  for (; last < most; ++last) {
    ByteReader fields = fields_of(rows[last].at);
    bytes += fields.left();
    if (count_cells)
      while (!fields.done()) {
        const std::uint64_t number = fields.varint();
        if (!skip_value(fields)) break;
        if (!seen[number]) ++columns;
        seen[number] = true;
      }
    if (last > first && (bytes > block_raw_max || (last + 1 - first) * columns > block_cells_max)) break;
  }
  return last;
}

void RowsView::to_columns(std::size_t first, std::size_t last, const Projection& wanted,
                          std::vector<std::int64_t>& times, std::vector<Column>& columns) const {
  constexpr std::size_t unknown = std::numeric_limits<std::size_t>::max();
  constexpr std::size_t unwanted = unknown - 1;
  std::vector<std::size_t> column_of(names.size(), unknown);
  times.clear();
  columns.clear();
  for (std::size_t row = first; row < last; ++row) {
    times.push_back(rows[row].time_ns);
    ByteReader fields = fields_of(rows[row].at);
    while (!fields.done()) {
      const std::uint64_t number = fields.varint();
      PLUMBLINE_CHECK(fields.ok() && number < names.size(), "rows in memory are as they were written");
      std::size_t& column = column_of[number];
      if (column == unknown) {
        if (wanted.wants(names[number])) {
          column = columns.size();
          columns.push_back({names[number], std::vector<model::Value>(last - first)});
        } else {
          column = unwanted;
        }
      }
      const bool good = column == unwanted ? skip_value(fields) : get_value(fields, columns[column].values[row - first]);
      PLUMBLINE_CHECK(good, "rows in memory are as they were written");
    }
  }
}

StreamHead::StreamHead(EventKind kind, model::Labels labels) : kind_(kind), labels_(std::move(labels)) {}

std::uint32_t StreamHead::number_of(std::string_view name, std::size_t position) {
  if (position < last_order_.size() && names_[last_order_[position]] == name) return last_order_[position];
  auto found = numbers_.find(name);
  if (found == numbers_.end()) {
    found = numbers_.emplace(std::string(name), static_cast<std::uint32_t>(names_.size())).first;
    names_.emplace_back(name);
    bytes_ += 2 * name.size() + name_overhead;
  }
  if (position >= last_order_.size()) last_order_.resize(position + 1);
  last_order_[position] = found->second;
  return found->second;
}

const char* StreamHead::store(std::string_view bytes) {
  if (chunk_size_ - chunk_used_ < bytes.size()) {
    const std::size_t doubled = std::clamp(chunk_size_ * 2, chunk_min, chunk_max);
    chunk_size_ = std::max(doubled, bytes.size());
    chunks_.push_back(std::make_unique_for_overwrite<char[]>(chunk_size_));
    chunk_used_ = 0;
    bytes_ += chunk_size_ + sizeof(chunks_[0]);
  }
  char* at = chunks_.back().get() + chunk_used_;
  std::memcpy(at, bytes.data(), bytes.size());
  chunk_used_ += bytes.size();
  return at;
}

bool StreamHead::repeats(std::int64_t time_ns, std::string_view row) const {
  // A native histogram brings ten at a time, as clients are told to keep.
  constexpr std::size_t looked_back = 16;
  for (std::size_t i = rows_.size(); i > 0 && i + looked_back > rows_.size(); --i)
    if (rows_[i - 1].time_ns == time_ns && row_bytes(rows_[i - 1].at) == row) return true;
  return false;
}

StreamHead::Grown StreamHead::append(std::span<const model::Row> rows, std::vector<AddedId>& ids) {
  Lock lock(mutex_);
  const std::size_t before = bytes_ + rows_.capacity() * sizeof(RowRef);
  const std::size_t rows_before = rows_.size();
  for (const model::Row& row : rows) {
    ByteWriter fields;
    for (std::size_t i = 0; i < row.fields.size(); ++i) {
      const model::Field& f = row.fields[i];
      fields.varint(number_of(f.name, i));
      put_value(fields, f.value);
    }
    if (kind_ == EventKind::exemplar && repeats(row.time_ns, fields.str())) continue;
    for (const model::Field& f : row.fields) {
      const auto* text = std::get_if<std::string>(&f.value);
      if (text == nullptr || text->empty()) continue;
      if (const auto kind = id_kind_of(f.name))
        ids.push_back({*kind, hash64(*text), static_cast<std::uint32_t>(rows_.size())});
    }
    ByteWriter bytes;
    bytes.sized(fields.str());
    rows_.push_back({row.time_ns, store(bytes.str())});
  }
  return {bytes_ + rows_.capacity() * sizeof(RowRef) - before, rows_.size() - rows_before};
}

RowsView StreamHead::rows_in(model::TimeRange range) const {
  RowsView out;
  Lock lock(mutex_);
  out.names = names_;
  for (const RowRef& row : rows_)
    if (range.contains(row.time_ns)) out.rows.push_back(row);
  return out;
}

RowsView StreamHead::rows_with(std::span<const std::uint32_t> numbers, std::string_view field, std::string_view value,
                               model::TimeRange range) const {
  RowsView out;
  Lock lock(mutex_);
  const auto name = numbers_.find(field);
  if (name == numbers_.end()) return out;
  out.names = names_;
  for (const std::uint32_t number : numbers) {
    const RowRef& row = rows_[number];
    if (!range.contains(row.time_ns)) continue;
    ByteReader fields = fields_of(row.at);
    bool match = false;
    while (!fields.done() && fields.ok()) {
      if (fields.varint() == name->second)
        match = match_value(fields, value);  // of a repeated name the last counts, as in to_columns()
      else
        skip_value(fields);
    }
    if (match) out.rows.push_back(row);
  }
  return out;
}

bool StreamHead::has_row_in(model::TimeRange range) const {
  Lock lock(mutex_);
  return std::any_of(rows_.begin(), rows_.end(), [&](const RowRef& r) { return range.contains(r.time_ns); });
}

}  // namespace plumbline::storage::events
