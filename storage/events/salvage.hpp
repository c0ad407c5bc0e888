// Makes the families of events agree with themselves again.
#pragma once

#include <cstdint>
#include <vector>

#include "daemon/base/error.hpp"
#include "storage/kv/kv.hpp"
#include "storage/model/problem.hpp"

namespace plumbline::storage::events {

struct Salvaged {
  std::vector<model::Problem> lost;
  std::uint64_t last_seal = 0;  // of all blocks
};
// In a database that is a copy: blocks, id keys and late labels that do not decode go, directories and the ids of rows are made
// of the blocks that do. A block that retention was about to drop is listed again, and retention drops it.
// Memory: a few hundred bytes per block. Fails: what scans and writes fail with.
Result<Salvaged> salvage(kv::Kv& kv);

}  // namespace plumbline::storage::events
