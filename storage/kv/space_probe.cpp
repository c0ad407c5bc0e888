#include "storage/kv/space_probe.hpp"

namespace plumbline::storage::kv {

rocksdb::IOStatus SpaceProbe::probe() {
  const std::string name = directory_ + "/space.probe";
  const std::string megabyte(1 << 20, 'p');
  std::unique_ptr<rocksdb::FSWritableFile> file;
  rocksdb::IOStatus status = target()->NewWritableFile(name, rocksdb::FileOptions(), &file, nullptr);
  if (!status.ok()) return status;
  status = file->Append(megabyte, rocksdb::IOOptions(), nullptr);
  if (status.ok()) status = file->Sync(rocksdb::IOOptions(), nullptr);
  const rocksdb::IOStatus closed = file->Close(rocksdb::IOOptions(), nullptr);
  file.reset();
  const rocksdb::IOStatus removed = target()->DeleteFile(name, rocksdb::IOOptions(), nullptr);
  return !status.ok() ? status : !closed.ok() ? closed : removed;
}

rocksdb::IOStatus SpaceProbe::GetFreeSpace(const std::string& path, const rocksdb::IOOptions& options,
                                           std::uint64_t* free, rocksdb::IODebugContext* context) {
  rocksdb::IOStatus status = target()->GetFreeSpace(path, options, free, context);
  if (status.ok() && !probe().ok()) *free = 0;
  return status;
}

}  // namespace plumbline::storage::kv
