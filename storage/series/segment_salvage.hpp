// What still reads of a damaged segment, written into a new one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "storage/series/segment_writer.hpp"

namespace plumbline::storage::series {

struct SegmentRest {
  std::uint64_t samples = 0;       // that were written
  std::vector<std::string> lost;   // lines: record and series; at most 1000
};
// Every chunk and every block of histograms that verifies, of the series that `known` knows, into `out`, which the caller finishes.
// Where a float and a histogram of one time were read, the float stays. Memory: one vshard of the segment.
// Fails: what the writer fails with.
Result<SegmentRest> salvage_segment(const Segment& segment, const std::function<bool(std::uint32_t id)>& known, SegmentWriter& out);

// How many samples a segment that does not open had at least: those that its directories and records of histograms count, as far as they
// read. 0: it is not known.
std::uint64_t count_samples(const std::string& path, const std::shared_ptr<rocksdb::FileSystem>& file_system);

}  // namespace plumbline::storage::series
