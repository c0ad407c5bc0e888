// One column of a value group, between doubles and the residuals that the entropy stage codes.
//
//   double -> integer m: exact decimal (v = m / 10^e, or by a rule alike) or the double's bits in numeric
//   order m -> x = (m - first) / divisor x -> residual: x itself, its differences or their differences, less
//   a center, as unsigned
//
// Pure functions, bit-exact: what is no decimal in a decimal column is an exception and stands beside it with
// its bits.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "daemon/base/bytes.hpp"
#include "storage/codec/decimal.hpp"

namespace plumbline::storage::codec {

enum class ColumnKind : std::uint8_t {
  constant_bits = 0,     // `first` holds the bits
  constant_decimal = 1,  // `first` / 10^exponent
  decimals = 2,
  floats = 3,
};

struct ColumnForm {
  ColumnKind kind = ColumnKind::constant_bits;
  std::uint8_t order = 0;       // 0 values, 1 differences, 2 differences of differences
  bool is_signed = false;       // residuals are zigzagged
  bool has_exceptions = false;  // decimals only
  std::uint8_t exponent = 0;    // decimals: 0..decimal::exponent_max
  decimal::Rule rule = decimal::Rule::quotient;
  std::int64_t first = 0;
  std::int64_t center = 0;  // order 2: the difference before the first
  std::uint64_t divisor = 1;
};

// Reused from column to column.
struct ColumnScratch {
  std::vector<std::int64_t> integers;
  std::vector<std::int64_t> steps;
  std::vector<std::uint64_t> residuals;        // one less than values
  std::vector<std::uint8_t> tokens;            // of the residuals
  std::array<std::uint32_t, 256> histogram{};  // of the tokens
  std::string exceptions;                      // as bytes
  std::uint8_t exponent = 0;                   // of the last decimal column: the next one's first guess

  std::vector<std::uint64_t> other_residuals;
  std::vector<std::uint8_t> other_tokens;
  std::array<std::uint32_t, 256> other_histogram{};
};

// Chooses the form; fills residuals, tokens, histogram and exceptions where the form has them. Not for an
// empty column.
ColumnForm analyze_column(std::span<const double> values, ColumnScratch& scratch);

// Fills `out` from residuals (out.size() - 1 of them; any bits make some doubles). `residuals` is
// overwritten.
void restore_column(const ColumnForm& form, std::span<std::uint64_t> residuals, std::span<double> out);
// Puts the exceptions into their places. False when they make no sense for a column of this length.
bool read_exceptions(ByteReader& in, std::span<double> out);

}  // namespace plumbline::storage::codec
