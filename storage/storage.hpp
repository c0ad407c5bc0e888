// The store's front door: one Writer, one Reader, one small key-value State, and the Store that is all three.
//
//   receiver -> Writer::write -> journal (RocksDB WAL, group commit) -> head (memory) -> seal -> blocks on disk
//
// Promises: an acknowledged write survives kill -9 (and power loss as JournalSync says); every f64 comes back with the same
// bits; any order inside the retention is accepted and the last write of a timestamp wins; a bad row never sinks its batch.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/error.hpp"
#include "daemon/base/log.hpp"
#include "daemon/base/meters.hpp"
#include "storage/model/cardinality.hpp"
#include "storage/model/event.hpp"
#include "storage/model/histogram.hpp"
#include "storage/model/labels.hpp"
#include "storage/model/matcher.hpp"
#include "storage/model/sample.hpp"
#include "storage/model/window.hpp"

namespace rocksdb {
class FileSystem;
}

namespace plumbline::storage {

using model::EventKind;
using model::HistogramSample;
using model::Labels;
using model::Matchers;
using model::Sample;
using model::TimeRange;

// ---------------------------------------------------------------------------------------------------------------- write

struct SeriesSamples {
  Labels labels;  // with __name__
  std::vector<Sample> samples;
};

// Samples whose series are named by label bytes as remote write carries them (model/wire_labels.hpp): of a series that is
// known nothing is parsed or copied. The bytes are a view of the request and must live until write() returns.
struct WireSeries {
  std::string_view labels;
  std::uint32_t first = 0;  // its samples are samples[first, first + count)
  std::uint32_t count = 0;
};
struct WireSamples {
  std::vector<WireSeries> series;
  std::vector<Sample> samples;
};

// Native histograms. A series may have floats and histograms; of one timestamp the last write wins, whatever it is, and of one
// batch the histogram.
struct SeriesHistograms {
  Labels labels;
  std::vector<HistogramSample> samples;
};

struct MetricMetadata {
  std::string metric;
  std::string type;  // counter, gauge, histogram, summary, unknown, ...
  std::string help;
  std::string unit;
};

struct StatePut {
  std::string key;
  std::optional<std::string> value;  // nullopt deletes
};

// What one request brings. The whole batch is one journal record: after a crash it is there as a whole or not at all.
struct WriteBatch {
  std::vector<SeriesSamples> series;
  WireSamples wire;
  std::vector<SeriesHistograms> histograms;
  std::vector<MetricMetadata> metadata;
  std::vector<model::StreamRows> events;
  std::vector<model::LateLabel> labels;
  std::vector<StatePut> state;
  bool empty() const {
    return series.empty() && wire.series.empty() && histograms.empty() && metadata.empty() && events.empty() && labels.empty() &&
           state.empty();
  }
};

// Rows that were refused while the rest of their batch was stored.
struct Refusal {
  std::string reason;   // a stable word for the counter: too_old, too_new, invalid_histogram, ...
  std::string example;  // what and where, for a human
  std::uint64_t count = 0;
};

struct WriteReceipt {
  std::uint64_t samples = 0;  // stored; without histograms
  std::uint64_t histograms = 0;
  std::uint64_t rows = 0;
  std::uint64_t labels = 0;
  std::vector<Refusal> refusals;  // one per reason
};

// Threads: any. Blocks: on the journal (its sync policy); acknowledged when it returns.
class Writer {
 public:
  virtual ~Writer() = default;
  // Refused alone: samples and rows older than the retention (too_old) or more than 10 minutes in the future (too_new), and
  // histograms that model::check_histogram() refuses (invalid_histogram).
  // Fails: unavailable (full or broken disk; try later), over_limit (series limit). Nothing is stored then, but for one case: with
  // JournalSync always, a disk that took the batch and refused to sync it. The batch is shown whole and may not survive.
  virtual Result<WriteReceipt> write(WriteBatch batch) = 0;
};

// ----------------------------------------------------------------------------------------------------------------- read

struct SeriesQuery {
  Matchers matchers;
  TimeRange range;  // ms, inclusive
  std::uint64_t samples_max = 50'000'000;
  std::uint64_t series_max = 300'000;
  bool apart = false;  // times and values of floats each by themselves: see SeriesPoints
  // For windows(): the longest buckets (ms) that may stand for samples; 0: none. Buckets are left-open, and belong to the window
  // that their end is in. Days whose samples are there are answered from buckets only where no window cuts one.
  std::int64_t resolution_max = 0;
};

// A run of ascending times (ms), which series that were scraped together share: where `held` is not null, it keeps the times when the
// visit is over, and who meets the same address and length again need not compare them.
struct TimesPiece {
  std::span<const std::int64_t> times;
  std::shared_ptr<const void> held;
};

// What a series has in a range. Both are sorted by time, stale markers included; a timestamp has one float or one histogram.
struct SeriesPoints {
  std::span<const Sample> samples;
  std::span<const HistogramSample> histograms;
  bool stale_markers = true;  // there may be some among the samples
  // In place of `samples`, where the query wants them apart and the reader has them so: pieces one after another in time, together as
  // many as there are values.
  std::span<const TimesPiece> times;
  std::span<const double> values;
  // For who has no use for histograms: they are passed over, and there may be no float.
  operator std::span<const Sample>() const { return samples; }
};

// Called once per series that has at least one point in range, in no particular order; the spans are valid during the call
// only. False stops the scan.
using SeriesVisitor = std::function<bool(const Labels&, const SeriesPoints&)>;

// The same for a read that is cut into parts: called from several threads at once, for one part by one thread at a time.
using PartVisitor = std::function<bool(std::size_t part, Labels&&, const SeriesPoints&)>;
// A read is cut into at most this many parts: eight for each of four threads, so that none waits long for the slowest.
inline constexpr std::size_t parts_max = 32;
// Runs task(0), ..., task(count - 1), each once and on any threads, and returns when all have ended.
using Runner = std::function<void(std::size_t count, const std::function<void(std::size_t)>& task)>;
// Asked now and then by what may take long: an error ends it and is what it fails with. None: nobody is asked.
using GoOn = std::function<Status()>;

// Called once per series that has a sample in any of the windows: one summary per window, in their order. False stops.
using WindowVisitor = std::function<bool(const Labels&, std::span<const model::WindowSummary>)>;

// A column of a RowBlock. values.size() equals the block's rows; monostate where the row has no such field (or null).
struct Column {
  std::string name;
  std::vector<model::Value> values;
};

// Rows of one stream, sorted by time. Valid during the visit only.
struct RowBlock {
  EventKind kind = EventKind::log;
  const Labels* stream = nullptr;
  std::span<const std::int64_t> times_ns;
  std::span<const Column> columns;
  const Column* find(std::string_view name) const {
    for (const Column& c : columns)
      if (c.name == name) return &c;
    return nullptr;
  }
};

struct EventQuery {
  EventKind kind = EventKind::log;
  Matchers stream;                   // conditions on stream labels
  TimeRange range_ns;                // inclusive
  // Which columns to decode: exact names, and "feature.*" for a prefix. Empty means all.
  std::vector<std::string> columns;
  // When set: only rows whose id field (trace_id, span_id or prediction_id) equals this value, found through the id index.
  std::optional<std::pair<std::string, std::string>> id;
  bool newest_first = false;  // order in which blocks are visited, by their time; rows inside a block stay sorted
};

// False stops the scan. Blocks of one stream may overlap in time: late rows have blocks of their own.
using BlockVisitor = std::function<bool(const RowBlock&)>;

// Threads: any. Blocks: on disk. Everything acknowledged before the call is seen by it.
class Reader {
 public:
  virtual ~Reader() = default;

  // Fails: over_limit when more than series_max or samples_max would be read, naming the limit. A histogram counts as the
  // samples that take as much memory (model::samples_worth).
  virtual Status select(const SeriesQuery& query, const SeriesVisitor& visit) const = 0;
  // select(), cut into parts that `run` spreads over threads. Limits hold for all parts together; false from any visit stops all.
  virtual Status select_parts(const SeriesQuery& query, const Runner& run, const PartVisitor& visit) const {
    Status status;
    const auto visit_here = [&](const Labels& labels, const SeriesPoints& points) { return visit(0, Labels(labels), points); };
    run(1, [&](std::size_t) { status = select(query, visit_here); });
    return status;
  }
  // Exact aggregates over windows (ascending by start; they may overlap) without reading what lies inside them: for ranges
  // of hours and more. The query's own range is not looked at. False: there are histograms among the windows, which have no
  // such aggregates; what was visited is not the answer, select() has it. Fails: over_limit as select() for series.
  virtual Result<bool> windows(const SeriesQuery& query, std::span<const TimeRange> windows,
                               const WindowVisitor& visit) const = 0;
  // Series with any sample in range that match any of the selectors (all series when there is none); sorted; at most
  // `limit` (0: no limit).
  virtual Result<std::vector<Labels>> series(const std::vector<Matchers>& selectors, TimeRange range, std::size_t limit,
                                             const GoOn& go_on = {}) const = 0;
  virtual Result<std::vector<std::string>> label_names(const std::vector<Matchers>& selectors, TimeRange range,
                                                       const GoOn& go_on = {}) const = 0;
  virtual Result<std::vector<std::string>> label_values(std::string_view name, const std::vector<Matchers>& selectors,
                                                        TimeRange range, const GoOn& go_on = {}) const = 0;
  // Which samples are there as aggregates over buckets (tiers).
  struct Tiers {
    bool any = false;
    std::int64_t samples_since = std::numeric_limits<std::int64_t>::min();  // those before it (ms) are there as aggregates only
  };
  virtual Tiers tiers() const { return {}; }
  // For who keeps answers. A read that begins now sees all that was acknowledged before this moment...
  virtual std::uint64_t moment() const { return 0; }
  // ...and samples of a metric before this time (ms) are the same now as then. The smallest number: nothing is known of that.
  virtual std::int64_t changed_since(std::uint64_t moment, std::string_view metric) const {
    static_cast<void>(moment), static_cast<void>(metric);
    return std::numeric_limits<std::int64_t>::min();
  }
  // Into how many parts select_parts() cuts the series that match now. Which part a series is in depends on this number and on the series
  // alone, whatever others there are.
  virtual std::size_t parts_of(const Matchers& matchers) const {
    static_cast<void>(matchers);
    return 1;
  }
  // All metrics when `metric` is empty; sorted by metric.
  virtual Result<std::vector<MetricMetadata>> metadata(std::string_view metric) const = 0;

  virtual Status scan(const EventQuery& query, const BlockVisitor& visit) const = 0;
  // Streams of a kind that have a row in range; sorted.
  virtual Result<std::vector<Labels>> streams(EventKind kind, const Matchers& matchers, TimeRange range_ns) const = 0;
  // The late label of each id, in order; nullopt where none came.
  virtual Result<std::vector<std::optional<model::LateLabel>>> late_labels(
      std::string_view model, std::span<const std::string> prediction_ids) const = 0;
};

// Small durable facts of other modules: references, alert state, outbox. Keys are "<module>/<rest>", bytewise ordered.
// Threads: any. Blocks: on the journal.
class State {
 public:
  virtual ~State() = default;
  virtual Result<std::optional<std::string>> get(std::string_view key) const = 0;
  virtual Status put(std::vector<StatePut> puts) = 0;  // atomic
  // Every key with the prefix, in order, until the visitor says false.
  virtual Status list(std::string_view prefix,
                      const std::function<bool(std::string_view key, std::string_view value)>& visit) const = 0;
};

// ---------------------------------------------------------------------------------------------------------------- store

enum class SyncPolicy { always, interval, never };
struct JournalSync {
  SyncPolicy policy = SyncPolicy::interval;
  Millis interval{100};
};

struct Options {
  std::string path;
  JournalSync journal_sync;
  Millis retention_series{std::chrono::hours(24 * 30)};
  Millis retention_events{std::chrono::hours(24 * 30)};
  Millis future_max{std::chrono::minutes(10)};
  std::uint64_t series_active_max = 5'000'000;
  std::uint64_t series_per_metric_max = 0;          // 0: no limit of its own
  std::uint64_t head_bytes_max = 256ull << 20;      // the head is sealed when it passes this,
  Millis head_age_max{std::chrono::hours(2)};       // or when its first write is this old
  // Series that are kept for a shorter time than the others, by whole days.
  struct Retention {
    Matchers matchers;
    Millis keep{0};
  };
  std::vector<Retention> retention_overrides;
  // How long aggregates over 5 minutes and 1 hour are kept; 0: none are made. Not shorter than retention_series.
  Millis downsample_5m_retention{0};
  Millis downsample_1h_retention{0};
  std::uint64_t block_cache_bytes = 64ull << 20;
  std::uint64_t decoded_cache_bytes = 128ull << 20;  // of samples read lately
  std::shared_ptr<rocksdb::FileSystem> file_system;  // null: the plain one
  Millis retry_pause{1000};  // after a refused write, until one writer asks the disk again
  std::string backup_directory;  // backups are made in it; empty: `backups` in the data directory
};

struct Stats {
  std::uint64_t series_active = 0;
  std::uint64_t series_total = 0;
  std::uint64_t head_bytes = 0;
  std::uint64_t head_samples = 0;
  std::uint64_t head_rows = 0;
  std::uint64_t disk_bytes = 0;
  std::uint64_t journal_sequence = 0;
  std::int64_t time_min_ms = 0;  // of samples; 0 when there are none
  std::int64_t time_max_ms = 0;
};

struct BackupReport {
  std::string path;
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;  // most of them shared with the data directory
  std::vector<std::string> problems;  // what the data directory lacks, and so the backup
};

inline constexpr int format_version = 2;

// Threads: any for Writer, Reader and State; maintain() from one thread (upkeep).
// Owns: the data directory, locked against a second process.
// Borrows: clock, log, registry, which must outlive it.
class Store : public Writer, public Reader, public State {
 public:
  // Opens or creates the directory and replays the journal. Fails: unsupported (the directory's format is newer: says both
  // versions and what to do), corrupt (a damaged middle of the journal: says where), io, conflict (in use).
  static Result<std::unique_ptr<Store>> open(Options options, Clock& clock, Log& log, Registry& registry);

  // Seals the head when it is due, applies retention, refreshes the self-metrics.
  virtual Status maintain() = 0;
  // Writes the head as sealed blocks and trims the journal behind it, in one atomic step.
  virtual Status seal() = 0;
  // Removes the samples that match any of the selectors inside the range, from everything written before the call. Seals, and
  // rewrites the days that hold some: minutes for months. A crash in between leaves some days done: call it again.
  virtual Status erase(const std::vector<Matchers>& selectors, TimeRange range) = 0;
  // A copy of everything acknowledged before the call, under this name in the backup directory; writes go on meanwhile. It is
  // there whole or not at all. `restore()` (offline.hpp) makes a data directory of it. One at a time.
  // Fails: invalid_input (not one path component of letters, digits, '.', '_' and '-'), conflict (the name is taken), unavailable.
  virtual Result<BackupReport> backup(const std::string& name) = 0;
  // Drains, seals and closes; later calls fail with unavailable.
  virtual Status close() = 0;
  virtual Stats stats() const = 0;
  // Who makes the label index large. Walks it: milliseconds per 100,000 label pairs.
  virtual Result<model::Cardinality> cardinality(std::size_t n) const = 0;
};

}  // namespace plumbline::storage
