// Drops sealed days: for each vshard and kind the ids of the days' blocks, their directory records, then the blocks, as
// whole ranges. A crash in between leaves nothing that a later run does not find again.
#pragma once

#include <cstdint>

#include "daemon/base/error.hpp"
#include "storage/events/keys.hpp"
#include "storage/kv/kv.hpp"

namespace plumbline::storage::events {

struct DropCounts {
  std::uint64_t blocks = 0;
  std::uint64_t ids = 0;
  std::uint64_t labels = 0;
};

// Drops every day before `keep_from`. Fails: as Kv does.
Result<DropCounts> drop_days_before(kv::Kv& kv, Day keep_from);

}  // namespace plumbline::storage::events
