#include "storage/codec/column_strings.hpp"

#include <algorithm>
#include <unordered_map>

#include "storage/codec/column_ints.hpp"

namespace plumbline::storage::codec {
namespace {

enum Form : std::uint8_t { constant = 0, dictionary = 1, hex_digits = 2, plain = 3 };

// Beyond 4096 entries in a block of 8192 rows a value repeats less than twice, and zstd over the plain bytes does as well.
constexpr std::size_t dictionary_max = 4096;

int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool is_hex(std::string_view s) {
  return s.size() % 2 == 0 && std::all_of(s.begin(), s.end(), [](char c) { return nibble(c) >= 0; });
}

void put_plain(ByteWriter& out, std::span<const std::string_view> values) {
  const bool packed = std::all_of(values.begin(), values.end(), is_hex);
  std::vector<std::int64_t> lengths;
  lengths.reserve(values.size());
  for (const std::string_view v : values) lengths.push_back(static_cast<std::int64_t>(packed ? v.size() / 2 : v.size()));
  out.u8(packed ? Form::hex_digits : Form::plain);
  encode_ints(out, lengths);
  for (const std::string_view v : values) {
    if (!packed) {
      out.raw(v);
      continue;
    }
    for (std::size_t i = 0; i < v.size(); i += 2)
      out.u8(static_cast<std::uint8_t>(nibble(v[i]) << 4 | nibble(v[i + 1])));
  }
}

bool get_plain(ByteReader& in, std::size_t count, std::size_t bytes_max, bool packed, std::vector<std::string>& out) {
  std::vector<std::int64_t> lengths;
  if (!decode_ints(in, count, lengths)) return false;
  for (const std::int64_t length : lengths) {
    if (length < 0 || static_cast<std::uint64_t>(length) > bytes_max) return false;
    const std::string_view raw = in.raw(static_cast<std::size_t>(length));
    if (!in.ok()) return false;
    const std::size_t size = packed ? raw.size() * 2 : raw.size();
    if (size > bytes_max) return false;
    bytes_max -= size;
    out.push_back(packed ? std::string() : std::string(raw));
    if (!packed) continue;
    constexpr std::string_view digits = "0123456789abcdef";
    out.back().reserve(size);
    for (const char c : raw) {
      const auto byte = static_cast<std::uint8_t>(c);
      out.back().push_back(digits[byte >> 4]);
      out.back().push_back(digits[byte & 15]);
    }
  }
  return true;
}

bool put_dictionary(ByteWriter& out, std::span<const std::string_view> values) {
  std::unordered_map<std::string_view, std::int64_t> index_of;
  std::vector<std::string_view> entries;
  std::vector<std::int64_t> indexes;
  indexes.reserve(values.size());
  for (const std::string_view v : values) {
    const auto [at, added] = index_of.try_emplace(v, static_cast<std::int64_t>(entries.size()));
    if (added) entries.push_back(v);
    if (entries.size() > std::min(dictionary_max, values.size() / 2)) return false;
    indexes.push_back(at->second);
  }
  out.u8(Form::dictionary);
  out.varint(entries.size());
  put_plain(out, entries);
  encode_ints(out, indexes);
  return true;
}

bool get_dictionary(ByteReader& in, std::size_t count, std::size_t bytes_max, std::vector<std::string>& out) {
  const std::uint64_t size = in.varint();
  if (!in.ok() || size == 0 || size > dictionary_max) return false;
  const std::uint8_t form = in.u8();
  if (form != Form::plain && form != Form::hex_digits) return false;
  std::vector<std::string> entries;
  if (!get_plain(in, size, bytes_max, form == Form::hex_digits, entries)) return false;
  std::vector<std::int64_t> indexes;
  if (!decode_ints(in, count, indexes)) return false;
  for (const std::int64_t i : indexes) {
    if (i < 0 || static_cast<std::uint64_t>(i) >= size) return false;
    const std::string& entry = entries[static_cast<std::size_t>(i)];
    if (entry.size() > bytes_max) return false;
    bytes_max -= entry.size();
    out.push_back(entry);
  }
  return true;
}

}  // namespace

void encode_strings(ByteWriter& out, std::span<const std::string_view> values) {
  if (values.empty()) return;
  if (std::all_of(values.begin(), values.end(), [&](std::string_view v) { return v == values[0]; })) {
    out.u8(Form::constant);
    out.sized(values[0]);
    return;
  }
  if (!put_dictionary(out, values)) put_plain(out, values);
}

bool decode_strings(ByteReader& in, std::size_t count, std::size_t bytes_max, std::vector<std::string>& out) {
  if (count == 0) return true;
  switch (const std::uint8_t form = in.u8()) {
    case Form::constant: {
      const std::string_view value = in.sized();
      if (!in.ok() || (!value.empty() && count > bytes_max / value.size())) return false;
      out.insert(out.end(), count, std::string(value));
      return true;
    }
    case Form::dictionary: return get_dictionary(in, count, bytes_max, out);
    case Form::hex_digits:
    case Form::plain: return get_plain(in, count, bytes_max, form == Form::hex_digits, out);
    default: return false;
  }
}

}  // namespace plumbline::storage::codec
