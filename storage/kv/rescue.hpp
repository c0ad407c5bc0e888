// A database beside a damaged one, of what still reads.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "daemon/base/error.hpp"
#include "daemon/base/log.hpp"
#include "daemon/base/meters.hpp"
#include "storage/kv/kv.hpp"
#include "storage/model/problem.hpp"

namespace plumbline::storage::kv {

// Names in the directory that are RocksDB's or the mark of its close; not the lock.
Result<std::vector<std::string>> database_files(const std::string& directory, const std::shared_ptr<rocksdb::FileSystem>& file_system);

struct Rescued {
  std::unique_ptr<Kv> kv;             // open for writing
  bool whole = false;                 // nothing was damaged: it is the same database
  bool meta_whole = false;            // the family meta, in which the lists of files are, lost nothing
  std::vector<model::Problem> lost;   // what did not read
};
// `from` is at most opened for reading, and nothing in it changes; `to` is there and empty. A sound database is linked and copied. Of a damaged one:
//   - its sound tables are linked, and a new manifest is made of them;
//   - of a damaged table every block that verifies is read; where a sound table has the key too, that one's value stays, although it
//     may be the older one: when they differ, `lost` says so;
//   - of its logs every record that verifies is written again, behind all tables: a log is newer than they are, or the same.
// A removal in what is lost is undone. Blocks: as long as reading everything takes.
// Fails: unsupported (families of a newer version), unavailable (the disk is full), io.
Result<Rescued> rescue(const std::string& from, const std::string& to, const std::shared_ptr<rocksdb::FileSystem>& file_system, Log& log,
                       Registry& registry);

}  // namespace plumbline::storage::kv
