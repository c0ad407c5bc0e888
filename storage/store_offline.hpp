// Parts of verify() that a salvage uses.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "storage/offline.hpp"
#include "storage/series/label_index.hpp"

namespace plumbline::storage {

// Fails: not_found: the directory is not one of ours.
Status check_data_directory(const std::string& directory, const std::shared_ptr<rocksdb::FileSystem>& file_system);
// verify() by who holds the directory's lock.
Result<VerifyReport> verify_locked(const std::string& directory, std::shared_ptr<rocksdb::FileSystem> file_system, Log& log);
// Whether a replay would take the record; the index learns the series that it defines. Fails: corrupt, unsupported.
Status check_record(std::string_view bytes, series::LabelIndex& index);

}  // namespace plumbline::storage
