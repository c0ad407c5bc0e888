// A backup: a directory that Store::backup() made, with a list of its files. Bytes: storage/format/backup.md.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"
#include "daemon/base/log.hpp"
#include "storage/kv/file_tree.hpp"
#include "storage/model/problem.hpp"

namespace plumbline::storage {

inline constexpr std::string_view backup_list = "BACKUP";        // the list; written last
inline constexpr std::string_view restoring_mark = "RESTORING";  // a restore into this directory has not ended well

inline constexpr std::string_view salvaging_mark = "SALVAGING";  // the moves of a salvage that has not ended

// 1 to 100 of letters, digits, '.', '_' and '-'; the first is a letter or digit, and it does not end like an unfinished one.
bool good_backup_name(std::string_view name);
// What is in an unfinished one under this directory goes.
Status remove_unfinished_backups(const kv::FileTree& tree, const std::string& directory, Log& log);
// Fails: conflict: a backup, or a directory whose restore or salvage did not end.
Status refuse_unusual_directory(const kv::FileTree& tree, const std::string& directory);

// Lists every file of the directory, in the directory.
Status write_backup_list(const std::string& directory, const std::shared_ptr<rocksdb::FileSystem>& file_system);
struct BackupFiles {
  std::vector<std::string> names;  // below the directory
  std::uint64_t bytes = 0;
  std::vector<model::Problem> problems;  // files that are missing or are not what they were
};
// Fails: not_found (no list), corrupt (the list is damaged), io.
Result<BackupFiles> read_backup_list(const std::string& directory, const std::shared_ptr<rocksdb::FileSystem>& file_system);
// Copies the files, durably, into a directory that is there.
Status copy_files(const kv::FileTree& tree, const std::string& from, const std::string& to, const std::vector<std::string>& names);

}  // namespace plumbline::storage
