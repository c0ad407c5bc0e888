// The record of a segment that holds histograms: blocks of samples and what they are of. Internal to the segment's files.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"
#include "storage/model/histogram.hpp"
#include "storage/series/segment.hpp"

namespace plumbline::storage::series {

// Built while the series arrive.
class HistogramEncoder {
 public:
  void add(SeriesRef series, std::span<const model::HistogramSample> samples);
  bool empty() const { return blocks_.empty(); }
  std::size_t bytes() const { return payload_.size(); }
  std::uint16_t first_vshard() const { return blocks_.front().series.vshard; }
  std::uint16_t last_vshard() const { return blocks_.back().series.vshard; }
  // The body; the encoder is then empty.
  std::string finish(std::int64_t day_start);

 private:
  struct Block {
    SeriesRef series;
    std::size_t count = 0;
    std::int64_t min_t = 0;
    std::int64_t max_t = 0;
    std::size_t bytes = 0;
  };
  std::vector<Block> blocks_;
  std::string payload_;
};

class HistogramRecord {
 public:
  struct Block {
    SeriesRef series;
    std::uint32_t count = 0;
    std::int64_t min_t = 0;
    std::int64_t max_t = 0;
    std::size_t at = 0;
    std::size_t bytes = 0;
  };
  // Fails: corrupt, unsupported.
  static Result<HistogramRecord> open(std::string_view body, std::int64_t day_start);
  const std::vector<Block>& blocks() const { return blocks_; }
  // Appends the samples of a block. Fails: corrupt (they are not what the record says), unsupported.
  Status read(const Block& block, std::vector<model::HistogramSample>& out) const;

 private:
  std::string bytes_;
  std::vector<Block> blocks_;
};

}  // namespace plumbline::storage::series
