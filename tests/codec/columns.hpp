// Columns of doubles that break codecs, and ones as monitoring makes them.
#pragma once

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <span>
#include <vector>

#include <catch2/catch.hpp>

#include "storage/model/sample.hpp"

namespace plumbline::test {

using Random = std::mt19937_64;

inline constexpr int column_kinds = 24;

inline std::vector<double> column(Random& random, std::size_t n, int kind) {
  std::vector<double> out;
  out.reserve(n);
  const double start = static_cast<double>(random() % 1'000'000);
  const double ten = std::pow(10.0, static_cast<double>(random() % 24));
  double v = start;
  for (std::size_t i = 0; i < n; ++i) {
    switch (kind) {
      case 0:
        v = std::bit_cast<double>(random());
        break;  // any bits
      case 1:
        v = start;
        break;  // constant
      case 2:
        v = std::bit_cast<double>(0x7ff0000000000000ull | random() % 5);
        break;  // infinity and payloads
      case 3:
        v = std::bit_cast<double>(0xfff8000000000000ull | random());
        break;  // negative NaNs
      case 4:
        v = i % 2 == 0 ? 0.0 : -0.0;
        break;
      case 5:
        v = std::numeric_limits<double>::denorm_min() * static_cast<double>(random() % 1000);
        break;
      case 6:
        v += static_cast<double>(random() % 20);
        break;  // counter
      case 7:
        v = random() % 50 == 0 ? 0 : v + static_cast<double>(random() % 2000);
        break;  // with resets
      case 8:
        v = static_cast<double>(random() % 100'000) / ten;
        break;  // decimals of any exponent
      case 9:
        v = 9007199254740990.0 + static_cast<double>(random() % 7);
        break;  // around 2^53
      case 10:
        v = 18446744073709551615.0 - static_cast<double>(random() % 3) * 4096;
        break;  // around 2^64
      case 11:
        v = 9223372036854775807.0 + static_cast<double>(random() % 3) * 2048;
        break;  // around 2^63
      case 12:
        v = std::nextafter(v, random() % 2 == 0 ? 1e300 : -1e300);
        break;  // neighbours
      case 13:
        v = static_cast<double>(random() >> 11) * 0x1p-53;
        break;  // full precision
      case 14:
        v += static_cast<double>(static_cast<std::int64_t>(random() % 1000) - 500) * 4096;
        break;
      case 15:
        v = random() % 100 == 0 ? v + 1 : v;
        break;  // changes rarely
      case 16:
        v = random() % 40 == 0 ? model::stale_nan : static_cast<double>(random() % 1000) / 8;
        break;
      case 17:
        v = i + 1 == n ? model::stale_nan : start + static_cast<double>(i);
        break;
      case 18:
        v = i % 3 == 0 ? 1e308 : i % 3 == 1 ? 1e-308 : -1e15;
        break;  // mixed magnitudes
      case 19:
        v = 1.7e9 + static_cast<double>(i) * 15 + static_cast<double>(random() % 1000000) / 1e9;
        break;
      case 20:
        v = 1 + static_cast<double>(i) * 1e-9;
        break;
      case 21:
        v = i < n / 2 ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(i);
        break;
      case 22:
        v = static_cast<double>(static_cast<float>(random() % 1000) / 7.0f);
        break;  // was a float
      default:
        v = -std::bit_cast<double>(random() % 0x7ff0000000000000ull);
        break;  // negative, any size
    }
    out.push_back(v);
  }
  return out;
}

// Some of everything.
inline std::vector<double> mixed_column(Random& random, std::size_t n) {
  std::vector<double> out;
  while (out.size() < n) {
    const auto part = column(random, std::min(n - out.size(), static_cast<std::size_t>(1 + random() % 40)),
                             static_cast<int>(random() % column_kinds));
    out.insert(out.end(), part.begin(), part.end());
  }
  return out;
}

inline bool same_bits(std::span<const double> a, std::span<const double> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

}  // namespace plumbline::test
