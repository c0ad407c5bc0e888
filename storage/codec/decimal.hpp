// Doubles as exact decimals, v = m / 10^e with an integer m, and as integers in numeric order. Pure
// functions.
//
// Both operands of the division are exact, so that the quotient is the double nearest to the decimal, which
// is what parsing its text gives; the check is on bits, so that NaN, infinities and -0.0 are never decimals.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace plumbline::storage::codec::decimal {

inline constexpr std::uint8_t exponent_max = 18;
inline constexpr std::array<double, exponent_max + 1> tens{
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
inline double power(int exponent) {
  return tens[static_cast<std::size_t>(exponent)];
}

// Adding this to |x| < 2^51 rounds to an integer, which then stands in the low bits: a conversion that SSE2
// vectorises.
inline constexpr double magic = 0x1.8p52;
inline constexpr std::uint64_t magic_bits = std::bit_cast<std::uint64_t>(magic);
inline constexpr std::uint64_t mantissa_limit = 1ull << 51;
inline constexpr std::size_t block = 16;  // a fixed trip count is what -O2 vectorises

inline std::uint64_t bits_of(double v) {
  return std::bit_cast<std::uint64_t>(v);
}

// How a program made seconds of milliseconds or microseconds decides on the last bit of many of them.
enum class Rule : std::uint8_t {
  quotient = 0,   // m / 10^e: the double nearest to the decimal
  product = 1,    // m * 10^-e
  quotients = 2,  // m / 10^3 / 10^(e-3), e above 3
};
inline constexpr std::uint8_t rules = 3;

inline double back(double m, double ten, Rule rule) {
  return rule == Rule::quotient ? m / ten : rule == Rule::product ? m * (1 / ten) : m / 1e3 / (ten / 1e3);
}

// Nought when v comes of the integer m by the rule, m being -2^51..2^51-1.
inline std::uint64_t from_double(double v, double ten, std::int64_t& m, Rule rule = Rule::quotient) {
  const double shifted = v * ten + magic;
  const std::uint64_t integer = bits_of(shifted) - magic_bits;
  m = static_cast<std::int64_t>(integer);
  return (bits_of(back(shifted - magic, ten, rule)) ^ bits_of(v)) | ((integer + mantissa_limit) >> 52);
}

template <Rule rule>
std::uint64_t from_block_by(const double* v, double ten, std::int64_t* m) {
  std::uint64_t bad = 0;
  for (std::size_t i = 0; i < block; ++i) bad |= from_double(v[i], ten, m[i], rule);
  return bad;
}

// Nought when all `block` values do.
inline std::uint64_t from_block(const double* v, int exponent, std::int64_t* m, Rule rule = Rule::quotient) {
  if (exponent == 0) {  // without the division
    std::uint64_t bad = 0;
    for (std::size_t i = 0; i < block; ++i) {
      const double shifted = v[i] + magic;
      const std::uint64_t integer = bits_of(shifted) - magic_bits;
      m[i] = static_cast<std::int64_t>(integer);
      bad |= (bits_of(shifted - magic) ^ bits_of(v[i])) | ((integer + mantissa_limit) >> 52);
    }
    return bad;
  }
  switch (rule) {
    case Rule::quotient:
      return from_block_by<Rule::quotient>(v, power(exponent), m);
    case Rule::product:
      return from_block_by<Rule::product>(v, power(exponent), m);
    default:
      return from_block_by<Rule::quotients>(v, power(exponent), m);
  }
}

// m / 10^exponent, of m in the range above.
inline void to_block(const std::int64_t* m, int exponent, double* v) {
  const double ten = power(exponent);
  if (exponent == 0)
    for (std::size_t i = 0; i < block; ++i)
      v[i] = std::bit_cast<double>(static_cast<std::uint64_t>(m[i]) + magic_bits) - magic;
  else
    for (std::size_t i = 0; i < block; ++i)
      v[i] = (std::bit_cast<double>(static_cast<std::uint64_t>(m[i]) + magic_bits) - magic) / ten;
}

// The least exponent of at least `from` that makes a decimal of v, or -1.
inline int least_exponent(double v, int from) {
  std::int64_t m = 0;
  if (std::isfinite(v))
    for (int e = from; e <= exponent_max && std::fabs(v) * power(e) < 0x1p51; ++e)
      if (from_double(v, power(e), m) == 0) return e;
  return -1;
}

// The bits of a double as an integer whose order is the doubles': neighbours differ by one. Its own inverse.
inline std::int64_t ordered(std::int64_t bits) {
  return bits ^ static_cast<std::int64_t>(static_cast<std::uint64_t>(bits >> 63) >> 1);
}

inline std::uint64_t zigzag(std::int64_t v) {
  return (static_cast<std::uint64_t>(v) << 1) ^ static_cast<std::uint64_t>(v >> 63);
}
inline std::int64_t unzigzag(std::uint64_t v) {
  return static_cast<std::int64_t>((v >> 1) ^ (0 - (v & 1)));
}
// Modulo 2^64, so that no input overflows.
inline std::int64_t minus(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}

}  // namespace plumbline::storage::codec::decimal
