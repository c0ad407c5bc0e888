// A look at a journal that changes nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"
#include "storage/model/problem.hpp"

namespace rocksdb {
class FileSystem;
}

namespace plumbline::storage::journal {

struct Findings {
  std::vector<model::Problem> problems;
  std::vector<std::string> notes;  // what the next start puts right by itself
  std::uint64_t files = 0;
  std::uint64_t records = 0;  // above `after`
};
// Judges every file as a start with the trim position `after` would, and goes on behind damage. What `visit` fails with is a
// problem of that record. `directory` is named in problems as `name`. Fails: io.
using VerifyVisit = std::function<Status(std::uint64_t sequence, std::string_view record)>;
Result<Findings> verify(const std::string& directory, const std::string& name, std::shared_ptr<rocksdb::FileSystem> file_system,
                        std::uint64_t after, const VerifyVisit& visit);

}  // namespace plumbline::storage::journal
