// An open segment and the way to its records. Internal to the segment's files.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/codec/value_group.hpp"
#include "storage/series/segment_directory.hpp"
#include "storage/series/segment_format.hpp"
#include "storage/series/segment_histograms.hpp"

namespace plumbline::storage::series {

// Of wanted series, sorted, those of the vshards [first, last].
inline std::span<const SeriesRef> of_vshards(std::span<const SeriesRef> wanted, std::uint16_t first, std::uint16_t last) {
  const auto from = std::ranges::lower_bound(wanted, SeriesRef{first, 0});
  return {from, std::ranges::upper_bound(from, wanted.end(), SeriesRef{last, 0xffff'ffff})};
}

class SegmentFile final : public Segment {
 public:
  SegmentFile(std::unique_ptr<kv::TableReader> table, SegmentIndex index, SegmentCaches* caches);
  const SegmentInfo& info() const override { return index_.info; }
  const Roaring& ids() const override { return index_.ids; }
  std::pair<std::uint16_t, std::uint16_t> vshards_with(std::uint16_t vshard) const override;
  Status read(std::span<const SeriesRef> wanted, model::TimeRange range, const ChunkVisitor& visit, bool once) const override;
  using Segment::read;
  Result<Roaring> present(std::span<const SeriesRef> wanted, model::TimeRange range,
                          const std::function<Status()>& go_on) const override;
  const Roaring& histogram_ids() const override { return index_.histogram_ids; }
  Status read_histograms(std::span<const SeriesRef> wanted, model::TimeRange range, const HistogramVisitor& visit) const override;
  Result<std::vector<SeriesRef>> order(std::uint16_t first, std::uint16_t last) const override;
  Result<std::vector<SeriesRef>> histogram_order(std::uint16_t first, std::uint16_t last) const override;
  std::vector<std::string> verify() const override;
  std::uint64_t memory_bytes() const override;

  const SegmentIndex& index() const { return index_; }
  const kv::TableReader& table() const { return *table_; }
  std::uint64_t number() const { return number_; }
  SegmentCaches* caches() const { return caches_; }
  std::int64_t day_start() const { return std::int64_t{info().day} * day_ms; }

 private:
  std::unique_ptr<kv::TableReader> table_;
  const SegmentIndex index_;
  SegmentCaches* const caches_;
  const std::uint64_t number_;  // in the caches
};

// What one walk has open: an iterator, and the times it has decoded. Threads: one.
class SegmentWalk {
 public:
  // With caches: looks into them, and keeps there what it decodes.
  explicit SegmentWalk(const SegmentFile& file, SegmentCaches* caches = nullptr) : file_(file), caches_(caches) {}
  Result<DirectoryDecoder> directory(std::size_t group);
  Result<Directory> finish(std::size_t group, DirectoryDecoder decoder);
  // Through the file's cache, whatever the walk's are. Null when none of the group's series is wanted.
  Result<std::shared_ptr<const Directory>> directory_with(
      std::size_t group, const std::function<bool(const std::vector<SeriesRef>&)>& any_wanted);
  // Reads the payload of a group that has so many chunks: values() does so, too, when it must.
  Status open_payload(std::size_t group, std::size_t chunks);
  // They stand until the next call, or as long as held_values() if that is not null.
  Result<std::span<const double>> values(std::size_t group, std::size_t chunk, std::size_t chunks, std::uint32_t count);
  const SharedValues& held_values() const { return held_; }
  Result<SharedTimes> times(const GroupTimes& place);
  // By its place in the info record's list.
  Result<HistogramRecord> histograms(std::size_t place);
  Error at(Record kind, std::uint32_t number, Error error) const;  // says where

 private:
  struct TimesRecord {
    std::string value;
    std::vector<TimesColumn> columns;  // views into value
  };
  Result<SharedTimes> decode_times(const GroupTimes& place);
  Result<std::string_view> body(Record kind, std::uint16_t vshard, std::uint32_t number);
  Result<const TimesRecord*> times_record(std::uint32_t ordinal);

  static constexpr std::size_t times_cached_max = 512u << 10;  // samples
  static constexpr std::size_t records_cached_max = 64;

  const SegmentFile& file_;
  SegmentCaches* const caches_;
  std::optional<kv::TableReader::Getter> getter_;  // opened when the first record is read
  std::string payload_;
  std::optional<codec::ValueGroupDecoder> decoder_;
  std::size_t open_group_ = 0;  // of the decoder
  std::vector<double> values_;
  SharedValues held_;                                     // values that stand in the cache
  std::unordered_map<std::uint64_t, SharedTimes> times_;        // by record and column
  std::size_t times_cached_ = 0;
  std::unordered_map<std::uint32_t, std::unique_ptr<TimesRecord>> records_;
};

}  // namespace plumbline::storage::series
