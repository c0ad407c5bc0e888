#include "storage/store_offline.hpp"

#include <algorithm>
#include <charconv>
#include <set>

#include "storage/events/verify.hpp"
#include "storage/journal/verify.hpp"
#include "storage/kv/close_mark.hpp"
#include "storage/kv/files.hpp"
#include "storage/kv/kv.hpp"
#include "storage/kv/log_judge.hpp"
#include "storage/kv/table_file.hpp"
#include "storage/model/wire_labels.hpp"
#include "storage/series/label_index.hpp"
#include "storage/series/segment.hpp"
#include "storage/series/series_keys.hpp"
#include "storage/series/tier_file.hpp"
#include "storage/storage.hpp"
#include "storage/store_backup.hpp"
#include "storage/store_keys.hpp"
#include "storage/store_record.hpp"
#include "storage/store_values.hpp"

namespace plumbline::storage {

namespace {

using model::Problem;
using FileSystem = std::shared_ptr<rocksdb::FileSystem>;

constexpr std::string_view from_backup = "restore it from a backup";

class Verifier {
 public:
  Verifier(std::string directory, FileSystem file_system, Log& log)
      : directory_(std::move(directory)), file_system_(std::move(file_system)), tree_(file_system_), log_(log) {}

  Result<VerifyReport> run() {
    PLUMBLINE_TRY(const bool backup, tree_.exists(path(backup_list)));
    if (backup) {
      PLUMBLINE_TRY(auto list, read_backup_list(directory_, file_system_));
      std::ranges::move(list.problems, std::back_inserter(out_.problems));
    }
    PLUMBLINE_TRY(const bool restoring, tree_.exists(path(restoring_mark)));
    out_.salvageable = !backup && !restoring;
    PLUMBLINE_TRY(const bool salvaging, tree_.exists(path(salvaging_mark)));
    if (salvaging) tell(std::string(salvaging_mark), "", "a salvage was interrupted", "`plumbline verify --salvage` ends it");
    PLUMBLINE_CHECK_OK(database());
    PLUMBLINE_CHECK_OK(segments());
    if (kv_) {
      PLUMBLINE_CHECK_OK(found(events()));
    }
    PLUMBLINE_CHECK_OK(journal());
    out_.series = index_.size();  // with those that only the journal defines
    return std::move(out_);
  }

 private:
  std::string path(std::string_view below) const { return directory_ + "/" + std::string(below); }
  void tell(std::string file, std::string place, std::string what, std::string_view help = from_backup) {
    Problem problem{std::move(file), std::move(place), std::move(what), std::string(help)};
    if (told_.insert(problem.str()).second) out_.problems.push_back(std::move(problem));  // each key in a damaged block says the same
  }

  // A read that met a damaged block: what stands behind it is unknown, and the rest is looked at all the same.
  Status found(Status status) {
    if (status || status.error().code != Code::corrupt) return status;
    tell("the database", "", status.error().message);
    return {};
  }

  Status events() {
    PLUMBLINE_TRY(auto seen, storage::events::verify(*kv_));
    out_.blocks = seen.blocks;
    out_.rows = seen.rows;
    std::ranges::move(seen.problems, std::back_inserter(out_.problems));
    std::ranges::move(seen.notes, std::back_inserter(out_.notes));
    return {};
  }

  Status database() {
    PLUMBLINE_TRY(const auto differences, kv::compare_close_mark(directory_, file_system_, log_));
    for (const auto& [name, what] : differences) tell(name, "", what);
    PLUMBLINE_TRY(const auto names, tree_.list(directory_));
    out_.tables = static_cast<std::uint64_t>(std::ranges::count_if(names, [](const std::string& n) { return n.ends_with(".sst"); }));
    PLUMBLINE_TRY(const auto tables, kv::damaged_tables(directory_, file_system_));
    for (const auto& [name, what] : tables) tell(name, "", what);
    PLUMBLINE_TRY(const auto logs, kv::damaged_logs(directory_, file_system_));
    for (const auto& [name, what] : logs) tell(name, "", what);
    auto opened = kv::Kv::open({.path = directory_, .file_system = file_system_, .read_only = true}, log_, registry_);
    if (!opened) {
      if (opened.error().code == Code::unsupported || opened.error().code == Code::unavailable) return fail(opened.error());
      tell("the database", "", opened.error().message, "without it only the files of segments and journal are looked at");
      return {};
    }
    kv_ = std::move(*opened);
    PLUMBLINE_CHECK_OK(found(format()));
    PLUMBLINE_CHECK_OK(found(positions()));
    return found(index());
  }

  Status format() {
    PLUMBLINE_TRY(const auto stored, kv_->get(kv::Family::meta, format_key()));
    int version = 0;
    if (!stored || std::from_chars(stored->data(), stored->data() + stored->size(), version).ec != std::errc()) {
      tell("family meta", "format", stored ? "it does not read as a number" : "the format version is missing");
      return {};
    }
    if (version != format_version)
      return fail(Code::unsupported, directory_ + " has format " + *stored + ", and this Plumbline verifies format " + std::to_string(format_version) +
                                         (version < format_version ? ": start it once, which upgrades the directory" : ": take the newer Plumbline"));
    return {};
  }

  Status positions() {
    PLUMBLINE_TRY(const auto stored, kv_->get(kv::Family::meta, positions_key()));
    if (stored) {
      const auto decoded = decode_positions(*stored);
      if (decoded) trimmed_ = decoded->trimmed;
      else tell("family meta", "positions", decoded.error().message);
    }
    const std::string prefix = metadata_prefix();
    return kv_->scan(kv::Family::meta, prefix, after_prefix(prefix), [&](std::string_view key, std::string_view value) {
      const std::string_view metric = key.substr(prefix.size());
      if (const auto decoded = decode_metadata(metric, value); !decoded)
        tell("family meta", "metadata of " + std::string(metric), decoded.error().message, "its next scrape or write brings it again");
      return true;
    });
  }

  Status index() {
    PLUMBLINE_CHECK_OK(kv_->scan(kv::Family::series, "", "", [&](std::string_view key, std::string_view value) {
      ByteReader in(key);
      in.raw(kv::key_prefix_bytes);
      const series::SeriesId id = in.be32();
      const std::string place = "series " + std::to_string(id);
      auto labels = Labels::decode(value);
      if (!in.ok() || !labels) {
        tell("family series", place, labels ? "the key ends early" : labels.error().message);
        return true;
      }
      if (key != series::series_key(*labels, id))
        tell("family series", place, "its key is not that of its labels " + labels->str());
      if (const series::SeriesId twin = index_.find(*labels); twin != series::no_series)
        tell("family series", place, "series " + std::to_string(twin) + " has the same labels: queries have it twice");
      if (const Status added = index_.restore(id, std::move(*labels)); !added) tell("family series", place, added.error().message);
      return true;
    }));
    PLUMBLINE_TRY(const auto next, kv_->get(kv::Family::meta, series::next_id_key()));
    if (!next) return {};
    if (const auto id = series::decode_next_id(*next); !id) tell("family meta", "series_next_id", id.error().message);
    return {};
  }

  Status segments() {
    PLUMBLINE_TRY(const auto files, kv::TableFiles::open({.directory = path("segments"), .file_system = file_system_, .read_only = true}));
    const Error none{Code::corrupt, ""};
    auto listed = kv_ ? series::live_segments(*kv_) : Result<std::vector<std::string>>(fail(none));
    auto listed_tiers = kv_ ? series::live_tiers(*kv_) : Result<std::vector<std::string>>(fail(none));
    for (const auto* list : {&listed, &listed_tiers}) {
      if (*list || !kv_) continue;
      if (list->error().code != Code::corrupt) return fail(list->error());
      tell("family meta", list == &listed ? "the list of segments" : "the list of tiers", list->error().message);
    }
    std::vector<std::string> live, tiers;
    if (listed && listed_tiers) {
      live = std::move(*listed);
      tiers = std::move(*listed_tiers);
      PLUMBLINE_TRY(const auto names, tree_.list(path("segments")));
      for (const std::string& name : names)
        if (std::ranges::find(live, name) == live.end() && std::ranges::find(tiers, name) == tiers.end())
          out_.notes.push_back("segments/" + name + ": no commit names it: the next start removes it");
    } else {
      PLUMBLINE_TRY(const auto names, tree_.list(path("segments")));
      for (const std::string& name : names)
        if (name.ends_with(".sst")) (series::is_tier_name(name) ? tiers : live).push_back(name);
    }
    for (const std::string& name : live) PLUMBLINE_CHECK_OK(segment(*files, name));
    for (const std::string& name : tiers) PLUMBLINE_CHECK_OK(tier(*files, name));
    return {};
  }

  // Null: it is missing or does not open, and that was told.
  template <class File, class Count>
  Result<std::shared_ptr<const File>> open_listed(const kv::TableFiles& files, const std::string& name, std::string_view list, std::string_view help,
                                                  Count& count) {
    const std::string file = "segments/" + name;
    PLUMBLINE_TRY(const bool there, tree_.exists(path(file)));
    if (!there) {
      tell(file, "", "the list of " + std::string(list) + " names it, and it is missing", help);
      return nullptr;
    }
    ++count;
    auto opened = File::open(files, name);
    if (opened) return std::move(*opened);
    if (opened.error().code == Code::unsupported) return fail(std::move(opened).error());
    tell(file, "", opened.error().message, help);
    return nullptr;
  }

  Status tier(const kv::TableFiles& files, const std::string& name) {
    const std::string file = "segments/" + name;
    std::optional<series::TierEntry> entry;
    if (kv_) {
      PLUMBLINE_TRY(const auto stored, kv_->get(kv::Family::meta, series::tier_key(name)));
      if (auto decoded = series::decode_tier(name, stored.value_or(""))) entry = std::move(*decoded);
      else tell("family meta", "tier/" + name, decoded.error().message);
    }
    // What is not the only thing left of its day is made again.
    const std::string_view help = entry && !entry->final ? "the next start makes it again" : "queries that need it fail; restore the file from a backup";
    PLUMBLINE_TRY(const auto opened, open_listed<series::TierFile>(files, name, "tiers", help, out_.tiers));
    if (!opened) return {};
    const series::TierInfo& info = opened->info();
    for (std::string& line : opened->verify()) tell(file, "", std::move(line), help);
    if (entry && (entry->day != info.day || entry->resolution != info.resolution)) tell(file, "", "it is of another day or resolution than it is listed for", help);
    if (entry && entry->final)
      for (const std::uint32_t id : info.ids)
        if (!index_.contains(id)) {
          tell(file, "series " + std::to_string(id), "the series index lacks it", help);
          break;
        }
    return {};
  }

  Status segment(const kv::TableFiles& files, const std::string& name) {
    const std::string file = "segments/" + name;
    const std::string_view help = "its day answers with an error; restore the file from a backup";
    PLUMBLINE_TRY(const auto opened, open_listed<series::Segment>(files, name, "segments", help, out_.segments));
    if (!opened) return {};
    const series::Segment& segment = *opened;
    out_.samples += segment.info().samples;
    for (std::string& line : segment.verify()) tell(file, "", std::move(line), help);
    if (!kv_) return {};
    const auto stored = kv_->get(kv::Family::meta, series::segment_key(name));
    if (!stored) return found(fail(stored.error()));
    const auto day = series::segment_day(name, stored->value_or(""));
    if (!day) tell("family meta", "segment/" + name, day.error().message);
    else if (*day != segment.day()) tell(file, "", "it is of day " + std::to_string(segment.day()) + ", and listed for day " + std::to_string(*day), help);
    std::uint64_t unknown = 0;
    std::uint32_t example = 0;
    for (const std::uint32_t id : segment.ids()) {
      if (index_.contains(id)) continue;
      ++unknown;
      example = id;
    }
    if (unknown > 0)
      tell(file, "series " + std::to_string(example),
           "the series index lacks it" + (unknown > 1 ? " and " + std::to_string(unknown - 1) + " more" : std::string()), help);
    return {};
  }

  Status journal() {
    PLUMBLINE_TRY(const auto names, tree_.list(path("journal")));
    std::uint64_t after = trimmed_;
    if (!kv_) {
      // The trim position is not known: then the oldest file is where it begins.
      for (const std::string& name : names)
        if (name.size() > 16 && std::from_chars(name.data(), name.data() + 16, after, 16).ec == std::errc() && after > 0) {
          --after;
          break;
        }
    }
    if (names.empty()) return {};
    PLUMBLINE_TRY(auto found, journal::verify(path("journal"), "journal", file_system_, after, [&](std::uint64_t, std::string_view bytes) {
      return record(bytes);
    }));
    out_.journal_files = found.files;
    out_.records = found.records;
    std::ranges::move(found.problems, std::back_inserter(out_.problems));
    std::ranges::move(found.notes, std::back_inserter(out_.notes));
    return {};
  }

  Status record(std::string_view bytes) {
    if (kv_) return check_record(bytes, index_);
    PLUMBLINE_TRY(const Record record, decode_record(bytes));
    return {};
  }

  const std::string directory_;
  const FileSystem file_system_;
  const kv::FileTree tree_;
  Log& log_;
  Registry registry_;
  std::unique_ptr<kv::Kv> kv_;  // null: it does not open
  series::LabelIndex index_;
  std::uint64_t trimmed_ = 0;
  std::set<std::string> told_;
  VerifyReport out_;
};

}  // namespace

Status check_record(std::string_view bytes, series::LabelIndex& index) {
  PLUMBLINE_TRY(const Record record, decode_record(bytes));
  for (const series::Definition& d : record.definitions) {
    auto labels = model::parse_wire_labels(d.labels);
    if (!labels) return fail(Code::corrupt, "the labels of series " + std::to_string(d.id) + ": " + labels.error().message);
    if (!index.contains(d.id)) PLUMBLINE_CHECK_OK(index.restore(d.id, std::move(*labels)));
    else if (index.labels(d.id) != *labels) return fail(Code::corrupt, "series " + std::to_string(d.id) + " has other labels in the index");
  }
  for (const auto* runs : {&record.runs, &record.histogram_runs})
    if (const series::SeriesId unknown = index.first_unknown(*runs); unknown != series::no_series)
      return fail(Code::corrupt, "it names series " + std::to_string(unknown) + ", which the series index lacks");
  return {};
}

Status check_data_directory(const std::string& directory, const std::shared_ptr<rocksdb::FileSystem>& file_system) {
  const kv::FileTree tree(file_system);
  // CURRENT or a manifest may be what is missing: any of the three makes a directory ours.
  bool ours = false;
  for (const char* name : {"/CURRENT", "/segments", "/journal"}) {
    PLUMBLINE_TRY(const bool there, tree.exists(directory + name));
    ours |= there;
  }
  if (!ours) return fail(Code::not_found, directory + " is no data directory: it has no CURRENT, no segments and no journal");
  return {};
}

Result<VerifyReport> verify_locked(const std::string& directory, std::shared_ptr<rocksdb::FileSystem> file_system, Log& log) {
  return Verifier(directory, std::move(file_system), log).run();
}

Result<VerifyReport> verify(const std::string& directory, std::shared_ptr<rocksdb::FileSystem> file_system, Log& log) {
  PLUMBLINE_CHECK_OK(check_data_directory(directory, file_system));
  PLUMBLINE_TRY(const auto lock, kv::DirectoryLock::take(directory, file_system));
  return verify_locked(directory, std::move(file_system), log);
}

Result<VerifyReport> restore(const std::string& backup, const std::string& directory,
                             std::shared_ptr<rocksdb::FileSystem> file_system, Log& log) {
  const kv::FileTree tree(file_system);
  PLUMBLINE_TRY(const BackupFiles files, read_backup_list(backup, file_system));
  if (!files.problems.empty())
    return fail(Code::corrupt, backup + "/" + files.problems.front().str() + "; nothing was copied (files with problems: " +
                                   std::to_string(files.problems.size()) + ")");
  PLUMBLINE_TRY(const auto present, tree.list(directory));
  if (!present.empty())
    return fail(Code::conflict, directory + " is not empty: restore into a directory that is empty or not there; nothing was copied");
  PLUMBLINE_CHECK_OK(tree.make(directory));
  PLUMBLINE_TRY(const auto plain, kv::Files::open(directory, file_system));
  PLUMBLINE_CHECK_OK(plain->replace(std::string(restoring_mark), "plumbline restore of " + backup + "\n"));
  PLUMBLINE_CHECK_OK(copy_files(tree, backup, directory, files.names));
  PLUMBLINE_TRY(VerifyReport report, verify(directory, file_system, log));
  if (report.problems.empty()) PLUMBLINE_CHECK_OK(tree.remove_file(directory + "/" + std::string(restoring_mark)));
  return report;
}

}  // namespace plumbline::storage
