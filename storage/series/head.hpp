// The open end of every series, in memory: pages of 256 ids, found without a lock, each with a lock of its own.
//
// A head is active (takes appends), then frozen (read only, being sealed), then dropped. Readers hold it by shared_ptr.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include <roaring/roaring.hh>

#include "storage/series/head_page.hpp"
#include "storage/series/series_run.hpp"

namespace plumbline::storage::series {

// Threads: any.
class Head {
 public:
  // `seal_number`: of the seal that will write it.
  explicit Head(std::uint64_t seal_number);
  ~Head();
  Head(const Head&) = delete;
  Head& operator=(const Head&) = delete;

  std::uint64_t seal_number() const { return seal_number_; }
  // A whole request. Neighbouring runs of one page take its lock once. Returns the first and last time of its samples.
  model::TimeRange append(std::span<const SeriesRun> runs, std::span<const model::Sample> samples);
  model::TimeRange append(std::span<const SeriesRun> runs, std::span<const model::HistogramSample> samples);
  // Appends what lies inside the range, sorted, one sample per timestamp: a float or a histogram, the last write. Both in one
  // call, because what takes the other's place in between would be missed. False when there is nothing.
  bool read(SeriesId id, model::TimeRange range, std::vector<model::Sample>& out,
            std::vector<model::HistogramSample>& histograms) const;
  // Those of the ids that have a sample inside the range. `go_on`: asked every 16 pages (4,096 series), see GoOn.
  Result<Roaring> present(const Roaring& ids, model::TimeRange range, const std::function<Status()>& go_on) const;
  bool holds(SeriesId id) const;
  Roaring ids() const;
  // First and last time of all samples; empty() when there are none.
  model::TimeRange bounds() const { return {min_t_.load(std::memory_order_relaxed), max_t_.load(std::memory_order_relaxed)}; }

  std::uint64_t series() const { return series_.load(std::memory_order_relaxed); }
  std::uint64_t samples() const { return samples_.load(std::memory_order_relaxed); }
  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  // Pages hang on a directory of two levels: 4096 x 4096 x 256 ids.
  static constexpr std::size_t fan_out = 4096;
  struct Directory {
    std::array<std::atomic<HeadPage*>, fan_out> pages{};
  };
  template <class Sample>
  model::TimeRange append_all(std::span<const SeriesRun> runs, std::span<const Sample> samples);
  HeadPage* find(SeriesId id) const;
  HeadPage& page(SeriesId id);

  const std::uint64_t seal_number_;
  const std::unique_ptr<std::array<std::atomic<Directory*>, fan_out>> directories_;
  std::atomic<std::uint64_t> series_{0};
  std::atomic<std::uint64_t> samples_{0};  // of both kinds
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::int64_t> min_t_{std::numeric_limits<std::int64_t>::max()};
  std::atomic<std::int64_t> max_t_{std::numeric_limits<std::int64_t>::min()};
};

}  // namespace plumbline::storage::series
