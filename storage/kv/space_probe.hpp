// A file system that answers "free space" by writing: RocksDB's recovery from a full disk asks for it before it tries, and a
// try that meets the full disk again makes the error final until a restart. The numbers of statvfs know nothing of quotas,
// reserved blocks or a tenant that is faster; a megabyte that was really written does.
#pragma once

#include <memory>
#include <string>

#include <rocksdb/file_system.h>

namespace plumbline::storage::kv {

// Threads: any. Blocks: on the disk.
class SpaceProbe final : public rocksdb::FileSystemWrapper {
 public:
  SpaceProbe(std::shared_ptr<rocksdb::FileSystem> target, std::string directory)
      : FileSystemWrapper(std::move(target)), directory_(std::move(directory)) {}
  const char* Name() const override { return "SpaceProbe"; }
  rocksdb::IOStatus GetFreeSpace(const std::string& path, const rocksdb::IOOptions& options, std::uint64_t* free,
                                 rocksdb::IODebugContext* context) override;
  // Writes, syncs and removes a megabyte.
  rocksdb::IOStatus probe();

 private:
  const std::string directory_;
};

}  // namespace plumbline::storage::kv
