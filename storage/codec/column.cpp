#include "storage/codec/column.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "daemon/base/check.hpp"
#include "daemon/base/compression.hpp"
#include "storage/codec/column_floats.hpp"
#include "storage/codec/column_ints.hpp"
#include "storage/codec/column_strings.hpp"

namespace plumbline::storage::codec {
namespace {

using model::List;
using model::Value;

enum Alternative : std::size_t { null = 0, boolean = 1, integer = 2, number = 3, text = 4, list = 5 };
enum Packing : std::uint8_t { as_is = 0, zstd_1 = 1 };

// Below this zstd's frame costs more than it saves.
constexpr std::size_t zstd_worth_trying = 48;

std::string pack(std::string body) {
  std::string out;
  if (body.size() >= zstd_worth_trying) {
    const std::string packed = zstd(body);
    if (packed.size() + packed.size() / 16 < body.size()) {  // a gain below a sixteenth is not worth its decoding
      out.push_back(Packing::zstd_1);
      return out + packed;
    }
  }
  out.push_back(Packing::as_is);
  return out + body;
}

// The body of a column: a view of `bytes`, or of `inflated`, which then owns it.
Result<std::string_view> unpack(std::string_view bytes, std::string& inflated) {
  if (bytes.empty()) return fail(Code::corrupt, "empty column");
  const std::string_view body = bytes.substr(1);
  switch (static_cast<std::uint8_t>(bytes[0])) {
    case Packing::as_is: return body;
    case Packing::zstd_1: {
      Result<std::string> unpacked = unzstd(body, column_bytes_max);
      if (!unpacked) return fail(Code::corrupt, unpacked.error().message);
      inflated = std::move(*unpacked);
      return std::string_view(inflated);
    }
    default: return fail(Code::corrupt, "unknown column packing");
  }
}

unsigned tag_width(TypeSet types) { return static_cast<unsigned>(std::bit_width(static_cast<unsigned>(std::popcount(types)) - 1)); }

// Dense runs, one per type, in the order of the rows.
struct Runs {
  std::vector<std::uint64_t> booleans;
  std::vector<std::int64_t> integers;
  std::vector<double> numbers;
  std::vector<std::string_view> texts;
  std::vector<std::int64_t> list_sizes;
  std::vector<double> list_items;
};

Runs split(std::span<const Value> values) {
  Runs runs;
  for (const Value& v : values) {
    switch (v.index()) {
      case boolean: runs.booleans.push_back(std::get<bool>(v) ? 1 : 0); break;
      case integer: runs.integers.push_back(std::get<std::int64_t>(v)); break;
      case number: runs.numbers.push_back(std::get<double>(v)); break;
      case text: runs.texts.push_back(std::get<std::string>(v)); break;
      case list: {
        const List& items = std::get<List>(v);
        runs.list_sizes.push_back(static_cast<std::int64_t>(items.size()));
        runs.list_items.insert(runs.list_items.end(), items.begin(), items.end());
        break;
      }
      default: break;
    }
  }
  return runs;
}

struct DecodedRuns {
  std::vector<std::uint64_t> booleans;
  std::vector<std::int64_t> integers;
  std::vector<double> numbers;
  std::vector<std::string> texts;
  std::vector<List> lists;
};

bool decode_lists(ByteReader& in, std::size_t count, std::vector<List>& out) {
  std::vector<std::int64_t> sizes;
  if (!decode_ints(in, count, sizes)) return false;
  std::uint64_t total = 0;
  for (const std::int64_t size : sizes) {
    if (size < 0 || static_cast<std::uint64_t>(size) > column_bytes_max / 8) return false;
    total += static_cast<std::uint64_t>(size);
    if (total > column_bytes_max / 8) return false;
  }
  std::vector<double> items;
  if (!decode_floats(in, total, items)) return false;
  auto at = items.begin();
  for (const std::int64_t size : sizes) {
    out.emplace_back(at, at + size);
    at += size;
  }
  return true;
}

bool decode_runs(ByteReader& in, const std::array<std::size_t, 6>& counts, DecodedRuns& runs) {
  runs.booleans.resize(counts[boolean]);
  return unpack_bits(in, runs.booleans, 1) && decode_ints(in, counts[integer], runs.integers) &&
         decode_floats(in, counts[number], runs.numbers) &&
         decode_strings(in, counts[text], column_bytes_max, runs.texts) && decode_lists(in, counts[list], runs.lists) &&
         in.ok() && in.done();
}

}  // namespace

EncodedColumn encode_column(std::span<const Value> values) {
  PLUMBLINE_CHECK(values.size() <= column_rows_max, "a block is cut long before the decoder's limit");
  EncodedColumn out;
  for (const Value& v : values) out.types |= type_bit(v.index());
  if (out.types == 0 || out.types == type_bit(null)) return out;  // nothing but nulls: no bytes at all

  ByteWriter body;
  if (std::popcount(out.types) > 1) {
    std::vector<std::uint64_t> tags;
    tags.reserve(values.size());
    for (const Value& v : values)
      tags.push_back(static_cast<unsigned>(std::popcount(static_cast<unsigned>(out.types & (type_bit(v.index()) - 1)))));
    pack_bits(body, tags, tag_width(out.types));
  }
  const Runs runs = split(values);
  pack_bits(body, runs.booleans, 1);
  encode_ints(body, runs.integers);
  encode_floats(body, runs.numbers);
  encode_strings(body, runs.texts);
  encode_ints(body, runs.list_sizes);
  encode_floats(body, runs.list_items);
  out.bytes = pack(body.take());

  if (!runs.integers.empty()) {
    const auto [least, most] = std::minmax_element(runs.integers.begin(), runs.integers.end());
    out.ints.emplace(*least, *most);
  }
  for (const double v : runs.numbers) {
    if (std::isnan(v)) continue;
    if (!out.floats) out.floats.emplace(v, v);
    out.floats->first = std::min(out.floats->first, v);
    out.floats->second = std::max(out.floats->second, v);
  }
  return out;
}

Status decode_column(std::string_view bytes, TypeSet types, std::size_t rows, std::size_t first, std::size_t last,
                     std::vector<Value>& out) {
  PLUMBLINE_CHECK(first <= last && last <= rows, "the caller asks for rows of the block");
  if (rows == 0 || rows > column_rows_max || types == 0 || types > type_bits_all)
    return fail(Code::corrupt, "impossible column descriptor");
  if (types == type_bit(null)) {
    if (!bytes.empty()) return fail(Code::corrupt, "a column of nulls has bytes");
    out.resize(out.size() + (last - first));
    return {};
  }
  std::string inflated;
  PLUMBLINE_TRY(const std::string_view body, unpack(bytes, inflated));
  ByteReader in(body);

  std::array<std::size_t, 6> alternatives{};  // of each tag
  std::size_t known = 0;
  for (std::size_t a = 0; a < 6; ++a)
    if ((types & type_bit(a)) != 0) alternatives[known++] = a;
  std::vector<std::uint64_t> tags(rows, 0);
  if (known > 1 && !unpack_bits(in, tags, tag_width(types))) return fail(Code::corrupt, "truncated column tags");
  std::array<std::size_t, 6> counts{};
  for (std::uint64_t& tag : tags) {
    if (tag >= known) return fail(Code::corrupt, "unknown column tag");
    tag = alternatives[tag];
    ++counts[tag];
  }
  DecodedRuns runs;
  if (!decode_runs(in, counts, runs)) return fail(Code::corrupt, "damaged column values");

  std::array<std::size_t, 6> at{};
  out.reserve(out.size() + (last - first));
  for (std::size_t row = 0; row < last; ++row) {
    const std::uint64_t tag = tags[row];
    const std::size_t i = at[tag]++;
    if (row < first) continue;
    switch (tag) {
      case boolean: out.emplace_back(runs.booleans[i] != 0); break;
      case integer: out.emplace_back(runs.integers[i]); break;
      case number: out.emplace_back(runs.numbers[i]); break;
      case text: out.emplace_back(std::move(runs.texts[i])); break;
      case list: out.emplace_back(std::move(runs.lists[i])); break;
      default: out.emplace_back(); break;
    }
  }
  return {};
}

std::string encode_times(std::span<const std::int64_t> times) {
  ByteWriter body;
  encode_ints(body, times);
  return pack(body.take());
}

Status decode_times(std::string_view bytes, std::size_t rows, std::vector<std::int64_t>& out) {
  if (rows == 0 || rows > column_rows_max) return fail(Code::corrupt, "impossible number of rows");
  std::string inflated;
  PLUMBLINE_TRY(const std::string_view body, unpack(bytes, inflated));
  ByteReader in(body);
  if (!decode_ints(in, rows, out) || !in.ok() || !in.done()) return fail(Code::corrupt, "damaged times");
  return {};
}

}  // namespace plumbline::storage::codec
