// Blocks of up to 16 samples in the head's memory: small, and quick to write and to read. Bit-exact for every
// f64 and i64. The bytes live in memory only: they may change with every version, and the decoders trust
// them.
//
// Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace plumbline::storage::codec {

inline constexpr std::size_t block_values_max = 16;
// Room that an encoder needs at `out`; it may write rubbish behind what it returns, inside of this room.
inline constexpr std::size_t block_bytes_max = 160;
// A decoder may read (not use) this many bytes behind the block: keep them readable.
inline constexpr std::size_t block_slack = 8;

// 1..16 values. Returns the bytes written. `hint` is kept per series by the caller (0 at first): what the
// last block's values were like, so that the search starts there. Any hint gives a right block.
std::size_t encode_block(std::span<const double> values, std::uint8_t* out, std::uint8_t& hint);
std::size_t encode_block(std::span<const double> values, std::uint8_t* out);
// Returns the bytes read. `out` has exactly the length that was encoded.
std::size_t decode_block(const std::uint8_t* in, std::span<double> out);

std::size_t encode_times_block(std::span<const std::int64_t> times, std::uint8_t* out);
std::size_t decode_times_block(const std::uint8_t* in, std::span<std::int64_t> out);

}  // namespace plumbline::storage::codec
