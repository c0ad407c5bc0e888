// Repair of a damaged data directory: storage/offline.hpp.
#include "storage/store_salvage.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>

#include "storage/events/salvage.hpp"
#include "storage/events/verify.hpp"
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

class Salvager {
 public:
  Salvager(std::string directory, FileSystem file_system, Log& log)
      : directory_(std::move(directory)), file_system_(std::move(file_system)), tree_(file_system_), log_(log) {}

  Result<SalvageReport> run() {
    PLUMBLINE_TRY(const bool interrupted, tree_.exists(path(salvaging_mark)));
    if (interrupted) PLUMBLINE_CHECK_OK(finish_moves(directory_, file_system_));
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
      if (!in.ok() || !labels || !index_.restore(id, *labels)) {
        bad.push_back({std::string(key), "", ""});
        lose("family series", "series " + std::to_string(id), labels ? "its labels are those of another series" : labels.error().message);
      } else if (std::string right = series::series_key(static_cast<std::uint16_t>(labels->fingerprint() % kv::vshards), id); right != key) {
        bad.push_back({std::string(key), std::move(right), std::string(value)});
      }
      return true;
    }));
    for (const Entry& e : bad) {
      PLUMBLINE_CHECK_OK(remove(kv::Family::series, e.key));
      if (!e.right.empty()) PLUMBLINE_CHECK_OK(put(kv::Family::series, e.right, e.value));
    }
    if (whole_) return {};
    PLUMBLINE_TRY(const auto there, tree_.exists(path("journal")));
    if (!there) return {};
    PLUMBLINE_TRY(const auto read, journal::salvage(path("journal"), "journal", file_system_, 0, [&](std::uint64_t, std::string_view bytes) -> Status {
      const auto record = decode_record(bytes);
      if (!record) return {};
      for (const series::Definition& d : record->definitions) {
        const auto labels = model::parse_wire_labels(d.labels);
        if (!labels || index_.contains(d.id) || !index_.restore(d.id, *labels)) continue;
        PLUMBLINE_CHECK_OK(put(kv::Family::series, series::series_key(static_cast<std::uint16_t>(labels->fingerprint() % kv::vshards), d.id), labels->encode()));
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
    if (!whole_ && oldest_record_ > positions_.trimmed + 1) positions_.trimmed = oldest_record_ - 1;
    return {};
  }

  Status journal() {
    PLUMBLINE_TRY(const auto names, tree_.list(path("journal")));
    if (names.empty()) return {};
    PLUMBLINE_TRY(const auto found, journal::verify(path("journal"), "journal", file_system_, positions_.trimmed,
                                                    [&](std::uint64_t, std::string_view bytes) { return check_record(bytes, index_); }));
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
    for (const std::string& name : names) moved_.push_back("journal/" + name);
    return {};
  }

  // True: something of the record had to go, because nobody can say what its series are.
  bool filter(std::uint64_t sequence, Record& record) {
    std::set<series::SeriesId> bad;
    const auto before = record.definitions.size();
    std::erase_if(record.definitions, [&](const series::Definition& d) {
      const auto labels = model::parse_wire_labels(d.labels);
      const bool good = labels && (index_.contains(d.id) ? index_.labels(d.id) == *labels : index_.restore(d.id, *labels).has_value());
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
    PLUMBLINE_TRY(const auto names, tree_.list(path("segments")));
    PLUMBLINE_TRY(const auto listed, series::live_segments(*kv_));
    std::set<std::string> live(listed.begin(), listed.end());
    const std::set<std::string> known = live;
    // A list that has lost its end must not cost the files: what of them is in others too is merged by time.
    if (!whole_)
      for (const std::string& name : names)
        if (name.ends_with(".sst") && !series::is_tier_name(name)) live.insert(name);
    PLUMBLINE_CHECK_OK(tree_.make(staging("segments")));
    PLUMBLINE_TRY(const auto fresh, kv::TableFiles::open({.directory = staging("segments"), .file_system = file_system_}));
    for (const std::string& name : live) {
      const bool there = std::ranges::binary_search(names, name);
      PLUMBLINE_CHECK_OK(segment(*old, *fresh, name, there, known.contains(name), names));
    }
    return tiers(*old, *fresh, names, live);
  }

  // A tier is kept as it is or not at all. Behind a day's samples the next start makes it again.
  Status tiers(const kv::TableFiles& old, const kv::TableFiles& fresh, const std::vector<std::string>& names, const std::set<std::string>& segments) {
    PLUMBLINE_TRY(const auto listed, series::live_tiers(*kv_));
    std::set<std::string> live(listed.begin(), listed.end());
    std::set<std::pair<std::uint32_t, std::int64_t>> stands;  // days and resolutions that the list has
    for (const std::string& name : listed) {
      PLUMBLINE_TRY(const auto stored, kv_->get(kv::Family::meta, series::tier_key(name)));
      if (const auto entry = series::decode_tier(name, stored.value_or(""))) stands.emplace(entry->day, entry->resolution);
    }
    if (!whole_)
      for (const std::string& name : names)
        if (series::is_tier_name(name)) live.insert(name);
    for (const std::string& name : live) {
      const std::string file = "segments/" + name, key = series::tier_key(name);
      const bool there = std::ranges::binary_search(names, name);
      PLUMBLINE_TRY(const auto stored, kv_->get(kv::Family::meta, key));
      const auto entry = series::decode_tier(name, stored.value_or(""));
      const auto opened = there ? series::TierFile::open(old, name) : Result<std::shared_ptr<const series::TierFile>>(fail(Code::corrupt, "it is missing"));
      if (!opened && opened.error().code == Code::unsupported) return fail(opened.error());
      const std::vector<std::string> problems = opened ? (*opened)->verify() : std::vector<std::string>{opened.error().message};
      if (!problems.empty()) {
        if (!entry || entry->final) lose(file, "", "nothing of it is kept, its day is lost unless another tier has it: " + problems.front());
        if (there) moved_.push_back(file);
        if (stored) PLUMBLINE_CHECK_OK(remove(kv::Family::meta, key));
        continue;
      }
      const series::TierInfo& info = (*opened)->info();
      const bool listed_right = entry && entry->day == info.day && entry->resolution == info.resolution;
      const std::string day = name.substr(0, name.find('-') + 1);
      const bool samples = std::ranges::any_of(segments, [&](const std::string& s) { return s.starts_with(day); });
      const bool final = listed_right ? entry->final : !samples;
      if (!final || (!listed_right && stands.contains({info.day, info.resolution}))) {
        if (stored && !listed_right) PLUMBLINE_CHECK_OK(remove(kv::Family::meta, key));
        continue;
      }
      std::uint64_t unknown = 0;
      for (const std::uint32_t id : info.ids) unknown += index_.contains(id) ? 0 : 1;
      if (unknown == 0) {
        if (!listed_right) PLUMBLINE_CHECK_OK(put(kv::Family::meta, key, series::tier_value({info.day, info.resolution, true, {}})));
        stands.emplace(info.day, info.resolution);
        continue;
      }
      lose(file, "", "the buckets of " + std::to_string(unknown) + " series, whose labels are lost");
      PLUMBLINE_TRY(const auto out, series::TierWriter::create(fresh, info.day, info.resolution));
      PLUMBLINE_CHECK_OK((*opened)->read_all([&](series::TierSeries&& s) { return index_.contains(s.series.id) ? out->add(std::move(s)) : Status{}; }));
      PLUMBLINE_TRY(const auto written, out->finish());
      moved_.push_back(file);
      if (stored) PLUMBLINE_CHECK_OK(remove(kv::Family::meta, key));
      PLUMBLINE_CHECK_OK(put(kv::Family::meta, series::tier_key(written.name), series::tier_value({info.day, info.resolution, true, {}})));
      stands.emplace(info.day, info.resolution);
    }
    return {};
  }

  Status segment(const kv::TableFiles& old, const kv::TableFiles& fresh, const std::string& name, bool there, bool known, const std::vector<std::string>& names) {
    const std::string file = "segments/" + name;
    const std::string key = series::segment_key(name);
    const auto opened = there ? series::Segment::open(old, name) : Result<std::shared_ptr<const series::Segment>>(fail(Code::corrupt, "it is missing"));
    if (!opened) {
      if (opened.error().code == Code::unsupported) return fail(opened.error());
      lose(file, "", "nothing of it reads: " + opened.error().message);
      if (there) moved_.push_back(file);
      return known ? remove(kv::Family::meta, key) : Status{};
    }
    const series::Segment& segment = **opened;
    saw(segment.info());
    PLUMBLINE_TRY(const auto stored, kv_->get(kv::Family::meta, key));
    const bool rightly_listed = stored && series::segment_day(name, *stored).value_or(segment.day() + 1) == segment.day();
    const bool all_known = std::all_of(segment.ids().begin(), segment.ids().end(), [&](std::uint32_t id) { return index_.contains(id); });
    if (all_known && segment.verify().empty())
      return rightly_listed ? Status{} : put(kv::Family::meta, key, series::segment_value(segment.day()));
    std::string stem = series::segment_name(segment.day(), segment.seal());
    stem.resize(stem.rfind('.'));
    std::uint32_t generation = 0;  // behind all that are there: a name is used once
    for (const std::string& other : names)
      if (other.starts_with(stem)) generation = std::max(generation, series::segment_generation(other));
    PLUMBLINE_TRY(const auto out, series::SegmentWriter::create(fresh, segment.day(), segment.seal(), generation + 1));
    PLUMBLINE_TRY(const auto rest, series::salvage_segment(segment, [&](std::uint32_t id) { return index_.contains(id); }, *out));
    for (const std::string& line : rest.lost) lose(file, "", line);
    PLUMBLINE_TRY(const auto info, out->finish());
    if (segment.info().samples > rest.samples)
      lose(file, "", std::to_string(segment.info().samples - rest.samples) + " of its " + std::to_string(segment.info().samples) + " samples are lost");
    moved_.push_back(file);
    if (stored) PLUMBLINE_CHECK_OK(remove(kv::Family::meta, key));
    if (info.series > 0) PLUMBLINE_CHECK_OK(put(kv::Family::meta, series::segment_key(info.name), series::segment_value(info.day)));
    return {};
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
    while (std::ranges::find(names, "damaged-" + std::to_string(number)) != names.end()) ++number;
    out_.kept = "damaged-" + std::to_string(number);
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
    for (const auto& [title, lines] : {std::pair{"found: ", &out_.found}, std::pair{"lost: ", &out_.lost}})
      for (const model::Problem& p : *lines) report += title + p.str() + "\n";
    PLUMBLINE_CHECK_OK(plain->replace("REPORT", report));
    moves.emplace_back(from + "/REPORT", out_.kept + "/REPORT");
    out_.moved = moved_;
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
  bool changed_ = false;        // the new one is another
  series::LabelIndex index_;
  Positions positions_;
  std::uint64_t oldest_record_ = 0;
  model::TimeRange bounds_{std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()};
  std::vector<std::string> moved_;  // to be
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
