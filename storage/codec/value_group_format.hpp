// What the writer and the reader of value groups share: storage/format/value_group.md in names.
#pragma once

#include <cstddef>
#include <cstdint>

namespace plumbline::storage::codec::group_format {

inline constexpr std::uint8_t version = 1;
inline constexpr std::size_t models_max = 64;
// In the place of a model: the residuals are those of an earlier column.
inline constexpr std::uint8_t copied = 0xff;

// The flag byte of a column.
inline constexpr std::uint8_t kind_mask = 0x03;  // ColumnKind
inline constexpr std::uint8_t order_shift = 2;   // two bits: 0..2
inline constexpr std::uint8_t flag_signed = 0x10;
inline constexpr std::uint8_t flag_exceptions = 0x20;
inline constexpr std::uint8_t flag_divisor = 0x40;
inline constexpr std::uint8_t flag_exponent = 0x80;

// The exponent's byte.
inline constexpr std::uint8_t exponent_mask = 0x1f;
inline constexpr std::uint8_t rule_shift = 5;

}  // namespace plumbline::storage::codec::group_format
