// A column of i64 as bytes: constant, or groups of bit-packed offsets, of the values or of their differences, whichever is
// smaller. Values that share a power of ten (nanosecond times with millisecond precision) are divided by it first.
//
// Pure functions. Every i64 sequence comes back as it was; differences wrap, so that no input overflows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "daemon/base/bytes.hpp"

namespace plumbline::storage::codec {

// 128 values share one minimum and one bit width: an outlier widens its own group only, and the group's header (2-11 bytes)
// stays below a tenth of a bit per value.
inline constexpr std::size_t int_group = 128;

// Nothing is written for an empty column: its length is known to the reader.
void encode_ints(ByteWriter& out, std::span<const std::int64_t> values);
// Appends `count` values. False when the bytes end early or make no sense; `out` is then unspecified.
bool decode_ints(ByteReader& in, std::size_t count, std::vector<std::int64_t>& out);

// `width` bits per value (0..64), least significant bit first, padded to whole bytes.
void pack_bits(ByteWriter& out, std::span<const std::uint64_t> values, unsigned width);
bool unpack_bits(ByteReader& in, std::span<std::uint64_t> values, unsigned width);

}  // namespace plumbline::storage::codec
