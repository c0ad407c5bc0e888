// A sealed chunk: up to 480 samples of one series inside one UTC day, with the summary that long windows read instead of
// samples. The bytes are specified with a worked example in storage/format/chunk.md.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"
#include "storage/model/sample.hpp"

namespace plumbline::storage::series {

inline constexpr std::uint32_t chunk_samples_max = 480;  // two hours at 15 s; decodes in some 10 us
inline constexpr std::int64_t day_ms = 86'400'000;
inline constexpr std::uint8_t chunk_version = 1;

inline std::uint32_t day_of(std::int64_t t) {
  return t <= 0 ? 0 : static_cast<std::uint32_t>(std::min<std::int64_t>(t / day_ms, 0xffff'ffff));
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
};
ChunkSummary summarize(const std::vector<model::Sample>& samples);

struct ChunkHeader {
  std::uint32_t series = 0;
  std::uint32_t count = 0;
  std::int64_t min_t = 0;
  std::int64_t max_t = 0;
  ChunkSummary summary;
};

struct ChunkKey {
  std::uint32_t day = 0;
  std::uint32_t series = 0;
  std::int64_t min_t = 0;
  std::uint64_t seal = 0;
};
std::string chunk_key(std::uint16_t vshard, const ChunkKey& key);
// The first key of a series on a day; with no series, of a day.
std::string chunk_key_from(std::uint16_t vshard, std::uint32_t day, std::uint32_t series = 0);
Result<ChunkKey> parse_chunk_key(std::string_view key);

// `samples`: sorted, one per timestamp, at least one, all on one day.
std::string encode_chunk(std::uint32_t series, const std::vector<model::Sample>& samples);
// Only the header: the caller skips chunks outside its range. Fails: corrupt, unsupported (a newer version or encoding).
Result<ChunkHeader> read_chunk_header(std::string_view value);
// Appends the samples inside the range. Verifies the checksum.
Status decode_chunk(std::string_view value, model::TimeRange range, std::vector<model::Sample>& out);

}  // namespace plumbline::storage::series
