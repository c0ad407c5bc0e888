#include "storage/kv/durable_directory.hpp"

#include <filesystem>
#include <memory>

namespace plumbline::storage::kv {

rocksdb::IOStatus make_durable_directory(rocksdb::FileSystem& file_system, const std::string& path) {
  rocksdb::IOStatus status = file_system.CreateDirIfMissing(path, {}, nullptr);
  if (!status.ok()) return status;
  const std::string parent = std::filesystem::path(path).parent_path().string();
  std::unique_ptr<rocksdb::FSDirectory> handle;
  // Also when it was there: whoever made it may have been killed before this.
  status = file_system.NewDirectory(parent.empty() ? "." : parent, {}, &handle, nullptr);
  if (status.ok()) status = handle->Fsync({}, nullptr);
  return status;
}

}  // namespace plumbline::storage::kv
