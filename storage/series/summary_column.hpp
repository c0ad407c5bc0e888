// The summaries of a group's chunks in few bytes: what a constant, monotonic or decimal chunk implies is not stored. first,
// last, min, max, count come back with their bits; sum and reset correction within 1e-13 of what they were.
// storage/format/segment.md says how. Internal to the segment's files.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "daemon/base/bytes.hpp"
#include "daemon/base/error.hpp"
#include "storage/series/chunk_summary.hpp"
#include "storage/series/segment_format.hpp"

namespace plumbline::storage::series {

class SummaryEncoder {
 public:
  // `samples`: of the chunk, stale markers included.
  void add(const ChunkSummary& summary, std::uint32_t samples);
  void finish(ByteWriter& out);  // appends; the encoder is then empty

 private:
  void add_raw(const ChunkSummary& summary, std::uint8_t shape);
  bool add_decimal(const ChunkSummary& summary, std::uint8_t shape);
  std::vector<std::uint64_t> shapes_;
  std::vector<std::uint64_t> modes_;
  ByteWriter stale_, first_, last_, low_, high_, sum_, reset_, raw_;
};

// One summary per element of `samples`, which holds the chunks' numbers of samples. Fails: corrupt.
Result<std::vector<ChunkSummary>> decode_summaries(NumberReader& in, std::span<const std::uint32_t> samples);

}  // namespace plumbline::storage::series
