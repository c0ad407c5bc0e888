// Whole directories through the injected FileSystem: what backup, restore and verify need of them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/error.hpp"

namespace rocksdb {
class FileLock;
class FileSystem;
}  // namespace rocksdb

namespace plumbline::storage::kv {

// Threads: any. Blocks: on disk. Paths are whole ones.
// Fails: unavailable (writes: the disk is full or broken), io (reads), not_found (what is to be read is not there).
class FileTree {
 public:
  explicit FileTree(std::shared_ptr<rocksdb::FileSystem> file_system);  // null: the plain one

  Result<bool> exists(const std::string& path) const;
  Result<std::uint64_t> size(const std::string& path) const;
  // Names in a directory, sorted; empty when there is no such directory. Fails also: io (it is there and cannot be read).
  Result<std::vector<std::string>> list(const std::string& directory) const;
  // Paths below the directory of every file in it and in its directories, sorted. At most eight levels. A link is a file here.
  Result<std::vector<std::string>> files(const std::string& directory) const;

  // Makes a directory and those above it; durable.
  Status make(const std::string& directory) const;
  // A copy of the first `bytes` (all when unset), durable but for its name. Fails also when there are fewer.
  Status copy(const std::string& from, const std::string& to, std::optional<std::uint64_t> bytes = {}) const;
  // A second name, durable but for the name itself; on one file system. Nobody may write the file in place afterwards.
  Status link(const std::string& from, const std::string& to) const;
  Status rename(const std::string& from, const std::string& to) const;  // on one file system; durable
  Status sync(const std::string& directory) const;                      // the names in it
  // A directory and all that is in it; of links, and when it is one, the link alone. Not there: fine.
  Status remove(const std::string& directory) const;
  Status remove_file(const std::string& path) const;  // durable

 private:
  std::shared_ptr<rocksdb::FileSystem> file_system_;
};

// The lock that an open database holds, for who only reads: it is not made when it is not there, as in a backup.
class DirectoryLock {
 public:
  // Fails: conflict (a process has the directory open), io.
  static Result<DirectoryLock> take(const std::string& directory, std::shared_ptr<rocksdb::FileSystem> file_system);
  // For who writes: it is made when it is not there.
  static Result<DirectoryLock> hold(const std::string& directory, std::shared_ptr<rocksdb::FileSystem> file_system);
  ~DirectoryLock();
  DirectoryLock(DirectoryLock&& other) noexcept;
  DirectoryLock& operator=(DirectoryLock&&) = delete;

 private:
  DirectoryLock(std::shared_ptr<rocksdb::FileSystem> file_system, rocksdb::FileLock* lock);
  std::shared_ptr<rocksdb::FileSystem> file_system_;
  rocksdb::FileLock* lock_ = nullptr;
};

}  // namespace plumbline::storage::kv
