// The directory record of a group: which series, which chunks, their times and summaries. Internal to the segment's files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"
#include "storage/series/segment_format.hpp"
#include "storage/series/summary_column.hpp"

namespace plumbline::storage::series {

// A distinct time column of the group and where it stands.
struct GroupTimes {
  std::uint32_t record = 0;  // ordinal of the times record
  std::uint32_t column = 0;
  std::uint32_t count = 0;
  std::int64_t min_t = 0;
  std::int64_t max_t = 0;
};

// Built while the group's series arrive.
class DirectoryEncoder {
 public:
  void add_series(SeriesRef series);
  // A chunk of the series added last; it is the next column of the payload.
  void add_chunk(std::uint32_t times, ChunkKind kind, std::uint32_t count, const ChunkSummary& summary);
  std::size_t series() const { return series_.size(); }
  std::size_t chunks() const { return chunks_; }
  const std::vector<SeriesRef>& refs() const { return series_; }
  // The body; the encoder is then empty.
  std::string finish(std::int64_t day_start, const std::vector<GroupTimes>& times);

 private:
  std::vector<SeriesRef> series_;
  std::vector<std::uint64_t> chunks_of_;
  std::vector<std::uint64_t> times_;
  std::vector<std::uint64_t> kinds_;
  SummaryEncoder summaries_;
  std::size_t chunks_ = 0;
};

struct Directory {
  std::vector<SeriesRef> series;
  std::vector<std::uint32_t> first_chunk;  // per series, and one more: the number of chunks
  std::vector<GroupTimes> times;
  std::vector<std::uint32_t> times_of;  // per chunk
  std::vector<ChunkKind> kinds;
  std::vector<ChunkSummary> summaries;

  std::uint64_t memory_bytes() const;
  ChunkInfo chunk(std::size_t series_at, std::size_t chunk_at) const;
};

// In two steps: who looks for an id that is not here needs no more than the first. Fails: corrupt.
class DirectoryDecoder {
 public:
  static Result<DirectoryDecoder> open(std::string_view body);
  const std::vector<SeriesRef>& series() const { return directory_.series; }
  Result<Directory> finish(std::int64_t day_start) &&;

 private:
  std::string bytes_;
  std::size_t at_ = 0;
  std::size_t chunks_ = 0;
  Directory directory_;
};

}  // namespace plumbline::storage::series
