// A look at every sealed row and late label that changes nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/events/keys.hpp"
#include "storage/kv/kv.hpp"
#include "storage/model/problem.hpp"

namespace plumbline::storage::events {

struct Findings {
  std::vector<model::Problem> problems;
  std::vector<std::string> notes;
  std::uint64_t blocks = 0;
  std::uint64_t rows = 0;
  std::uint64_t labels = 0;
};
// Decodes a whole block, compares it with its key and adds its rows. Nothing else of the rows is compared. Fails: corrupt, unsupported.
Status check_block(const BlockKey& key, std::string_view bytes, std::uint64_t& rows);
// Decodes every block, every directory record and every late label, and compares blocks with directories. Fails: what scans do.
Result<Findings> verify(const kv::Kv& kv);

}  // namespace plumbline::storage::events
