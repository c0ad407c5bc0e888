// Repair of a damaged data directory: storage/offline.hpp.
#include "storage/store_salvage.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <ranges>
#include <set>

#include <fmt/format.h>

#include "storage/events/salvage.hpp"
#include "storage/events/verify.hpp"
#include "storage/journal/judge.hpp"
#include "storage/journal/salvage.hpp"
#include "storage/journal/verify.hpp"
#include "storage/kv/files.hpp"
#include "storage/kv/kill_point.hpp"
#include "storage/kv/rescue.hpp"
#include "storage/kv/table_file.hpp"
#include "storage/model/wire_labels.hpp"
#include "storage/series/segment_salvage.hpp"
#include "storage/series/series_keys.hpp"
#include "storage/series/tier_file.hpp"
#include "storage/store_backup.hpp"
#include "storage/store_keys.hpp"
#include "storage/store_offline.hpp"
#include "storage/store_record.hpp"
#include "storage/store_values.hpp"

namespace plumbline::storage {

namespace {

using FileSystem = std::shared_ptr<rocksdb::FileSystem>;

const std::string all_lost = "ALL-LOST";  // a file in segments/ by which an operator says so

class Salvager {
 public:
  Salvager(std::string directory, FileSystem file_system, Log& log)
      : directory_(std::move(directory)), file_system_(std::move(file_system)), tree_(file_system_), log_(log) {}

  Result<SalvageReport> run() {
    PLUMBLINE_TRY(const bool interrupted, tree_.exists(path(salvaging_mark)));
    if (interrupted) {
      PLUMBLINE_TRY(const Moves moves, read_moves(directory_, file_system_));
      out_.ended = kept_of(moves);
      PLUMBLINE_CHECK_OK(finish_moves(directory_, file_system_));
    }
    PLUMBLINE_CHECK_OK(tree_.remove(path(salvage_staging)));
    PLUMBLINE_TRY(VerifyReport before, verify_locked(directory_, file_system_, log_));
    if (before.problems.empty()) {
      out_.after = std::move(before);
      return std::move(out_);
    }
    out_.found = std::move(before.problems);
    PLUMBLINE_CHECK_OK(write_new_files());
    PLUMBLINE_CHECK_OK(plan());
    kv::kill_point("salvage.planned");
    PLUMBLINE_CHECK_OK(finish_moves(directory_, file_system_));
    PLUMBLINE_TRY(out_.after, verify_locked(directory_, file_system_, log_));
    return std::move(out_);
  }

 private:
  std::string path(std::string_view below) const { return directory_ + "/" + std::string(below); }
  std::string staging(std::string_view below = "") const {
    return path(salvage_staging) + (below.empty() ? "" : "/") + std::string(below);
  }
  void lose(std::string file, std::string place, std::string what) { out_.lost.push_back({std::move(file), std::move(place), std::move(what), ""}); }
  void take(std::string file, std::string what) { out_.taken.push_back({std::move(file), "", std::move(what), ""}); }
  void lose(std::vector<model::Problem> more) { std::ranges::move(more, std::back_inserter(out_.lost)); }

  Status put(kv::Family family, std::string_view key, std::string_view value) {
    changed_ = true;
    kv::Batch batch;
    batch.put(family, key, value);
    return kv_->write(std::move(batch), kv::Sync::no);
  }
  Status remove(kv::Family family, std::string_view key) {
    changed_ = true;
    kv::Batch batch;
    batch.remove(family, key);
    return kv_->write(std::move(batch), kv::Sync::no);
  }

  Status write_new_files() {
    PLUMBLINE_CHECK_OK(tree_.make(staging("database")));
    PLUMBLINE_TRY(auto rescued, kv::rescue(directory_, staging("database"), file_system_, log_, registry_));
    kv_ = std::move(rescued.kv);
    whole_ = rescued.whole;
    meta_whole_ = rescued.meta_whole;
    changed_ = !whole_;
    lose(std::move(rescued.lost));
    kv::kill_point("salvage.rescued");
    PLUMBLINE_CHECK_OK(format());
    PLUMBLINE_CHECK_OK(metadata());
    PLUMBLINE_CHECK_OK(series());
    PLUMBLINE_CHECK_OK(positions());
    PLUMBLINE_CHECK_OK(journal());
    PLUMBLINE_CHECK_OK(segments());
    PLUMBLINE_CHECK_OK(events());
    PLUMBLINE_CHECK_OK(numbers());
    kv::kill_point("salvage.written");
    return kv_->close();
  }

  Status format() {
    PLUMBLINE_TRY(const auto stored, kv_->get(kv::Family::meta, format_key()));
    int version = 0;
    const bool reads = stored && std::from_chars(stored->data(), stored->data() + stored->size(), version).ec == std::errc();
    if (reads && version != format_version)
      return fail(Code::unsupported, directory_ + " has format " + *stored + ", and this Plumbline salvages format " + std::to_string(format_version));
    if (!reads) PLUMBLINE_CHECK_OK(put(kv::Family::meta, format_key(), std::to_string(format_version)));
    return {};
  }

  Status metadata() {
    std::vector<std::string> bad;
    const std::string prefix = metadata_prefix();
    PLUMBLINE_CHECK_OK(kv_->scan(kv::Family::meta, prefix, after_prefix(prefix), [&](std::string_view key, std::string_view value) {
      if (!decode_metadata(key.substr(prefix.size()), value)) bad.emplace_back(key);
      return true;
    }));
    for (const std::string& key : bad) {
      lose("family meta", "metadata of " + key.substr(prefix.size()), "it does not decode; the next scrape or write brings it again");
      PLUMBLINE_CHECK_OK(remove(kv::Family::meta, key));
    }
    return {};
  }

  // The series index as it reads, and what journal records define besides: those that are sealed too, when their tables are damaged.
  Status series() {
    struct Entry {
      std::string key;
      std::string right;  // empty: there is none
      std::string value;
    };
    std::vector<Entry> bad;
    PLUMBLINE_CHECK_OK(kv_->scan(kv::Family::series, "", "", [&](std::string_view key, std::string_view value) {
      ByteReader in(key);
      in.raw(kv::key_prefix_bytes);
      const series::SeriesId id = in.be32();
      const auto labels = model::Labels::decode(value);
      if (labels && in.ok() && !wins_its_labels(id, *labels)) {
        bad.push_back({std::string(key), "", ""});
        return true;
      }
      if (!in.ok() || !labels || !index_.restore(id, *labels)) {
        bad.push_back({std::string(key), "", ""});
        lose("family series", "series " + std::to_string(id), labels ? "its labels are those of another series" : labels.error().message);
      } else if (std::string right = series::series_key(*labels, id); right != key) {
        bad.push_back({std::string(key), std::move(right), std::string(value)});
      }
      return true;
    }));
    for (const Entry& e : bad) {
      PLUMBLINE_CHECK_OK(remove(kv::Family::series, e.key));
      if (!e.right.empty()) PLUMBLINE_CHECK_OK(put(kv::Family::series, e.right, e.value));
    }
    if (!whole_) PLUMBLINE_CHECK_OK(series_of_journal());
    for (const std::string& key : outdone_) PLUMBLINE_CHECK_OK(remove(kv::Family::series, key));
    return {};
  }

  // One set of labels has one id, or queries have a series twice. Of two the later one stays, as ids ascend, or the only one that
  // segments have samples of. False: it is not this one.
  bool wins_its_labels(series::SeriesId id, const model::Labels& labels) {
    const series::SeriesId twin = index_.find(labels);
    if (twin == series::no_series || twin == id) return true;
    if (!used_) used_ = ids_in_segments();
    const bool wins = used_->contains(id) == used_->contains(twin) ? id > twin : used_->contains(id);
    const series::SeriesId loser = wins ? twin : id;
    lose("family series", "series " + std::to_string(loser),
         "series " + std::to_string(wins ? id : twin) + " has the same labels " + labels.str() + " and stays" +
             (used_->contains(loser) ? ": the samples of this one are lost" : ""));
    losers_.add(loser);
    if (!wins) return false;
    index_.remove(Roaring::bitmapOf(1, twin));
    outdone_.push_back(series::series_key(labels, twin));
    return true;
  }

  Roaring ids_in_segments() const {
    Roaring out;
    const auto files = kv::TableFiles::open({.directory = path("segments"), .file_system = file_system_, .read_only = true});
    const auto names = tree_.list(path("segments"));
    if (!files || !names) return out;
    for (const std::string& name : *names) {
      if (!name.ends_with(".sst") || series::is_tier_name(name)) continue;
      if (const auto segment = series::Segment::open(**files, name))
        for (const std::uint32_t id : (*segment)->ids()) out.add(id);
    }
    return out;
  }

  Status series_of_journal() {
    PLUMBLINE_TRY(const auto there, tree_.exists(path("journal")));
    if (!there) return {};
    PLUMBLINE_TRY(const auto read, journal::salvage(path("journal"), "journal", file_system_, 0, [&](std::uint64_t, std::string_view bytes) -> Status {
      const auto record = decode_record(bytes);
      if (!record) return {};
      for (const series::Definition& d : record->definitions) {
        const auto labels = model::parse_wire_labels(d.labels);
        if (!labels || index_.contains(d.id) || !wins_its_labels(d.id, *labels) || !index_.restore(d.id, *labels)) continue;
        PLUMBLINE_CHECK_OK(put(kv::Family::series, series::series_key(*labels, d.id), labels->encode()));
      }
      return {};
    }));
    oldest_record_ = read.oldest;
    return {};
  }

  // The database may be an older one than the journal and the segments: what is not in the journal any more was sealed.
  Status positions() {
    PLUMBLINE_TRY(const auto stored, kv_->get(kv::Family::meta, positions_key()));
    if (stored) {
      if (const auto decoded = decode_positions(*stored)) positions_ = *decoded;
      else changed_ = true;
    }
    if (!whole_ && oldest_record_ > positions_.trimmed + 1) {
      lose("journal", "", "records " + std::to_string(positions_.trimmed + 1) + " to " + std::to_string(oldest_record_ - 1) +
                              " are not in it: they were sealed, or they are lost");
      positions_.trimmed = oldest_record_ - 1;
    }
    return {};
  }

  Status journal() {
    PLUMBLINE_TRY(const auto names, tree_.list(path("journal")));
    if (names.empty()) return {};
    PLUMBLINE_TRY(const auto found, journal::verify(path("journal"), "journal", file_system_, positions_.trimmed,
                                                    [&](std::uint64_t, std::string_view bytes) { return check(bytes); }));
    if (found.problems.empty()) return {};
    PLUMBLINE_CHECK_OK(tree_.make(staging("journal")));
    PLUMBLINE_TRY(const auto files, kv::Files::open(staging("journal"), file_system_));
    journal::Rewriter out(*files, positions_.trimmed);
    PLUMBLINE_TRY(auto read, journal::salvage(path("journal"), "journal", file_system_, positions_.trimmed,
                                              [&](std::uint64_t sequence, std::string_view bytes) -> Status {
                                                if (sequence <= positions_.trimmed) return {};
                                                auto record = decode_record(bytes);
                                                if (!record) {
                                                  lose("journal", "record " + std::to_string(sequence), record.error().message);
                                                  return {};
                                                }
                                                return filter(sequence, *record) ? out.append(encode_record(*record)) : out.append(bytes);
                                              }));
    PLUMBLINE_CHECK_OK(out.finish());
    lose(std::move(read.lost));
    for (const std::string& name : names)
      if (journal::first_of(name)) moved_.push_back("journal/" + name);
    return {};
  }

  Status check(std::string_view bytes) {
    if (!losers_.isEmpty()) {
      PLUMBLINE_TRY(const Record record, decode_record(bytes));
      for (const series::Definition& d : record.definitions)
        if (losers_.contains(d.id)) return fail(Code::corrupt, "series " + std::to_string(d.id) + " has the labels of another one");
    }
    return check_record(bytes, index_);
  }

  // True: something of the record had to go, because nobody can say what its series are.
  bool filter(std::uint64_t sequence, Record& record) {
    std::set<series::SeriesId> bad;
    const auto before = record.definitions.size();
    std::erase_if(record.definitions, [&](const series::Definition& d) {
      const auto labels = model::parse_wire_labels(d.labels);
      const bool good = labels && !losers_.contains(d.id) &&
                        (index_.contains(d.id) ? index_.labels(d.id) == *labels : index_.restore(d.id, *labels).has_value());
      if (!good) bad.insert(d.id);
      return !good;
    });
    std::uint64_t samples = 0;
    const auto drop = [&](std::vector<series::SeriesRun>& runs) {
      return std::erase_if(runs, [&](const series::SeriesRun& run) {
        if (index_.contains(run.id) && !bad.contains(run.id)) return false;
        samples += run.count;
        bad.insert(run.id);
        return true;
      }) > 0;
    };
    const bool floats = drop(record.runs);
    const bool histograms = drop(record.histogram_runs);
    if (!bad.empty())
      lose("journal", "record " + std::to_string(sequence), std::to_string(samples) + " samples of " + std::to_string(bad.size()) +
                                                                " series, the first is " + std::to_string(*bad.begin()) + ": their labels are lost");
    return floats || histograms || record.definitions.size() != before;
  }

  Status segments() {
    PLUMBLINE_TRY(const auto old, kv::TableFiles::open({.directory = path("segments"), .file_system = file_system_, .read_only = true}));
    PLUMBLINE_TRY(names_, tree_.list(path("segments")));
    PLUMBLINE_TRY(const auto listed, series::live_segments(*kv_));
    PLUMBLINE_CHECK_OK(refuse_absent_segments());
    std::set<std::string> live(listed.begin(), listed.end());
    const std::set<std::string> known = live;
    // A list that has lost its end must not cost the files: what of them is in others too is merged by time.
    if (!meta_whole_)
      for (const std::string& name : names_) {
        if (!name.ends_with(".sst") || series::is_tier_name(name) || known.contains(name)) continue;
        // What a listed one was made of: it has what was deleted since.
        const auto later = [&](const std::string& k) { return is_rewritten(name, k); };
        if (std::ranges::none_of(known, later)) live.insert(name);
      }
    PLUMBLINE_CHECK_OK(tree_.make(staging("segments")));
    PLUMBLINE_TRY(const auto fresh, kv::TableFiles::open({.directory = staging("segments"), .file_system = file_system_}));
    for (const std::string& name : live) PLUMBLINE_CHECK_OK(segment(*old, *fresh, name, known.contains(name)));
    return tiers(*old, *fresh);
  }

  // Folders that are not mounted, or are somebody else's, look like this. To go on would take every file off the list, and the next
  // start would remove the files, when they are there again.
  Status refuse_absent_segments() {
    PLUMBLINE_TRY(const auto listed, series::live_tables(*kv_));
    const bool had_some = !listed.empty() || (!meta_whole_ && (positions_.sealed > 0 || positions_.trimmed > 0));
    if (!had_some || std::ranges::any_of(names_, [](const std::string& n) { return n.ends_with(".sst"); })) return {};
    if (std::ranges::binary_search(names_, all_lost)) {
      lose("segments", "", "all its files: " + all_lost + " says that they are lost for good");
      moved_.push_back("segments/" + all_lost);  // it is true once
      return {};
    }
    return fail(Code::io, path("segments") + " has none of its files" +
                              (listed.empty() ? std::string() : ", and the list names " + std::to_string(listed.size())) +
                              ": mount it or restore it from a backup; if they are lost for good, put an empty file " + all_lost + " into it");
  }

  // Whether `later` is a later generation of the same day and seal.
  static bool is_rewritten(const std::string& name, const std::string& later) {
    constexpr std::size_t day_and_seal = 8 + 1 + 16;
    return name.size() > day_and_seal && name.substr(0, day_and_seal) == later.substr(0, day_and_seal) &&
           series::segment_generation(later) > series::segment_generation(name);
  }

  // Damage is what a file's bytes say. That they cannot be asked for may pass.
  static Status readable(const std::string& file, const Error& error) {
    if (error.code == Code::unsupported) return fail(error);
    if (error.code == Code::io)
      return fail(Code::io, error.message + ": mend the disk or the permissions, or copy the directory to a sound disk; to do without " + file +
                                ", move it out of the directory");
    return {};
  }

  // A tier is kept as it is or not at all. While a day has all its samples the next start makes it again; a sound one of a day that lost some
  // stands for them from now on, as one does whose samples retention has dropped.
  Status tiers(const kv::TableFiles& old, const kv::TableFiles& fresh) {
    PLUMBLINE_TRY(const auto listed, series::live_tiers(*kv_));
    std::set<std::string> live(listed.begin(), listed.end());
    std::set<std::pair<std::uint32_t, std::int64_t>> stands;  // days and resolutions that the list has
    for (const std::string& name : listed) {
      PLUMBLINE_TRY(const auto stored, kv_->get(kv::Family::meta, series::tier_key(name)));
      if (const auto entry = series::decode_tier(name, stored.value_or(""))) stands.emplace(entry->day, entry->resolution);
    }
    if (!meta_whole_)
      for (const std::string& name : names_)
        if (series::is_tier_name(name)) live.insert(name);
    for (const std::string& name : live | std::views::reverse) {  // of two that no list names the later one
      const std::string file = "segments/" + name, key = series::tier_key(name);
      const bool there = std::ranges::binary_search(names_, name);
      PLUMBLINE_TRY(const auto stored, kv_->get(kv::Family::meta, key));
      const auto entry = series::decode_tier(name, stored.value_or(""));
      const auto opened = there ? series::TierFile::open(old, name) : Result<std::shared_ptr<const series::TierFile>>(fail(Code::corrupt, "it is missing"));
      if (!opened) PLUMBLINE_CHECK_OK(readable(file, opened.error()));
      const std::vector<std::string> problems = opened ? (*opened)->verify() : std::vector<std::string>{opened.error().message};
      if (!problems.empty()) {
        const std::string day = name.substr(0, 8);
        if (!entry || entry->final || cut_days_.contains(day) || !whole_days_.contains(day))
          lose(file, "", "nothing of it is kept, its day is lost unless another tier has it: " + problems.front());
        if (there) moved_.push_back(file);
        if (stored) PLUMBLINE_CHECK_OK(remove(kv::Family::meta, key));
        if (entry) stands.erase({entry->day, entry->resolution});
        continue;
      }
      const series::TierInfo& info = (*opened)->info();
      const bool listed_right = entry && entry->day == info.day && entry->resolution == info.resolution;
      const std::string day = series::segment_name(info.day, 0).substr(0, 8);
      // A sound list that has no segment of the day: its samples were deleted, and so will be the tier.
      const bool gone = cut_days_.contains(day) || (!meta_whole_ && !whole_days_.contains(day));
      const bool final = gone || (listed_right && entry->final);
      if (!final || (!listed_right && stands.contains({info.day, info.resolution}))) {
        if (stored && !listed_right) PLUMBLINE_CHECK_OK(remove(kv::Family::meta, key));
        continue;
      }
      if (!listed_right) take(file, "no list names it, and it stands for its day: what was deleted of it may be back");
      else if (!entry->final) lose(file, "", "it is whole, but not all samples of its day are: it stands for them from now on");
      std::uint64_t unknown = 0;
      for (const std::uint32_t id : info.ids) unknown += index_.contains(id) ? 0 : 1;
      if (unknown == 0) {
        if (!listed_right || !entry->final)
          PLUMBLINE_CHECK_OK(put(kv::Family::meta, key, series::tier_value({info.day, info.resolution, true, {}})));
        stands.emplace(info.day, info.resolution);
        continue;
      }
      lose(file, "", "the buckets of " + std::to_string(unknown) + " series, whose labels are lost");
      PLUMBLINE_TRY(std::string name_of_new, unused_tier_name(info.day, info.resolution));
      PLUMBLINE_TRY(auto table, fresh.create(name_of_new));
      const auto out = std::make_unique<series::TierWriter>(std::move(table), std::move(name_of_new), info.day, info.resolution);
      PLUMBLINE_CHECK_OK((*opened)->read_all([&](series::TierSeries&& s) { return index_.contains(s.series.id) ? out->add(std::move(s)) : Status{}; }));
      PLUMBLINE_TRY(const auto written, out->finish());
      moved_.push_back(file);
      if (stored) PLUMBLINE_CHECK_OK(remove(kv::Family::meta, key));
      PLUMBLINE_CHECK_OK(put(kv::Family::meta, series::tier_key(written.name), series::tier_value({info.day, info.resolution, true, {}})));
      stands.emplace(info.day, info.resolution);
    }
    return {};
  }

  // Behind all that are there, and have been made here: a name is used once.
  Result<std::string> unused_tier_name(std::uint32_t day, std::int64_t resolution) {
    constexpr std::uint32_t last = std::numeric_limits<std::uint32_t>::max();
    std::string stem = series::tier_name(day, resolution, last);
    stem.resize(stem.rfind('-') + 1);
    std::uint64_t next = 0;
    for (const std::string& name : names_)
      if (name.starts_with(stem)) next = std::max(next, std::uint64_t{series::tier_generation(name)} + 1);
    if (next > last)
      return fail(Code::corrupt, "segments/" + series::tier_name(day, resolution, last) + " is the last name: move it out of the directory");
    return use(series::tier_name(day, resolution, static_cast<std::uint32_t>(next)));
  }

  Result<std::string> unused_segment_name(std::uint32_t day, std::uint64_t seal, std::uint32_t& generation) {
    std::string stem = series::segment_name(day, seal);
    stem.resize(stem.rfind('.'));
    std::uint32_t last = 0;
    for (const std::string& name : names_)
      if (name.starts_with(stem)) last = std::max(last, series::segment_generation(name));
    if (last == std::numeric_limits<std::uint32_t>::max())
      return fail(Code::corrupt, "segments/" + stem + "-ffffffff.sst is the last name: move it out of the directory");
    generation = last + 1;
    return use(series::segment_name(day, seal, generation));
  }

  std::string use(std::string name) {
    names_.insert(std::ranges::upper_bound(names_, name), name);
    return name;
  }

  Status segment(const kv::TableFiles& old, const kv::TableFiles& fresh, const std::string& name, bool known) {
    const bool there = std::ranges::binary_search(names_, name);
    const std::string file = "segments/" + name;
    const std::string key = series::segment_key(name);
    const auto opened = there ? series::Segment::open(old, name) : Result<std::shared_ptr<const series::Segment>>(fail(Code::corrupt, "it is missing"));
    if (!opened) {
      PLUMBLINE_CHECK_OK(readable(file, opened.error()));
      cut_days_.insert(name.substr(0, 8));
      lose(file, "", "nothing of it reads: " + opened.error().message);
      if (there) moved_.push_back(file);
      return known ? remove(kv::Family::meta, key) : Status{};
    }
    const series::Segment& segment = **opened;
    saw(segment.info());
    const std::string day = series::segment_name(segment.day(), 0).substr(0, 8);
    if (!known) take(file, "no list names it, and the list may have lost it: what was deleted of it may be back");
    PLUMBLINE_TRY(const auto stored, kv_->get(kv::Family::meta, key));
    const bool rightly_listed = stored && series::segment_day(name, *stored).value_or(segment.day() + 1) == segment.day();
    const bool all_known = std::all_of(segment.ids().begin(), segment.ids().end(), [&](std::uint32_t id) { return index_.contains(id); });
    if (all_known && segment.verify().empty()) {
      whole_days_.insert(day);
      return rightly_listed ? Status{} : put(kv::Family::meta, key, series::segment_value(segment.day()));
    }
    std::uint32_t generation = 0;
    PLUMBLINE_CHECK_OK(unused_segment_name(segment.day(), segment.seal(), generation));
    PLUMBLINE_TRY(const auto out, series::SegmentWriter::create(fresh, segment.day(), segment.seal(), generation));
    PLUMBLINE_TRY(const auto rest, series::salvage_segment(segment, [&](std::uint32_t id) { return index_.contains(id); }, *out));
    for (const std::string& line : rest.lost) lose(file, "", line);
    PLUMBLINE_TRY(const auto info, out->finish());
    (segment.info().samples > rest.samples ? cut_days_ : whole_days_).insert(day);
    if (segment.info().samples > rest.samples)
      lose(file, "", std::to_string(segment.info().samples - rest.samples) + " of its " + std::to_string(segment.info().samples) + " samples are lost");
    moved_.push_back(file);
    if (stored) PLUMBLINE_CHECK_OK(remove(kv::Family::meta, key));
    if (info.series == 0) return fresh.remove(info.name);
    return put(kv::Family::meta, series::segment_key(info.name), series::segment_value(info.day));
  }

  void saw(const series::SegmentInfo& info) {
    bounds_.min = std::min(bounds_.min, info.min_t);
    bounds_.max = std::max(bounds_.max, info.max_t);
    positions_.sealed = std::max(positions_.sealed, info.seal);
  }

  Status events() {
    if (whole_) {
      PLUMBLINE_TRY(const auto found, storage::events::verify(*kv_));
      if (found.problems.empty()) return {};
    }
    changed_ = true;
    PLUMBLINE_TRY(auto salvaged, storage::events::salvage(*kv_));
    lose(std::move(salvaged.lost));
    positions_.sealed = std::max(positions_.sealed, salvaged.last_seal);
    return {};
  }

  // The store's own few values, where they are missing or behind what was found.
  Status numbers() {
    PLUMBLINE_TRY(const auto next, kv_->get(kv::Family::meta, series::next_id_key()));
    const auto next_id = next ? series::decode_next_id(*next) : Result<std::uint32_t>(fail(Code::corrupt, ""));
    if (next_id ? *next_id < index_.next_id() && !whole_ : next.has_value() || !whole_)
      PLUMBLINE_CHECK_OK(put(kv::Family::meta, series::next_id_key(), series::encode_next_id(index_.next_id())));
    PLUMBLINE_TRY(const auto bounds, kv_->get(kv::Family::meta, series::bounds_key()));
    const bool has_samples = bounds_.min <= bounds_.max;
    if (has_samples && (!bounds || !series::decode_bounds(*bounds) || !whole_)) {
      if (const auto had = bounds ? series::decode_bounds(*bounds) : Result<model::TimeRange>(bounds_)) {
        bounds_.min = std::min(bounds_.min, had->min);
        bounds_.max = std::max(bounds_.max, had->max);
      }
      PLUMBLINE_CHECK_OK(put(kv::Family::meta, series::bounds_key(), series::encode_bounds(bounds_)));
    }
    return changed_ ? put(kv::Family::meta, positions_key(), encode_positions(positions_)) : Status{};
  }

  // The file that makes it so: from here on a crash is gone on from.
  Status plan() {
    PLUMBLINE_TRY(const auto names, tree_.list(directory_));
    int number = 1;
    while (std::ranges::find(names, std::string(kept_prefix) + std::to_string(number)) != names.end()) ++number;
    out_.kept = std::string(kept_prefix) + std::to_string(number);
    if (changed_) {
      PLUMBLINE_TRY(const auto files, kv::database_files(directory_, file_system_));
      moved_.insert(moved_.end(), files.begin(), files.end());
    }
    Moves moves;
    for (const std::string& file : moved_) moves.emplace_back(file, out_.kept + "/" + file);
    const std::string from(salvage_staging);
    for (const char* part : {"journal", "segments"}) {
      PLUMBLINE_TRY(const auto files, tree_.list(staging(part)));
      for (const std::string& file : files) moves.emplace_back(from + "/" + part + "/" + file, std::string(part) + "/" + file);
      if (!files.empty()) PLUMBLINE_CHECK_OK(tree_.sync(staging(part)));
    }
    if (changed_) {
      PLUMBLINE_TRY(const auto files, kv::database_files(staging("database"), file_system_));
      for (const std::string& file : files) moves.emplace_back(from + "/database/" + file, file);
      PLUMBLINE_CHECK_OK(tree_.sync(staging("database")));
    }
    PLUMBLINE_TRY(const auto plain, kv::Files::open(staging(), file_system_));
    std::string report;
    for (const auto& [title, lines] : {std::pair{"found: ", &out_.found}, std::pair{"lost: ", &out_.lost}, std::pair{"taken: ", &out_.taken}})
      for (const model::Problem& p : *lines) report += title + p.str() + "\n";
    PLUMBLINE_CHECK_OK(plain->replace("REPORT", report));
    moves.emplace_back(from + "/REPORT", out_.kept + "/REPORT");
    out_.moved = moved_;
    std::set<std::string> parts;
    for (const auto& [from_here, to_there] : moves) {
      PLUMBLINE_CHECK_OK(check_move(from_here, to_there));
      for (const std::string* place : {&from_here, &to_there})
        if (place->starts_with("journal/") || place->starts_with("segments/")) parts.insert(place->substr(0, place->find('/')));
    }
    for (const std::string& part : parts) PLUMBLINE_CHECK_OK(probe_moves(directory_, part, file_system_));
    PLUMBLINE_TRY(const auto own, kv::Files::open(directory_, file_system_));
    return own->replace(std::string(salvaging_mark), encode_moves(moves));
  }

  const std::string directory_;
  const FileSystem file_system_;
  const kv::FileTree tree_;
  Log& log_;
  Registry registry_;
  SalvageReport out_;
  std::unique_ptr<kv::Kv> kv_;  // the new database
  bool whole_ = false;          // the old one is sound
  bool meta_whole_ = false;     // the lists in it are
  bool changed_ = false;        // the new one is another
  series::LabelIndex index_;
  std::optional<Roaring> used_;       // ids that segments have samples of; read when it is asked for
  Roaring losers_;                    // series whose labels another one has
  std::vector<std::string> outdone_;  // keys of such
  Positions positions_;
  std::uint64_t oldest_record_ = 0;
  model::TimeRange bounds_{std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()};
  std::vector<std::string> names_;     // in segments/, sorted, with those that are made here
  std::set<std::string> whole_days_;   // yyyymmdd: days of which a segment has all its samples
  std::set<std::string> cut_days_;     // of which a segment lost some
  std::vector<std::string> moved_;     // to be
};

}  // namespace

Result<SalvageReport> salvage(const std::string& directory, std::shared_ptr<rocksdb::FileSystem> file_system, Log& log) {
  const kv::FileTree tree(file_system);
  PLUMBLINE_TRY(const bool interrupted, tree.exists(directory + "/" + std::string(salvaging_mark)));
  if (!interrupted) {
    PLUMBLINE_CHECK_OK(refuse_unusual_directory(tree, directory));
    PLUMBLINE_CHECK_OK(check_data_directory(directory, file_system));
  }
  PLUMBLINE_TRY(const auto lock, kv::DirectoryLock::hold(directory, file_system));
  return Salvager(directory, std::move(file_system), log).run();
}

}  // namespace plumbline::storage
