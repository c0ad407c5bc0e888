// A damaged journal read past its damage, and a new one of what was read.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"
#include "storage/journal/frame.hpp"
#include "storage/kv/files.hpp"
#include "storage/model/problem.hpp"

namespace plumbline::storage::journal {

struct Salvaged {
  std::vector<model::Problem> lost;
  std::uint64_t records_lost = 0;  // above `after`, as far as the numbers of those that follow tell
  std::uint64_t oldest = 0;        // the first record of the oldest file, by its name; 0: there is no file
  std::uint64_t last = 0;          // the last record that was read; 0: none
};
using RecordVisit = std::function<Status(std::uint64_t sequence, std::string_view record)>;
// Visits every record that verifies, by ascending number, each once: also those behind damage, behind a damaged header and behind a
// file that is missing. Bytes that were never acknowledged, as the next file's header says, are passed over. `directory` is named
// in what is lost as `name`. Of a file whose bytes look like the beginnings of ever more records that are none the rest is given up.
// Blocks: on disk. Fails: unsupported (a newer version), io, and what `visit` fails with.
Result<Salvaged> salvage(const std::string& directory, const std::string& name, std::shared_ptr<rocksdb::FileSystem> file_system,
                         std::uint64_t after, const RecordVisit& visit);

// Writes a journal that begins behind a trim position. Threads: one. Fails: unavailable.
class Rewriter {
 public:
  Rewriter(kv::Files& files, std::uint64_t trimmed) : files_(files), last_(trimmed) {}
  Status append(std::string_view record);  // under the next number
  Status finish();                         // everything appended is durable

 private:
  Status begin();
  kv::Files& files_;
  std::uint64_t last_;
  std::unique_ptr<kv::AppendFile> file_;
  FileHeader header_;        // of the open file
  std::uint64_t bytes_ = 0;  // in it
  std::string framed_;
};

}  // namespace plumbline::storage::journal
