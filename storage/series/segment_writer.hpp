// Writes a segment as a stream: memory is bounded by one group of series and the distinct time columns' hashes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "storage/series/segment.hpp"

namespace plumbline::storage::series {

// Bytes by part, before the file's own blocks.
struct SegmentParts {
  std::uint64_t times = 0;
  std::uint64_t values = 0;
  std::uint64_t histograms = 0;
  std::uint64_t directory = 0;
  std::uint64_t index = 0;
  std::uint64_t keys = 0;
};

// Threads: one. Destroyed before finish(): the file is removed. Fails: unavailable (the disk is full or broken).
class SegmentWriter {
 public:
  // A file of its own: of that generation, or of the first one behind it that no file has.
  static Result<std::unique_ptr<SegmentWriter>> create(const kv::TableFiles& files, std::uint32_t day, std::uint64_t seal,
                                                       std::uint32_t generation = 0);
  virtual ~SegmentWriter() = default;
  // Every series once, by ascending vshard; within a vshard in canonical label order, so that siblings are neighbours (any
  // other order costs size only). Times ascend strictly and lie inside the day; values[i] is of times[i]; any number >= 1.
  virtual Status add(SeriesRef series, std::span<const std::int64_t> times, std::span<const double> values) = 0;
  Status add(SeriesRef series, std::span<const model::Sample> samples);
  // The histograms of a series, in the same order of series: behind its own add(), if it has floats as well, and before that of
  // the next. At no time of a float.
  virtual Status add_histograms(SeriesRef series, std::span<const model::HistogramSample> samples) = 0;
  // Nothing added: no file is left and info.series is 0. Otherwise file and directory are synced.
  virtual Result<SegmentInfo> finish() = 0;
  virtual SegmentParts parts() const = 0;

 private:
  std::vector<std::int64_t> times_;
  std::vector<double> values_;
};

// The time ranges of a series that a merge leaves out; most series have none.
using DroppedRanges = std::function<std::vector<model::TimeRange>(SeriesRef)>;

// Everything in `inputs` (segments of the writer's day) into `out`; of equal timestamps the higher seal wins. Streams, in
// slices of series. The caller finishes the writer.
Status merge_segments(std::span<const Segment* const> inputs, SegmentWriter& out, const DroppedRanges& dropped = nullptr);

}  // namespace plumbline::storage::series
