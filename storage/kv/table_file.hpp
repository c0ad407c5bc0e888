// Sorted immutable files of our own: written with RocksDB's SstFileWriter, read with its SstFileReader, kept in a directory
// whose list of live files is the caller's. Blocks are checksummed and verified at every read from disk; the block cache is
// one for the directory and bounded.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/error.hpp"

namespace rocksdb {
class FileSystem;
}

namespace plumbline::storage::kv {

class TableFiles;

// Keys must ascend strictly (our own bug otherwise). Threads: one. A writer that is destroyed before finish() removes its
// file. Fails: unavailable (the disk is full or broken).
class TableWriter {
 public:
  ~TableWriter();
  TableWriter(const TableWriter&) = delete;
  TableWriter& operator=(const TableWriter&) = delete;
  Status put(std::string_view key, std::string_view value);
  // The file and its directory entry are durable when this returns; the bytes of the file. At least one key was put.
  Result<std::uint64_t> finish();

 private:
  friend class TableFiles;
  struct Impl;
  explicit TableWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Threads: any. Blocks: on disk. Fails: corrupt (naming the file), io.
class TableReader {
 public:
  ~TableReader();
  TableReader(const TableReader&) = delete;
  TableReader& operator=(const TableReader&) = delete;

  const std::string& name() const;
  std::uint64_t bytes() const;
  // Several gets of one caller: opening it costs more than a seek. Threads: one at a time. The reader outlives it.
  class Getter {
   public:
    explicit Getter(const TableReader& table);
    ~Getter();
    Getter(Getter&&) noexcept;
    // The value stands until the next get(). Fails also: corrupt when there is no such key.
    Result<std::string_view> get(std::string_view key);

   private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
  };
  // Reads every block of the file and checks it, past the cache.
  Status verify() const;

 private:
  friend class TableFiles;
  struct Impl;
  explicit TableReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct TableOptions {
  std::string directory;  // made if it is not there; its parent must be
  std::uint64_t block_cache_bytes = 32ull << 20;
  std::shared_ptr<rocksdb::FileSystem> file_system;  // null: the plain one
  bool read_only = false;                            // the directory is not made
};
// Every *.sst in a directory whose checksums do not hold, with what is wrong. Fails: io.
Result<std::vector<std::pair<std::string, std::string>>> damaged_tables(const std::string& directory,
                                                                        std::shared_ptr<rocksdb::FileSystem> file_system);

// Threads: any. Readers and writers keep what they need of it.
class TableFiles {
 public:
  static Result<std::unique_ptr<TableFiles>> open(TableOptions options);
  ~TableFiles();
  Result<std::unique_ptr<TableWriter>> create(const std::string& name) const;  // replaces a file of that name
  Result<std::unique_ptr<TableReader>> read(const std::string& name) const;
  Result<bool> exists(const std::string& name) const;
  Result<std::vector<std::string>> list() const;  // names ending in .sst, sorted
  Status remove(const std::string& name) const;   // not there: fine

  struct Shared;

 private:
  explicit TableFiles(std::shared_ptr<Shared> shared);
  std::shared_ptr<Shared> shared_;
};

}  // namespace plumbline::storage::kv
