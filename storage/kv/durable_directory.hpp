// Directories that a power cut does not take along with everything in them.
#pragma once

#include <string>

#include <rocksdb/file_system.h>

namespace plumbline::storage::kv {

// Makes the names in `directory` durable.
rocksdb::IOStatus sync_directory(rocksdb::FileSystem& file_system, const std::string& directory);
// Makes `path` if it is not there, and its name in the parent durable. The parent must be there.
rocksdb::IOStatus make_durable_directory(rocksdb::FileSystem& file_system, const std::string& path);

}  // namespace plumbline::storage::kv
