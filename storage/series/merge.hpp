// Pieces of one series from several places (segments, heads) become one sorted run of samples.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "storage/model/histogram.hpp"
#include "storage/model/sample.hpp"
#include "storage/series/segment.hpp"
#include "storage/storage.hpp"

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
  // Instead of both, before end(): the part inside the range of a piece whose times and values stay apart unless it is merged. `held`
  // keeps the values; null: they are copied.
  void add(const SharedTimes& times, std::span<const double> values, const SharedValues& held, model::TimeRange range, std::uint64_t order);
  // That a piece has stale markers among its samples, or may have some.
  void note_stale() { stale_ = true; }
  bool stale() const { return stale_; }
  // Sorts and merges. Then samples() and histograms() are sorted, and a timestamp has one of either.
  void end();
  // The same for floats that stand apart: they are in times() and values(), and not in samples(). Values of several pieces are put
  // together in `scratch`, which is the caller's so that it stays in the processor's caches from one series to the next.
  void end(std::vector<double>& scratch);
  std::span<const model::Sample> samples() const { return samples_; }
  std::span<const model::HistogramSample> histograms() const { return histograms_; }
  std::span<const TimesPiece> times() const { return times_; }
  std::span<const double> values() const { return values_; }
  bool empty() const { return samples_.empty() && times_.empty() && histograms_.empty(); }
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
  void join();  // pieces that stand apart become samples

  std::vector<model::Sample> samples_;
  std::vector<model::HistogramSample> histograms_;
  std::vector<Piece> pieces_;
  bool stale_ = false;
  bool ascending_ = true;  // every piece of samples begins after the end of the one before

  struct Apart {
    std::uint64_t order = 0;
    SharedValues held;
    const double* values = nullptr;  // inside what is held, or null: in own_
    std::size_t own = 0;
  };
  const double* begin_of(const Apart& piece) const { return piece.held ? piece.values : own_.data() + piece.own; }
  std::vector<TimesPiece> times_;
  std::vector<Apart> apart_;              // the values of each
  std::vector<double> own_;
  std::vector<std::int64_t> own_times_;   // of what no segment holds
  std::span<const double> values_;
};

}  // namespace plumbline::storage::series
