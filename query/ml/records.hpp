// Reading stored inference records: one scan of a model's window, filter applied, only the columns that are needed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "query/ml/filter.hpp"
#include "query/query.hpp"

namespace plumbline::query::ml {

inline constexpr std::uint64_t window_values_max = 64'000'000;  // numbers held by one request: 512 MiB

struct Records {
  std::string model;
  Window window;
  std::vector<std::string> columns;
};

// Gives a note for each column that the filter names and none of the window's records has: a misspelt name looks like a window without
// records otherwise. No notes when the window has none.
// Fails: invalid_input (an empty or reversed window, the filter), what the reader says, and what `visit` says.
// `visit(block, row)` is called for each row that passes; `on_block` (may be empty) before the rows of a block.
using RowVisitor = std::function<Status(const storage::RowBlock& block, std::size_t row)>;
using BlockStart = std::function<void(const storage::RowBlock& block)>;
Result<std::vector<std::string>> scan_records(const storage::Reader& reader, const Records& what, const BlockStart& on_block,
                                              const RowVisitor& visit);

}  // namespace plumbline::query::ml
