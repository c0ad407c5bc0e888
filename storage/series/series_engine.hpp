// The metric engine: series index, heads, sealed segments. The Store drives it exactly as it drives the event engine:
//   resolve()  before the journal: label bytes become ids; new series are registered
//   append()   when the record is in the journal, in the order of the journal; the samples are visible at once
//   freeze()   with no append running; seal() writes segment files and names them in the batch that trims the journal;
//              thaw() after its commit
// A reader takes the heads first and the segments after: between commit and thaw a sample is seen twice and merged, never
// zero times. Equal timestamps: the later seal wins, then the frozen head, then the active one; inside a head the later write.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "daemon/base/mutex.hpp"
#include "storage/kv/kv.hpp"
#include "storage/kv/table_file.hpp"
#include "storage/series/head.hpp"
#include "storage/series/label_index.hpp"
#include "storage/series/segment_list.hpp"
#include "storage/series/segment_writer.hpp"
#include "storage/series/change_log.hpp"
#include "storage/series/series_run.hpp"
#include "storage/series/tier_list.hpp"
#include "storage/storage.hpp"

namespace plumbline::storage::series {

// The heads a read works with, oldest first.
using Heads = std::vector<std::shared_ptr<const Head>>;

// Decoded directories kept for the next query: 30 days of 1,000 series at 15 s are 27 MB.
inline constexpr std::uint64_t directories_bytes_max = 64u << 20;

struct EngineLimits {
  std::uint64_t series_active_max = 0;
  std::uint64_t series_per_metric_max = 0;  // 0: none
};

// What resolve() makes of a request. The caller keeps it for the next one.
struct Resolved {
  std::vector<SeriesRun> runs;
  std::vector<Definition> definitions;  // of the ids that no earlier record defines
  std::vector<Refusal> refusals;        // series that were not let in; their samples are in no run
  std::uint64_t refused_samples = 0;
  bool over_limit = false;              // a limit refused some of them
};

// Threads: resolve and all reads from any; append in the order of the journal, one at a time; load, replay, freeze, seal,
// thaw, retain, forget from one at a time. Borrows: kv, files, log, registry.
class SeriesEngine {
 public:
  SeriesEngine(kv::Kv& kv, kv::TableFiles& files, Log& log, Registry& registry, std::uint64_t decoded_bytes_max);

  // Reads the index and opens the segments. Seals are numbered above `sealed`. A damaged
  // segment is named in the log and left out of reads: select() of its day fails, the rest is served.
  // Fails: corrupt, io, unsupported.
  Status load(std::uint64_t sealed);
  // Removes the files that no commit names: not before the journal has agreed with the list, which damage may have shortened.
  Status remove_orphans();

  void resolve(const WireSamples& wire, const EngineLimits& limits, Resolved& out);
  // now_ms: what is a minute older than it, or than the newest sample, counts as late and is noted metric by metric.
  void append(const Points& points, const std::vector<Definition>& definitions, std::int64_t now_ms);
  // From the journal at start. Fails: corrupt.
  Status replay(const std::vector<Definition>& definitions, const Points& points);

  std::uint64_t head_bytes() const;
  std::uint64_t head_samples() const;
  std::uint64_t active_series() const;
  std::uint64_t total_series() const { return index_.size(); }
  std::uint64_t segment_bytes() const;
  std::int64_t time_min() const { return time_min_; }  // 0 when there are no samples
  std::int64_t time_max() const { return time_max_; }
  const LabelIndex& index() const { return index_; }
  const ChangeLog& changes() const { return changes_; }

  void freeze();
  Status seal(kv::Batch& out);
  void thaw();
  bool frozen() const;

  // Drops the segments of days that end at or before the cutoff: files are removed, nothing is rewritten. What `tiers` ask for
  // is made of them before; a day with samples in a head waits for that. True when a file went: forget() may have something to do.
  Result<bool> retain(std::int64_t cutoff_ms, std::span<const TierOption> tiers = {});
  // Merges the segments of one day that is worth it. True when it did; then there may be more to do. Here and below: a day that does not
  // read is named in the log and passed over, and the others are seen to.
  Result<bool> merge_day(std::int64_t now_ms);
  // Makes one tier file of an ended day that lacks it, or whose segments are not those that it was made of. True when it did.
  Result<bool> make_tier(std::int64_t now_ms, std::span<const TierOption> tiers);
  // Drops the tier files of days that end at or before the cutoff of their resolution. Where a resolution is not asked for any
  // more, what stands for samples stays. True when a file went.
  Result<bool> retain_tiers(std::span<const TierOption> tiers);
  Reader::Tiers tiers() const;
  // Removes the sealed samples of the series inside the range, by rewriting the segments that hold any. What is in the heads
  // stays: the caller seals first. Of tiers whose samples are gone, every bucket that the range touches. A crash in between leaves some days done and others not.
  // So does damage: days that do not read are passed over, and the first of them is the error, corrupt or io, that comes back behind the rest.
  Status erase(const Roaring& ids, TimeRange range);
  // Removes series that are in no segment, in no tier and in no head; none while a segment or a tier that stands for samples cannot be read,
  // which may hold any of them. No writer may run: the caller holds the lock that freezes.
  Status forget();

  Status select(const SeriesQuery& query, const SeriesVisitor& visit) const;
  Status select_parts(const SeriesQuery& query, const Runner& run, const PartVisitor& visit) const;
  std::size_t parts_of(const Matchers& matchers) const;
  Result<bool> windows(const SeriesQuery& query, std::span<const TimeRange> windows, const WindowVisitor& visit) const;
  Result<std::vector<Labels>> series(const std::vector<Matchers>& selectors, TimeRange range, std::size_t limit, const GoOn& go_on) const;
  Result<std::vector<std::string>> label_names(const std::vector<Matchers>& selectors, TimeRange range, const GoOn& go_on) const;
  Result<std::vector<std::string>> label_values(std::string_view name, const std::vector<Matchers>& selectors, TimeRange range,
                                                const GoOn& go_on) const;

 private:
  std::shared_ptr<Head> active() const;
  Heads heads() const;
  std::shared_ptr<const Segments> segments() const;
  std::vector<DamagedSegment> damaged() const;
  // With the damage that upkeep has met since the start. Of upkeep's thread.
  Days days() const;
  // What upkeep does about a day that failed to read: true when it goes on with the others.
  bool passes_over(std::uint32_t day, const DaySegments& of_day, const Error& error);
  Status erase_from(const std::shared_ptr<const Segment>& segment, const Roaring& ids, TimeRange range);
  // The segments with samples in range. Fails when one that may have some is damaged.
  Result<Segments> touching(TimeRange range) const;
  struct Reading;
  Status read_part(Reading& reading, std::span<const SeriesRef> wanted, std::size_t part, const PartVisitor& visit) const;
  Roaring candidates(const std::vector<Matchers>& selectors) const;
  // Those of `ids` that have a sample in range.
  Result<Roaring> present(const Roaring& ids, TimeRange range, const GoOn& go_on) const;
  void saw(std::int64_t min, std::int64_t max);
  template <class Point>
  void note_changes(std::span<const SeriesRun> runs, std::span<const Point> points, std::int64_t seen_min, std::int64_t late);
  Status load_index();
  void register_unknown(const WireSamples& wire, const EngineLimits& limits, Resolved& out);
  void defined(const std::vector<Definition>& definitions);
  Status load_segments();
  Status seal_days(const Head& head, const std::vector<SeriesRef>& order, std::uint32_t first_day, std::uint32_t last_day);
  Status seal_definitions(kv::Batch& out);
  Status rewrite(const Segments& inputs, const DroppedRanges& dropped);
  Status load_tiers();
  // What a read of windows works with: days are read from their segments or from a tier.
  struct Sources {
    Segments segments;
    Tiers tiers;       // by day
    Segments covered;  // segments that a tier stands for
  };
  Result<Sources> sources(const SeriesQuery& query, std::span<const TimeRange> windows, TimeRange hull, const Heads& heads) const;
  std::shared_ptr<const Tiers> tier_list() const;
  // The tier of a day, null when there is none; with resolution 0 one that stands for samples that are gone.
  static const Tier* tier_of(const Tiers& tiers, std::uint32_t day, std::int64_t resolution);
  Result<std::shared_ptr<const Tier>> write_tier(std::uint32_t day, std::int64_t resolution, const DaySegments& of_day);
  // Opens what a writer has finished.
  Result<std::shared_ptr<const Tier>> written_tier(const SegmentInfo& info, TierEntry entry);
  // Writes the fresh one (null: none) in the place of the other (null: none) in the list on disk and in memory. When it fails the fresh one
  // is a stray: the commit may come back with the next start, and names its file.
  Status replace_tier(const Tier* old, std::shared_ptr<const Tier> fresh);
  // Makes certain that no commit names a stray, and removes it. Before a file is written: while the disk refuses, there is one at most.
  Status settle_strays();
  void set_tiers(Tiers list) PLUMBLINE_REQUIRES(mutex_);
  // Makes what is asked for of a day that is about to go and does not have it. False: the day has to wait.
  Result<bool> tiers_ready(std::uint32_t day, DaySegments& of_day, std::span<const TierOption> tiers);
  Status erase_tiers(const Roaring& ids, TimeRange range);
  Status erase_tier(const Tier& tier, std::span<const SeriesRef> wanted, const Roaring& ids, TimeRange range);
  bool heads_touch(std::uint32_t day) const;
  // Of what is off its list; a file that stays is warned of as "a dropped tier" or the like.
  void remove_file(const std::string& name, std::string_view how, std::string_view kind);

  kv::Kv& kv_;
  kv::TableFiles& files_;
  Log& log_;
  Counter& created_;
  Counter& forgotten_;
  Counter& sealed_samples_;
  Counter& sealed_bytes_;
  Counter& rewritten_samples_;
  Counter& rewritten_bytes_;
  Histogram& rewrite_seconds_;
  Counter& tier_files_;
  Counter& tier_buckets_;
  Counter& tier_bytes_;
  LabelIndex index_;
  SegmentCaches caches_;  // outlives the segments
  ChangeLog changes_;

  // Ids that neither the database nor a record in the journal defines for certain: every record that names one carries its
  // labels, because the record of whoever was first may still fail, and a forget() that failed may come back.
  mutable Mutex definitions_mutex_;
  std::unordered_set<SeriesId> undefined_ PLUMBLINE_GUARDED_BY(definitions_mutex_);
  std::atomic<bool> any_undefined_{false};
  std::vector<SeriesId> unsealed_ PLUMBLINE_GUARDED_BY(definitions_mutex_);  // defined in the journal only
  std::vector<SeriesId> sealing_;                                            // of the frozen head

  mutable Mutex mutex_;
  std::shared_ptr<Head> active_ PLUMBLINE_GUARDED_BY(mutex_);
  std::shared_ptr<Head> frozen_ PLUMBLINE_GUARDED_BY(mutex_);
  std::shared_ptr<const Segments> segments_ PLUMBLINE_GUARDED_BY(mutex_);
  std::vector<DamagedSegment> damaged_ PLUMBLINE_GUARDED_BY(mutex_);
  std::shared_ptr<const Tiers> tiers_ PLUMBLINE_GUARDED_BY(mutex_);  // changes with the segments that it stands for
  std::atomic<bool> any_tiers_{false};
  std::atomic<std::int64_t> samples_since_{std::numeric_limits<std::int64_t>::min()};  // the end of the last day whose samples are gone
  Segments sealed_now_;  // by seal() for thaw()
  // Upkeep's own.
  std::map<std::uint32_t, DaySegments> unreadable_;  // days as they were when a merge of them was corrupt; tried again when they are others
  struct Stray {
    std::string name;
    std::string replaced;  // the one whose place it was to take, or empty
  };
  std::vector<Stray> strays_;
  std::atomic<std::int64_t> time_min_{0};
  std::atomic<std::int64_t> time_max_{0};
};

}  // namespace plumbline::storage::series
