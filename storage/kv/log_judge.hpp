// RocksDB's logs, its WAL and its manifest, looked at before RocksDB reads them:
//   - it takes a record that says it is longer than the file for the last one, which a crash tore, and drops all that follows: one
//     flipped bit of a length opens an older state;
//   - it takes what a power cut left of an unsynced end for damage, when a sector of it is written and one before is not.
#pragma once

#include <cstdint>
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

inline constexpr std::size_t log_block_bytes = 32768;  // a record of the log format does not cross the end of one

inline constexpr std::size_t log_header_bytes = 7;  // masked CRC-32C of type and payload, length (both little-endian), type

// A physical record: a whole logical one (1), or the first (2), a middle (3) or the last (4) part of one.
struct LogPiece {
  std::uint8_t type = 0;
  std::string_view payload;
  std::size_t bytes() const { return log_header_bytes + payload.size(); }
};
// The one at the beginning of `bytes`, which end where the block does; none: nothing verifies there. Pure.
std::optional<LogPiece> log_piece(std::string_view bytes);

// What a log has behind its last whole record: nothing, an end that a crash tore, a hole, or damage. A power cut leaves zeros where the
// kernel had not written a sector yet, and only where nothing was synced: what is behind such a hole was promised to nobody. Pure.
class LogJudge {
 public:
  // The next block of the file: whole, but for the last one.
  void block(std::string_view bytes);
  // Where the record stands that does not verify, when others follow it.
  std::optional<std::uint64_t> damage() const { return followed_ ? torn_ : std::nullopt; }
  // Where the record stands that a power cut left a hole in.
  std::optional<std::uint64_t> hole() const { return hole_ ? torn_ : std::nullopt; }

 private:
  std::uint64_t read_ = 0;             // bytes of the blocks before
  std::optional<std::uint64_t> torn_;  // the first record that does not verify
  bool followed_ = false;
  bool hole_ = false;                  // in it: nothing that follows counts
};

// Every log and manifest in a directory of RocksDB's with damage in it, and what is wrong; none when there is no directory.
// Fails: io.
Result<std::vector<std::pair<std::string, std::string>>> damaged_logs(const std::string& directory, const std::shared_ptr<rocksdb::FileSystem>& file_system);
// Before RocksDB opens them: cuts those with a hole behind the last whole record. Nothing is cut when one is damaged.
// Fails: corrupt (names the file), io, unavailable.
Status check_logs(const std::string& directory, const std::shared_ptr<rocksdb::FileSystem>& file_system, Log& log);

}  // namespace plumbline::storage::kv
