// A sample: a timestamp in Unix milliseconds and an f64. A time range is inclusive at both ends.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace plumbline::model {

struct Sample {
  std::int64_t t = 0;  // Unix ms
  double v = 0;
  bool operator==(const Sample& other) const {
    return t == other.t && std::bit_cast<std::uint64_t>(v) == std::bit_cast<std::uint64_t>(other.v);
  }
};

// Prometheus' staleness marker is a NaN with this payload; it says "the series ended here".
inline constexpr std::uint64_t stale_nan_bits = 0x7ff0000000000002ull;
inline const double stale_nan = std::bit_cast<double>(stale_nan_bits);
inline bool is_stale(double v) { return std::bit_cast<std::uint64_t>(v) == stale_nan_bits; }

struct TimeRange {
  std::int64_t min = std::numeric_limits<std::int64_t>::min();
  std::int64_t max = std::numeric_limits<std::int64_t>::max();
  bool contains(std::int64_t t) const { return t >= min && t <= max; }
  bool overlaps(std::int64_t lo, std::int64_t hi) const { return lo <= max && hi >= min; }
};

}  // namespace plumbline::model
