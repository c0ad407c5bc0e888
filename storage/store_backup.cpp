#include "storage/store_backup.hpp"

#include <algorithm>
#include <set>

#include "daemon/base/bytes.hpp"
#include "storage/kv/close_mark.hpp"
#include "storage/kv/files.hpp"
#include "storage/kv/kill_point.hpp"
#include "storage/series/series_keys.hpp"
#include "storage/store_impl.hpp"
#include "storage/store_paths.hpp"

namespace plumbline::storage {

namespace {

constexpr std::string_view unfinished = ".partial";
constexpr std::size_t name_max = 100;

bool is_table(std::string_view name) { return name.ends_with(".sst"); }

std::set<std::string> folders_of(const std::vector<std::string>& names) {
  std::set<std::string> out;
  for (const std::string& name : names)
    for (std::size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) out.insert(name.substr(0, slash));
  return out;
}

}  // namespace

bool good_backup_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  if (name.empty() || name.size() > name_max || !letter(name.front()) || name.ends_with(unfinished)) return false;
  return std::ranges::all_of(name, [&](char c) { return letter(c) || c == '.' || c == '_' || c == '-'; });
}

Status remove_unfinished_backups(const kv::FileTree& tree, const std::string& directory, Log& log) {
  PLUMBLINE_TRY(const auto names, tree.list(directory));
  for (const std::string& name : names) {
    if (!name.ends_with(unfinished)) continue;
    log.info("removing an unfinished backup", {{"directory", directory + "/" + name}});
    PLUMBLINE_CHECK_OK(tree.remove(directory + "/" + name));
  }
  return {};
}

Status refuse_unusual_directory(const kv::FileTree& tree, const std::string& directory) {
  PLUMBLINE_TRY(const bool backup, tree.exists(directory + "/" + std::string(backup_list)));
  if (backup)
    return fail(Code::conflict, directory + " is a backup: copy it with `plumbline restore` and start on the copy");
  PLUMBLINE_TRY(const bool restoring, tree.exists(directory + "/" + std::string(restoring_mark)));
  if (restoring)
    return fail(Code::conflict, directory + ": a restore into it did not end well: empty it and restore again, or, to use what is there, remove " +
                                    std::string(restoring_mark));
  PLUMBLINE_TRY(const bool salvaging, tree.exists(directory + "/" + std::string(salvaging_mark)));
  if (salvaging) return fail(Code::conflict, directory + ": a salvage of it was interrupted: `plumbline verify --salvage` ends it");
  return {};
}

Status write_backup_list(const std::string& directory, const std::shared_ptr<rocksdb::FileSystem>& file_system) {
  const kv::FileTree tree(file_system);
  PLUMBLINE_TRY(const auto names, tree.files(directory));
  PLUMBLINE_TRY(const auto files, kv::Files::open(directory, file_system));
  kv::CloseMark list;
  for (const std::string& name : names) {
    kv::MarkedFile& file = list[name];
    if (is_table(name)) {
      PLUMBLINE_TRY(file.bytes, tree.size(directory + "/" + name));
      continue;
    }
    PLUMBLINE_TRY(const std::string bytes, files->read(name));
    file = {bytes.size(), crc32c(bytes)};
  }
  return files->replace(std::string(backup_list), kv::encode_close_mark(list));
}

Result<BackupFiles> read_backup_list(const std::string& directory, const std::shared_ptr<rocksdb::FileSystem>& file_system) {
  const kv::FileTree tree(file_system);
  const std::string path = directory + "/" + std::string(backup_list);
  PLUMBLINE_TRY(const bool there, tree.exists(path));
  if (!there) return fail(Code::not_found, directory + " is no whole backup: it has no file " + std::string(backup_list) +
                                               "; name a directory that `plumbline backup` has made");
  const auto files = kv::Files::read_only(directory, file_system);
  PLUMBLINE_TRY(const std::string bytes, files->read(std::string(backup_list)));
  const auto list = kv::decode_close_mark(bytes);
  if (!list) return fail(Code::corrupt, path + " is damaged, or of a newer Plumbline: take another backup");
  BackupFiles out;
  for (const auto& [name, then] : *list) {
    if (!stays_below(name)) return fail(Code::corrupt, path + " names a file outside of the backup: " + name);
    out.names.push_back(name);
    out.bytes += then.bytes;
    const auto tell = [&](std::string what) { out.problems.push_back({name, "", std::move(what), "take another backup"}); };
    const auto size = tree.size(directory + "/" + name);
    if (!size && size.error().code != Code::not_found) return fail(size.error());
    if (!size) {
      tell("the backup lacks it");
    } else if (*size != then.bytes) {
      tell("it has " + std::to_string(*size) + " bytes and had " + std::to_string(then.bytes) + " when the backup was made");
    } else if (!is_table(name)) {
      PLUMBLINE_TRY(const std::string content, files->read(name));
      if (crc32c(content) != then.checksum) tell("its bytes are not those of the backup");
    }
  }
  return out;
}

Status copy_files(const kv::FileTree& tree, const std::string& from, const std::string& to, const std::vector<std::string>& names) {
  const auto folders = folders_of(names);
  for (const std::string& folder : folders) PLUMBLINE_CHECK_OK(tree.make(to + "/" + folder));
  for (const std::string& name : names) PLUMBLINE_CHECK_OK(tree.copy(from + "/" + name, to + "/" + name));
  for (const std::string& folder : folders) PLUMBLINE_CHECK_OK(tree.sync(to + "/" + folder));
  return tree.sync(to);
}

// The files of this moment. The upkeep lock keeps the list of segments and the journal's files as the checkpoint has them.
Status KvStore::fill_backup(const kv::FileTree& tree, const std::string& to, BackupReport& report) {
  ReadLock alive_lock(alive_mutex_);
  PLUMBLINE_CHECK_OK(alive());
  Lock upkeep(upkeep_mutex_);
  if (frozen_) PLUMBLINE_CHECK_OK(seal_once());  // a commit that failed, of which the log may have bytes all the same
  for (const char* part : {"", "/journal", "/segments"}) PLUMBLINE_CHECK_OK(tree.make(to + part));
  PLUMBLINE_CHECK_OK(kv_->checkpoint(to));
  kv::kill_point("backup.checkpoint");
  // The journal after the database: it has every record above the trim position that the database knows.
  const auto parts = journal_->parts();
  for (const journal::Journal::Part& part : parts) {
    const std::string from = options_.path + "/journal/" + part.name;
    const std::string copy = to + "/journal/" + part.name;
    PLUMBLINE_TRY(const std::uint64_t bytes, tree.size(from));
    const bool ended = part.name != parts.back().name && bytes == part.bytes;  // else it grows, or has half a record at its end
    PLUMBLINE_CHECK_OK(ended ? tree.link(from, copy) : tree.copy(from, copy, part.bytes));
  }
  // Which segments: as the copy will read it. A commit that the disk refused may be in its log and not in our memory.
  PLUMBLINE_TRY(const auto copy, kv::Kv::open({.path = to, .block_cache_bytes = 1 << 20, .file_system = options_.file_system, .read_only = true},
                                              log_, registry_));
  PLUMBLINE_TRY(const auto segments, series::live_tables(*copy));
  for (const std::string& name : segments) {
    const std::string from = options_.path + "/segments/" + name;
    PLUMBLINE_TRY(const bool there, tree.exists(from));
    if (there) {
      PLUMBLINE_CHECK_OK(tree.link(from, to + "/segments/" + name));
      continue;
    }
    report.problems.push_back("segment " + name + " is missing in the data directory, and so in the backup");
    log_.error("a backup lacks a segment that is missing", {{"segment", name}});
  }
  for (const char* part : {"/journal", "/segments"}) PLUMBLINE_CHECK_OK(tree.sync(to + part));
  return {};
}

// Made beside the data, where files can be linked; then moved to where backups are wanted.
Status KvStore::make_backup(const kv::FileTree& tree, const std::string& name, BackupReport& report) {
  const std::string beside = options_.path + "/backups";
  const std::string home = options_.backup_directory.empty() ? beside : options_.backup_directory;
  report.path = home + "/" + name;
  PLUMBLINE_TRY(const bool there, tree.exists(report.path));
  if (there) return fail(Code::conflict, "there is a backup " + report.path + " already: give another name, or remove it");
  PLUMBLINE_CHECK_OK(remove_unfinished_backups(tree, beside, log_));
  const std::string building = beside + "/" + name + std::string(unfinished);
  Status made = fill_backup(tree, building, report);
  kv::kill_point("backup.filled");
  if (made) made = kv::write_close_mark(building, options_.file_system);  // a start on the copy compares RocksDB's files with it
  if (made) made = write_backup_list(building, options_.file_system);
  kv::kill_point("backup.listed");
  if (made) {
    PLUMBLINE_TRY(const auto files, tree.files(building));
    for (const std::string& file : files) {
      PLUMBLINE_TRY(const std::uint64_t bytes, tree.size(building + "/" + file));
      report.bytes += bytes;
    }
    report.files = files.size();
    if (home != beside) made = tree.make(home);
    if (made) made = tree.rename(building, report.path);
    if (!made && home != beside) {
      // Another file system: a copy takes its time, and nothing waits for it.
      const std::string far = report.path + std::string(unfinished);
      made = tree.remove(far);  // of a backup of this name that did not end
      if (made) made = tree.make(far);
      if (made) made = copy_files(tree, building, far, files);
      if (made) made = tree.rename(far, report.path);
      if (made) made = tree.remove(building);
      else if (const Status removed = tree.remove(far); !removed) log_.warn("an unfinished backup stays", {{"directory", far}});
    }
    kv::kill_point("backup.renamed");
  }
  if (!made)
    if (const Status removed = tree.remove(building); !removed)
      log_.warn("an unfinished backup stays", {{"directory", building}, {"error", removed.error().message}});
  return made;
}

Result<BackupReport> KvStore::backup(const std::string& name) {
  if (!good_backup_name(name))
    return fail(Code::invalid_input, "a backup's name has 1 to 100 letters, digits, '.', '_' and '-', begins with a letter or digit and does not end in '" +
                                         std::string(unfinished) + "'");
  // Refused, not queued: each would hold a worker of the server until the one before has ended.
  if (backing_up_.exchange(true)) return fail(Code::conflict, "another backup is being made: ask again when it has ended");
  const std::unique_ptr<std::atomic<bool>, void (*)(std::atomic<bool>*)> ended(&backing_up_, [](std::atomic<bool>* flag) { *flag = false; });
  const Steady start = clock_.steady();
  BackupReport report;
  PLUMBLINE_CHECK_OK(make_backup(kv::FileTree(options_.file_system), name, report));
  log_.info("backup made", {{"directory", report.path}, {"files", report.files}, {"bytes", report.bytes},
                            {"seconds", std::chrono::duration<double>(clock_.steady() - start).count()}});
  return report;
}

}  // namespace plumbline::storage
