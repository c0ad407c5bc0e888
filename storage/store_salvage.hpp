// The moves at the end of a salvage, as a file says them. Internal to the store.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/error.hpp"
#include "storage/kv/file_tree.hpp"

namespace plumbline::storage {

inline constexpr std::string_view salvage_staging = "salvage-new";  // the new files, until they are moved

// From and to, below the data directory: first the damaged files out of their places, then new ones into them.
using Moves = std::vector<std::pair<std::string, std::string>>;
std::string encode_moves(const Moves& moves);
Result<Moves> decode_moves(std::string_view text);  // Fails: corrupt

// Does what the file SALVAGING says, and removes it and what is left of the new files. Some moves may be done already.
Status finish_moves(const std::string& directory, const std::shared_ptr<rocksdb::FileSystem>& file_system);

}  // namespace plumbline::storage
