// What still reads of a table with damaged blocks, RocksDB's or one of our own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "daemon/base/error.hpp"

namespace rocksdb {
class FileSystem;
}

namespace plumbline::storage::kv {

struct TableRest {
  std::string family;          // RocksDB's name of it; empty: a file of our own
  std::uint64_t entries = 0;   // that the table says it has, removals among them
  std::uint64_t read = 0;
};
using EntryVisit = std::function<Status(std::string_view family, std::string_view key, std::string_view value)>;
// Visits the newest value of every key in the blocks that verify; an index that is stored compressed does not tell where the blocks
// between two damaged ones begin: then those before the first and behind the last are read. Removals are not shown.
// Fails: corrupt (its index or its end is damaged: nothing reads), io, and what `visit` fails with.
Result<TableRest> salvage_table(const std::string& path, const std::shared_ptr<rocksdb::FileSystem>& file_system, const EntryVisit& visit);

}  // namespace plumbline::storage::kv
