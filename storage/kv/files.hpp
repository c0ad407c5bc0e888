// Plain files through the injected FileSystem: for the journal, which RocksDB does not write.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"

namespace rocksdb {
class FileSystem;
}

namespace plumbline::storage::kv {

// Threads: append() from one at a time; sync() beside it. Closed when destroyed.
// Fails: unavailable (the disk is full or broken).
class AppendFile {
 public:
  virtual ~AppendFile() = default;
  // When it returns the bytes are the kernel's: they survive the process. After a failure some of them may be in the file.
  virtual Status append(std::string_view bytes) = 0;
  virtual Status sync() = 0;  // everything appended before the call survives a power cut
};

// Threads: any. Blocks: on disk. Fails: unavailable (writes), io (reads).
class Files {
 public:
  // Null: the plain file system. Makes the directory, not its parents; removes what a crash left of a replace().
  static Result<std::unique_ptr<Files>> open(std::string directory, std::shared_ptr<rocksdb::FileSystem> file_system);
  // Makes and removes nothing by itself.
  static std::unique_ptr<Files> read_only(std::string directory, std::shared_ptr<rocksdb::FileSystem> file_system);
  virtual ~Files() = default;
  // An empty file, in place of one of that name; its entry in the directory is durable.
  virtual Result<std::unique_ptr<AppendFile>> create(const std::string& name) = 0;
  virtual Status sync(const std::string& name) = 0;
  // The file has these bytes and they are durable when it returns; a crash leaves the old file or the new one.
  virtual Status replace(const std::string& name, std::string_view bytes) = 0;
  virtual Result<std::string> read(const std::string& name, std::uint64_t bytes_max) const = 0;  // so many from its beginning
  Result<std::string> read(const std::string& name) const { return read(name, std::numeric_limits<std::uint64_t>::max()); }
  virtual Result<std::vector<std::string>> list() const = 0;  // sorted
  virtual Status remove(const std::string& name) = 0;         // not there: fine
  virtual Status probe() = 0;                                 // does the disk take a megabyte?
};

}  // namespace plumbline::storage::kv
