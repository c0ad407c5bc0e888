// Pieces of one series from several places (segments, heads) become one sorted run of samples.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "storage/model/histogram.hpp"
#include "storage/model/sample.hpp"

namespace plumbline::storage::series {

// Gathers the pieces of one series. Usually they follow each other in time and end() is what add() was given; pieces that
// overlap (late data, rewrites) are merged: of equal timestamps the piece of the higher order wins, inside a piece there are
// none.
class Gather {
 public:
  // Where the next piece is to be appended by the caller; commit() tells that it was, and whose it is.
  std::vector<model::Sample>& buffer() { return samples_; }
  std::vector<model::HistogramSample>& histogram_buffer() { return histograms_; }
  void commit(std::uint64_t order);
  // That a piece has stale markers among its samples, or may have some.
  void note_stale() { stale_ = true; }
  bool stale() const { return stale_; }
  // Sorts and merges. Then samples() and histograms() are sorted, and a timestamp has one of either.
  void end();
  std::span<const model::Sample> samples() const { return samples_; }
  std::span<const model::HistogramSample> histograms() const { return histograms_; }
  bool empty() const { return samples_.empty() && histograms_.empty(); }
  void clear();

 private:
  struct Piece {
    std::uint64_t order = 0;
    std::size_t first = 0;
    std::size_t count = 0;
    std::size_t first_histogram = 0;
    std::size_t histograms = 0;
  };
  void merge_mixed();

  std::vector<model::Sample> samples_;
  std::vector<model::HistogramSample> histograms_;
  std::vector<Piece> pieces_;
  bool stale_ = false;
  bool apart_ = true;  // every piece begins after the end of the one before
};

}  // namespace plumbline::storage::series
