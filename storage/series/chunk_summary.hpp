// What long windows read instead of samples.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "storage/model/sample.hpp"

namespace plumbline::storage::series {

inline constexpr std::uint32_t chunk_samples_max = 480;  // two hours at 15 s; decodes in some 10 us

inline constexpr std::int64_t day_ms = 86'400'000;

// Times before 1970 belong to the first day, times after the last day number to the last.
inline std::uint32_t day_of(std::int64_t t) {
  return t <= 0 ? 0 : static_cast<std::uint32_t>(std::min<std::int64_t>(t / day_ms, 0xffff'ffff));
}

inline model::TimeRange times_of_day(std::uint32_t day) {
  const std::int64_t start = std::int64_t{day} * day_ms;
  return {start, start + day_ms - 1};
}

// Stale markers are counted only in has_stale: they are not values. min, max and the reset correction pass over NaN.
struct ChunkSummary {
  double first = 0;
  double last = 0;
  double min = 0;
  double max = 0;
  double sum = 0;               // compensated (Kahan-Neumaier)
  double reset_correction = 0;  // what increase() adds: the value before each drop
  std::uint32_t count = 0;      // without stale markers
  bool has_stale = false;
  bool operator==(const ChunkSummary&) const = default;
};
ChunkSummary summarize(const std::vector<model::Sample>& samples);
ChunkSummary summarize(std::span<const double> values);

}  // namespace plumbline::storage::series
