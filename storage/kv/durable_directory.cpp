#include "storage/kv/durable_directory.hpp"

#include <filesystem>
#include <memory>

namespace plumbline::storage::kv {

rocksdb::IOStatus sync_directory(rocksdb::FileSystem& file_system, const std::string& directory) {
  std::unique_ptr<rocksdb::FSDirectory> handle;
  rocksdb::IOStatus status = file_system.NewDirectory(directory, {}, &handle, nullptr);
  if (status.ok()) status = handle->Fsync({}, nullptr);
  return status;
}

rocksdb::IOStatus make_durable_directory(rocksdb::FileSystem& file_system, const std::string& path) {
  const rocksdb::IOStatus status = file_system.CreateDirIfMissing(path, {}, nullptr);
  if (!status.ok()) return status;
  const std::string parent = std::filesystem::path(path).parent_path().string();
  // Also when it was there: whoever made it may have been killed before this.
  return sync_directory(file_system, parent.empty() ? "." : parent);
}

}  // namespace plumbline::storage::kv
