// One column of a block: the values of one field in up to rows_max rows, of any mix of types, as self-contained bytes.
//
// A column knows the set of types in it. Where it is more than one (null counts), each row has a tag of just enough bits;
// then follows one dense run per type in the encoding of that type. So a column without nulls pays nothing for them, and a
// field that is a number here and a string there is stored as what it was.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "daemon/base/error.hpp"
#include "storage/model/event.hpp"

namespace plumbline::storage::codec {

// Limits of the decoder. A column holds at most what one request may bring (body limits are far below 256 MiB).
inline constexpr std::size_t column_rows_max = 65'536;
inline constexpr std::size_t column_bytes_max = 256u << 20;

// The types in a column as a set: bit i is alternative i of model::Value (0 null .. 5 list).
using TypeSet = std::uint8_t;
inline constexpr TypeSet type_bit(std::size_t alternative) { return static_cast<TypeSet>(1u << alternative); }
inline constexpr TypeSet type_bits_all = 0x3f;

struct EncodedColumn {
  TypeSet types = 0;
  std::string bytes;
  std::optional<std::pair<std::int64_t, std::int64_t>> ints;  // least and greatest
  std::optional<std::pair<double, double>> floats;            // the same, NaN left out
};

EncodedColumn encode_column(std::span<const model::Value> values);

// Appends the values of rows [first, last) of a column of `rows`. Fails: corrupt.
Status decode_column(std::string_view bytes, TypeSet types, std::size_t rows, std::size_t first, std::size_t last,
                     std::vector<model::Value>& out);

// Times are a column of i64 without nulls.
std::string encode_times(std::span<const std::int64_t> times);
Status decode_times(std::string_view bytes, std::size_t rows, std::vector<std::int64_t>& out);

}  // namespace plumbline::storage::codec
