// The unsealed histograms of one series: packed rows in the order they came, cut into blocks so that a short range need not
// decode them all.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage/model/histogram.hpp"

namespace plumbline::storage::series {

// Later writes win: sorts by time and keeps the last of each timestamp.
void sort_and_keep_last(std::vector<model::HistogramSample>& samples);

// Threads: one at a time.
class HistogramBuffer {
 public:
  void add(const model::HistogramSample& sample);
  // A float was written at this time: the histogram there, if there is one, is no longer the last write.
  void remove(std::int64_t t);
  bool any(model::TimeRange range) const;
  // Appends what lies inside the range: in the order of time, one per timestamp (the last write).
  void read(model::TimeRange range, std::vector<model::HistogramSample>& out) const;
  std::size_t memory_bytes() const;

 private:
  struct Block {
    std::int64_t min_t = 0;
    std::int64_t max_t = 0;
    std::uint32_t count = 0;
    std::string rows;
  };
  static void decode(const Block& block, std::vector<model::HistogramSample>& out);
  void append(Block& block, const model::HistogramSample& sample, const model::HistogramLayout* before);

  std::vector<Block> blocks_;
  model::HistogramLayout layout_;  // of the last row
  bool open_ = false;              // the last block takes more
  bool ordered_ = true;            // every sample came after all before
};

}  // namespace plumbline::storage::series
