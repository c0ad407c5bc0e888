// A segment: the sealed samples of one UTC day from one seal (or from a merge of several), one sorted file. A segment never
// changes. Of equal timestamps in two segments the higher seal wins; that is the caller's merge.
// The bytes are specified with a worked example in storage/format/segment.md.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <roaring/roaring.hh>

#include "daemon/base/error.hpp"
#include "storage/kv/table_file.hpp"
#include "storage/model/histogram.hpp"
#include "storage/model/sample.hpp"
#include "storage/series/chunk_summary.hpp"
#include "storage/series/segment_cache.hpp"

namespace plumbline::storage::series {

// A series as segments order them: by vshard, then id.
struct SeriesRef {
  std::uint16_t vshard = 0;
  std::uint32_t id = 0;
  auto operator<=>(const SeriesRef&) const = default;
};

struct SegmentInfo {
  std::string name;  // the file in the segments directory
  std::uint32_t day = 0;
  std::uint64_t seal = 0;
  std::uint64_t bytes = 0;
  std::int64_t min_t = 0;
  std::int64_t max_t = 0;
  std::uint64_t series = 0;
  std::uint64_t samples = 0;     // of both kinds
  std::uint64_t histograms = 0;  // those of them that are
};

// `<yyyymmdd of the day>-<seal, 16 hex>.sst`; a rewritten one (merged, or without what was deleted) has its seal's number and
// `-<generation, hex>` behind it.
std::string segment_name(std::uint32_t day, std::uint64_t seal, std::uint32_t generation = 0);
std::uint32_t segment_generation(const std::string& name);
// Files of the directory that look like segments and are not among `live`: left by a seal that did not commit.
Result<std::vector<std::string>> orphan_segments(const kv::TableFiles& files, const std::vector<std::string>& live);

enum class ChunkKind : std::uint8_t { float64 = 0 };

struct ChunkInfo {
  std::uint32_t id = 0;
  std::uint16_t vshard = 0;
  ChunkKind kind = ChunkKind::float64;
  std::uint32_t count = 0;  // samples, stale markers included; the summary's count is without
  std::int64_t min_t = 0;
  std::int64_t max_t = 0;
  ChunkSummary summary;
};

using SharedTimes = std::shared_ptr<const std::vector<std::int64_t>>;
using SharedValues = std::shared_ptr<const std::vector<double>>;

// What a visitor is shown; stands until it returns. Nothing of the samples is read before it asks for them.
class SegmentChunk {
 public:
  virtual const ChunkInfo& info() const = 0;
  // The whole chunk. The spans stand until the next call of the same or until the visitor returns. Fails: corrupt, io.
  virtual Result<std::span<const std::int64_t>> times() const = 0;
  // Those of series that were scraped together are one object, while it is cached. Fails: corrupt, io.
  virtual Result<SharedTimes> shared_times() const = 0;
  // Keeps what values() gave last; null where it stands until the visitor returns and no longer.
  virtual SharedValues held_values() const = 0;
  virtual Result<std::span<const double>> values() const = 0;
  // Appends the samples inside the range.
  Status samples(model::TimeRange range, std::vector<model::Sample>& out) const;

 protected:
  ~SegmentChunk() = default;
};
// Sorted samples inside the range, never none; a series may come several times, in the order of time.
using HistogramVisitor = std::function<Status(SeriesRef, std::vector<model::HistogramSample>&&)>;
// An error stops the walk and is its result.
using ChunkVisitor = std::function<Status(const SegmentChunk&)>;

// Threads: any. Blocks: on disk. Fails: corrupt (names file and record), io, unsupported (a newer version).
class Segment {
 public:
  // Borrows: the caches, which may be null.
  static Result<std::shared_ptr<const Segment>> open(const kv::TableFiles& files, const std::string& name,
                                                     SegmentCaches* caches = nullptr);
  virtual ~Segment() = default;

  virtual const SegmentInfo& info() const = 0;
  std::uint32_t day() const { return info().day; }
  std::uint64_t seal() const { return info().seal; }
  virtual const Roaring& ids() const = 0;
  virtual const Roaring& histogram_ids() const = 0;  // of them, those that have histograms
  // The vshards that share groups with this one, first and last: reading them in one call decodes each group once.
  virtual std::pair<std::uint16_t, std::uint16_t> vshards_with(std::uint16_t vshard) const = 0;

  // Walks the chunks of the wanted series that overlap the range; per series in time order. `wanted` is sorted, without
  // doubles; ids that the segment does not hold are passed over. A group of series is read and decoded once for all its
  // wanted ids. Series come in the order of `wanted`, except that a vshard too large for one group comes in several runs,
  // each of them ordered; the chunks of a series come one after another all the same.
  // `once`: nobody will ask for it again, so values and times do not go through the caches.
  virtual Status read(std::span<const SeriesRef> wanted, model::TimeRange range, const ChunkVisitor& visit, bool once) const = 0;
  Status read(std::span<const SeriesRef> wanted, model::TimeRange range, const ChunkVisitor& visit) const {
    return read(wanted, range, visit, false);
  }
  // Those of the wanted series, sorted as for read(), that have a sample of either kind inside the range. The times of the
  // few columns that series of a group share are looked at once each, and decoded only where the range begins and ends
  // between a column's first and last; no values are. `go_on`: asked for each group (512 series; a vshard that is larger has several), see GoOn.
  virtual Result<Roaring> present(std::span<const SeriesRef> wanted, model::TimeRange range,
                                  const std::function<Status()>& go_on) const = 0;
  // read() for histograms, which stand in records of their own.
  virtual Status read_histograms(std::span<const SeriesRef> wanted, model::TimeRange range,
                                 const HistogramVisitor& visit) const = 0;
  // The series of the vshards [first, last] in the order they are stored: by vshard, then label order within each.
  virtual Result<std::vector<SeriesRef>> order(std::uint16_t first, std::uint16_t last) const = 0;
  virtual Result<std::vector<SeriesRef>> histogram_order(std::uint16_t first, std::uint16_t last) const = 0;
  // Like read() for those who need summaries only.
  Status read_summaries(std::span<const SeriesRef> wanted, model::TimeRange range,
                        const std::function<Status(const ChunkInfo&)>& visit) const;

  // Reads everything and compares it with itself: checksums, times, summaries, ids, counts. One line per problem, naming
  // file, record and series; empty when the segment is sound. At most 1000 lines.
  virtual std::vector<std::string> verify() const = 0;
  virtual std::uint64_t memory_bytes() const = 0;
};

}  // namespace plumbline::storage::series
