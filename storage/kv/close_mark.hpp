// What the database's files were when it was closed: RocksDB takes a log or a manifest whose end is gone for one that a crash
// cut, and opens an older state without a word. After a clean close nothing may be gone, and the mark says so.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/error.hpp"
#include "daemon/base/log.hpp"

namespace rocksdb {
class FileSystem;
}

namespace plumbline::storage::kv {

struct MarkedFile {
  std::uint64_t bytes = 0;
  std::uint32_t checksum = 0;  // 0 for tables: they may be large, and each of their blocks has its own
  bool operator==(const MarkedFile&) const = default;
};
using CloseMark = std::map<std::string, MarkedFile>;
std::string encode_close_mark(const CloseMark& mark);
std::optional<CloseMark> decode_close_mark(std::string_view bytes);  // nullopt: damaged, or newer

// Writes the mark, durably. The database is closed. Fails: unavailable, io.
Status write_close_mark(const std::string& directory, const std::shared_ptr<rocksdb::FileSystem>& file_system);
// What is not as it was: file and what. Empty without a mark. Fails: io.
Result<std::vector<std::pair<std::string, std::string>>> compare_close_mark(const std::string& directory,
                                                                            const std::shared_ptr<rocksdb::FileSystem>& file_system, Log& log);
// Compares, and removes the mark: before anything in the directory changes, and durably. No mark (a crash): nothing to compare.
// A damaged mark is named in the log and says nothing. Fails: corrupt (names the file), io.
Status check_close_mark(const std::string& directory, const std::shared_ptr<rocksdb::FileSystem>& file_system, Log& log);

}  // namespace plumbline::storage::kv
