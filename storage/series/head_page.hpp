// The unsealed samples of 256 consecutive series ids.
//
//   slot -> tail: up to 16 raw samples in a chain of pieces of 4, 4 and 8 (append is two stores)
//        -> ring of buffers with packed blocks of 16 (codec/block16), about 1 to 2 bytes a sample
//        -> side buffer, where a sample came late or rewrites one
//        -> histograms, of the few series that have them
// Series that are scraped together close their blocks together: a block's times are stored once for all of them.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/base/mutex.hpp"
#include "storage/model/sample.hpp"
#include "storage/series/histogram_buffer.hpp"
#include "storage/series/slab_pool.hpp"

namespace plumbline::storage::series {

inline constexpr std::uint32_t page_series = 256;

// Later writes win: sorts by time and keeps the last of each timestamp.
void sort_and_keep_last(std::vector<model::Sample>& samples);

// Samples that came late or rewrite a timestamp. Sorted, but for a tail that is sorted in when it grows.
class SideBuffer {
 public:
  void add(model::Sample sample);
  // In the order of time, one per timestamp (the last write), inside the range.
  std::vector<model::Sample> read(model::TimeRange range) const;
  bool any(model::TimeRange range) const;
  std::size_t memory_bytes() const { return samples_.capacity() * sizeof(model::Sample); }

 private:
  std::vector<model::Sample> samples_;
  std::size_t sorted_ = 0;  // this many are sorted and unique
};

// Threads: the caller holds mutex().
class HeadPage {
 public:
  Mutex& mutex() const PLUMBLINE_ATTRIBUTE(lock_returned(mutex_)) { return mutex_; }

  // True when the slot is new to this page.
  bool append(std::uint32_t slot, model::Sample sample) PLUMBLINE_REQUIRES(mutex_) {
    Slot& s = slots_[slot];
    if (sample.t <= s.last_t) {
      late(slot, sample);
      return false;
    }
    const bool fresh = s.pieces == 0;
    const bool far = s.count > 0 && static_cast<std::uint64_t>(sample.t - base(s)) > std::numeric_limits<std::uint32_t>::max();
    if (s.count == ends[s.pieces] || far) make_room(s, far);
    const std::uint32_t offset = s.count == 0 ? 0 : static_cast<std::uint32_t>(sample.t - base(s));
    const std::size_t i = s.count - ends[s.pieces - 1u];
    times(s.tail, s.pieces)[i] = offset;
    values(s.tail)[i] = sample.v;
    ++s.count;
    s.last_t = sample.t;
    s.last_offset = offset;
    return fresh;
  }
  // The same. From then on last_t is that of both kinds, so that a float which takes a histogram's place comes late, and the
  // way of floats that come in order knows nothing of histograms.
  bool append(std::uint32_t slot, const model::HistogramSample& sample) PLUMBLINE_REQUIRES(mutex_);
  bool holds(std::uint32_t slot) const PLUMBLINE_REQUIRES(mutex_) { return slots_[slot].pieces != 0; }
  // Appends what lies inside the range: in the order of time, one sample per timestamp, a float or a histogram.
  void read(std::uint32_t slot, model::TimeRange range, std::vector<model::Sample>& out,
            std::vector<model::HistogramSample>& histograms) const PLUMBLINE_REQUIRES(mutex_);
  bool any(std::uint32_t slot, model::TimeRange range) const PLUMBLINE_REQUIRES(mutex_);
  // Bytes that this page has taken since the last call.
  std::size_t take_growth() PLUMBLINE_REQUIRES(mutex_) {
    const std::size_t now = sizeof(HeadPage) + pool_.memory_bytes() + block_times_.capacity() + side_bytes_;
    return now - std::exchange(reported_bytes_, now);
  }

 private:
  struct Buffer;  // a piece of the ring
  // A piece of a tail: the piece before it (8 bytes, null in the first), its values f64, as many u32 ms since the tail's base. A
  // chain instead of one array that grows: series that are scraped together grow together, and would all leave their shorter
  // arrays behind at once, where nobody wants them: 160 bytes a series.
  using Piece = std::uint8_t*;
  struct Slot {
    std::int64_t last_t = std::numeric_limits<std::int64_t>::min();
    Piece tail = nullptr;          // the last piece; with any samples in the tail, it holds the newest
    Buffer* last = nullptr;        // the ring's last buffer; its next is the first
    std::uint64_t block_value = 0; // bits of the last value in the blocks
    std::uint32_t last_offset = 0; // of last_t from the tail's base
    std::uint8_t count = 0;        // in the tail
    std::uint8_t hint = 0;         // of the value codec
    std::uint8_t pieces : 2 = 0;   // of the tail; 0: the series has no sample here
    bool has_blocks : 1 = false;
    bool has_side : 1 = false;
    bool has_histograms : 1 = false;
  };
  static_assert(sizeof(Slot) == 40);
  static constexpr std::uint8_t tail_max = 16;
  static constexpr std::array<std::uint8_t, 4> ends{0, 4, 8, tail_max};  // samples in the first n pieces

  // The samples of a tail, copied out of its pieces.
  struct Tail {
    std::array<std::uint32_t, tail_max> times;  // ms since the base
    std::array<double, tail_max> values;
  };

  static std::int64_t base(const Slot& s) { return s.last_t - s.last_offset; }
  static Piece& before(Piece p) { return *reinterpret_cast<Piece*>(p); }
  static double* values(Piece p) { return reinterpret_cast<double*>(p + sizeof(Piece)); }
  static std::uint32_t* times(Piece p, std::uint8_t nth) {
    return reinterpret_cast<std::uint32_t*>(values(p) + (ends[nth] - ends[nth - 1u]));
  }
  static Tail tail_of(const Slot& s);
  void make_room(Slot& s, bool close) PLUMBLINE_REQUIRES(mutex_);
  void close_block(Slot& s) PLUMBLINE_REQUIRES(mutex_);
  std::uint32_t store_times(const Slot& s, const Tail& tail) PLUMBLINE_REQUIRES(mutex_);
  void put_block(Slot& s, const std::uint8_t* bytes, std::size_t size) PLUMBLINE_REQUIRES(mutex_);
  // Of floats alone, whether or not a histogram took the place of some.
  void read_floats(std::uint32_t slot, model::TimeRange range, std::vector<model::Sample>& out) const PLUMBLINE_REQUIRES(mutex_);
  void late(std::uint32_t slot, model::Sample sample) PLUMBLINE_REQUIRES(mutex_);
  // Every sample that arrived in order, oldest first.
  void in_order(const Slot& s, model::TimeRange range, std::vector<model::Sample>& out) const PLUMBLINE_REQUIRES(mutex_);

  // The times of blocks that were closed lately, as tails hold them.
  struct ClosedTimes {
    std::int64_t base = 0;
    std::array<std::uint32_t, tail_max> times{};
    std::uint8_t count = 0;
    std::uint32_t offset = 0;  // in block_times_
  };

  mutable Mutex mutex_;
  std::array<Slot, page_series> slots_ PLUMBLINE_GUARDED_BY(mutex_);
  SlabPool pool_ PLUMBLINE_GUARDED_BY(mutex_);
  std::vector<std::uint8_t> block_times_ PLUMBLINE_GUARDED_BY(mutex_);  // and the codec's slack behind them
  std::size_t block_times_used_ PLUMBLINE_GUARDED_BY(mutex_) = 0;
  std::array<ClosedTimes, 4> closed_ PLUMBLINE_GUARDED_BY(mutex_);  // four targets may take turns on a page
  std::uint8_t next_closed_ PLUMBLINE_GUARDED_BY(mutex_) = 0;
  std::unordered_map<std::uint32_t, SideBuffer> side_ PLUMBLINE_GUARDED_BY(mutex_);
  std::size_t side_bytes_ PLUMBLINE_GUARDED_BY(mutex_) = 0;  // of both maps
  // A pointer: most pages have no histograms and pay for none.
  std::unique_ptr<std::unordered_map<std::uint32_t, HistogramBuffer>> histograms_ PLUMBLINE_GUARDED_BY(mutex_);
  std::size_t reported_bytes_ PLUMBLINE_GUARDED_BY(mutex_) = 0;
};

}  // namespace plumbline::storage::series
