// Turns a frozen head into the puts that seal it: blocks, their directory records and ids, late labels.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "storage/events/head.hpp"
#include "storage/events/keys.hpp"
#include "storage/kv/kv.hpp"

namespace plumbline::storage::events {

struct SealCounts {
  std::uint64_t blocks = 0;
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
};

// What finds a block by the values of that field, when it is one of ids.
void put_ids(const BlockKey& key, std::string_view field, std::span<const model::Value> values, kv::Batch& out);

// The same head gives the same puts, so that a seal whose commit failed may be tried again.
SealCounts seal_head(const Head& head, kv::Batch& out);

}  // namespace plumbline::storage::events
