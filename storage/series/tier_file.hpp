// A tier file: the samples of one UTC day as aggregates over buckets of 5 minutes or 1 hour, one sorted file beside the segments.
// A bucket is left-open, (end - resolution, end], as PromQL's windows are, and cut at the day's edges: the sample of midnight is
// the first bucket of its own day. What a bucket holds is what a chunk summary holds. Native histograms are not there.
// The bytes are specified with a worked example in storage/format/tier.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <roaring/roaring.hh>

#include "daemon/base/error.hpp"
#include "storage/kv/table_file.hpp"
#include "storage/series/segment_writer.hpp"

namespace plumbline::storage::series {

inline constexpr std::int64_t tier_5m = 5 * 60'000;
inline constexpr std::int64_t tier_1h = 60 * 60'000;
// `<yyyymmdd>-<5m or 1h>-<generation, 8 hex>.sst`
std::string tier_name(std::uint32_t day, std::int64_t resolution, std::uint32_t generation);
bool is_tier_name(std::string_view name);
std::uint32_t tier_generation(std::string_view name);  // of a tier's name

struct TierBucket {
  std::int64_t end = 0;         // ms, by the clock, also of a bucket that the day's end cuts
  std::int64_t first_t = 0;     // of its samples
  std::int64_t last_t = 0;
  ChunkSummary summary;         // of at least one value; without stale markers
  bool operator==(const TierBucket&) const = default;
};
struct TierSeries {
  SeriesRef series;
  std::vector<TierBucket> buckets;  // by time
  bool operator==(const TierSeries&) const = default;
};
// Samples of one day, sorted. Of no value, no bucket.
std::vector<TierBucket> to_buckets(std::span<const std::int64_t> times, std::span<const double> values, std::int64_t resolution);

// A group record's body.
inline constexpr std::size_t tier_group_buckets = 16'384;       // a group that has so many is closed behind its series
inline constexpr std::size_t tier_group_buckets_max = 20'000;   // and so has no more than these
std::string encode_tier_group(std::span<const TierSeries> group, std::uint32_t day, std::int64_t resolution);
Result<std::vector<TierSeries>> decode_tier_group(std::string_view body, std::uint32_t day, std::int64_t resolution);  // Fails: corrupt

// The vshards of a group's series, first and last; its record has the group's number.
struct TierGroup {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  bool operator==(const TierGroup&) const = default;
};
struct TierInfo {
  std::string name;
  std::uint32_t day = 0;
  std::int64_t resolution = 0;
  std::uint64_t bytes = 0;
  std::uint64_t buckets = 0;
  Roaring ids;
  std::vector<TierGroup> groups;  // none begins before the one before it ends
};
std::string encode_tier_info(const TierInfo& info);               // a body; without name and bytes
Result<TierInfo> decode_tier_info(std::string_view body);         // Fails: corrupt

// Takes the samples of a day as merge_segments() gives them, and writes their buckets. Histograms are passed over.
// Threads: one. Destroyed before finish(): the file is removed. Fails: unavailable (the disk is full or broken).
class TierWriter final : public SegmentWriter {
 public:
  // A file whose name no other has.
  static Result<std::unique_ptr<TierWriter>> create(const kv::TableFiles& files, std::uint32_t day, std::int64_t resolution);
  TierWriter(std::unique_ptr<kv::TableWriter> table, std::string name, std::uint32_t day, std::int64_t resolution);
  Status add(SeriesRef series, std::span<const std::int64_t> times, std::span<const double> values) override;
  using SegmentWriter::add;
  Status add_histograms(SeriesRef, std::span<const model::HistogramSample>) override { return {}; }
  // By ascending vshard, each series once, or else corrupt: they may be of a file that is. No buckets: passed over.
  Status add(TierSeries series);
  // A file even of no series: it says that there were none. The info's samples are the buckets.
  Result<SegmentInfo> finish() override;
  SegmentParts parts() const override { return {}; }

 private:
  Status flush();
  std::unique_ptr<kv::TableWriter> table_;
  TierInfo info_;
  std::vector<TierSeries> group_;
  std::size_t group_buckets_ = 0;
};

// Threads: any. Blocks: on disk. Fails: corrupt (names file and record), io, unsupported (a newer version).
class TierFile {
 public:
  static Result<std::shared_ptr<const TierFile>> open(const kv::TableFiles& files, const std::string& name);
  const TierInfo& info() const { return info_; }
  // The wanted series (sorted) that it has, each once, in the file's order.
  Status read(std::span<const SeriesRef> wanted, const std::function<Status(const TierSeries&)>& visit) const;
  Status read_all(const std::function<Status(TierSeries&&)>& visit) const;
  // Reads everything and compares it with itself. One line per problem; empty when the file is sound.
  std::vector<std::string> verify() const;

 private:
  TierFile(std::unique_ptr<kv::TableReader> table, TierInfo info) : table_(std::move(table)), info_(std::move(info)) {}
  Result<std::vector<TierSeries>> group(kv::TableReader::Getter& getter, std::size_t number) const;
  std::unique_ptr<kv::TableReader> table_;
  TierInfo info_;
};

}  // namespace plumbline::storage::series
