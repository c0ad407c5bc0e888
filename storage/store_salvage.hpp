// The moves at the end of a salvage, as a file says them. Internal to the store.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/error.hpp"
#include "storage/kv/file_tree.hpp"

namespace plumbline::storage {

inline constexpr std::string_view salvage_staging = "salvage-new";  // the new files, until they are moved
inline constexpr std::string_view kept_prefix = "damaged-";         // and a number: the folder of the damaged files

// From and to, below the data directory: first the damaged files out of their places, then new ones into them.
using Moves = std::vector<std::pair<std::string, std::string>>;
// Below the directory, without control characters, and out of the new files or into a damaged-<n>. Fails: corrupt
Status check_move(const std::string& from, const std::string& to);
std::string encode_moves(const Moves& moves);
Result<Moves> decode_moves(std::string_view text);  // Fails: corrupt
std::string kept_of(const Moves& moves);            // the damaged-<n> of them

// What the file SALVAGING says. Fails: corrupt, io.
Result<Moves> read_moves(const std::string& directory, const std::shared_ptr<rocksdb::FileSystem>& file_system);
// Whether a new file can be renamed into this folder of the directory, which may be a mount or a link to another disk.
// Fails: unavailable (it cannot).
Status probe_moves(const std::string& directory, const std::string& part, const std::shared_ptr<rocksdb::FileSystem>& file_system);
// Does what it says, and removes it and what is left of the new files. Some moves may be done already.
Status finish_moves(const std::string& directory, const std::shared_ptr<rocksdb::FileSystem>& file_system);

}  // namespace plumbline::storage
