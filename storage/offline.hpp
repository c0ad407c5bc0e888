// What is done to a data directory that no daemon runs on.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/error.hpp"
#include "daemon/base/log.hpp"
#include "storage/model/problem.hpp"

namespace rocksdb {
class FileSystem;
}

namespace plumbline::storage {

struct VerifyReport {
  std::vector<model::Problem> problems;  // empty: the directory is sound
  std::vector<std::string> notes;        // what the next start puts right by itself
  bool salvageable = false;              // salvage() takes it: it is no backup, and no restore into it is left unended
  std::uint64_t tables = 0;              // RocksDB's
  std::uint64_t series = 0;
  std::uint64_t segments = 0;
  std::uint64_t samples = 0;  // in segments
  std::uint64_t tiers = 0;    // files of downsampled days
  std::uint64_t blocks = 0;   // of events
  std::uint64_t rows = 0;     // in them
  std::uint64_t journal_files = 0;
  std::uint64_t records = 0;  // that a start would replay
};

// Reads everything in a data directory, or in a backup, and changes nothing: checksums, that all of it decodes, that the lists
// and the files agree. Blocks: minutes for a large directory. `file_system` null: the plain one.
// Fails: conflict (a daemon has it open), not_found (no data directory), unsupported (a newer format), io.
Result<VerifyReport> verify(const std::string& directory, std::shared_ptr<rocksdb::FileSystem> file_system, Log& log);

struct SalvageReport {
  std::vector<model::Problem> found;  // as verify() names them; empty: the directory was sound and is as it was
  std::vector<model::Problem> lost;   // what of it could not be read
  std::vector<model::Problem> taken;  // files that no list names any more and that are kept, as the list may have lost them
  std::vector<model::Problem> tiers;  // files of downsampled days whose samples are lost: they stand for them from now on
  std::string ended;                  // the folder of an earlier salvage that was interrupted and that this call ended; empty: none
  std::string kept;                   // the folder of the directory that the damaged files are in; empty: none
  std::vector<std::string> moved;     // which, below the directory
  VerifyReport after;
};
// What was done to which file, one line each, as damaged-<n>/REPORT has it.
std::vector<std::string> lines_of(const SalvageReport& report);

// Repairs a damaged data directory: what reads is written into new files, then the damaged ones are moved into a folder damaged-<n>
// and the new ones into their places. Nothing is removed. Needs room for a copy of what is damaged; sound tables are linked.
// Ended at any moment, it leaves the directory as it was, or with a file SALVAGING, on which no daemon starts and which the next
// call goes on from. A salvaged directory is sound, so that another call does nothing. Blocks: as verify(), and for the copy.
// Whatever it cannot read for another reason than damage stops it: a folder of segments that is not mounted must not become a
// list without them. Fails: conflict (a daemon has it open; a backup; a restore into it did not end), not_found, unsupported (another
// format), unavailable (the disk is full; a part is on another disk), corrupt (SALVAGING), io (what is not mounted or may not be read).
Result<SalvageReport> salvage(const std::string& directory, std::shared_ptr<rocksdb::FileSystem> file_system, Log& log);

// Names of the folders damaged-<n> of a directory, by number: what salvages moved away. Also while a daemon runs on it. Fails: io.
Result<std::vector<std::string>> damaged_folders(const std::string& directory, std::shared_ptr<rocksdb::FileSystem> file_system);

// Copies a backup into a directory that is empty or not there, and verifies the copy. Until that is done, and when it finds
// problems, a file RESTORING stands in the directory, on which no daemon starts.
// Fails: not_found (no whole backup), conflict (the directory is not empty), corrupt (files of the backup are missing or
// changed; nothing was copied), unavailable, io.
Result<VerifyReport> restore(const std::string& backup, const std::string& directory,
                             std::shared_ptr<rocksdb::FileSystem> file_system, Log& log);

}  // namespace plumbline::storage
