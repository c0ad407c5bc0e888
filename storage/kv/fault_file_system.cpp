#include "storage/kv/fault_file_system.hpp"

#include <map>
#include <string>

#include <rocksdb/file_system.h>

#include "daemon/base/mutex.hpp"

namespace plumbline::storage::kv {

namespace {
using rocksdb::FileOptions;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;
}  // namespace

struct FaultDisk::State {
  // What should happen to the operation that is about to run.
  IOStatus admit() {
    Lock lock(mutex);
    ++operations;
    if (full) return IOStatus::NoSpace("injected: no space left on device");
    if (fail_at != 0 && operations == fail_at) return IOStatus::IOError("injected: input/output error");
    return IOStatus::OK();
  }
  mutable Mutex mutex;
  bool full PLUMBLINE_GUARDED_BY(mutex) = false;
  std::uint64_t operations PLUMBLINE_GUARDED_BY(mutex) = 0;
  std::uint64_t fail_at PLUMBLINE_GUARDED_BY(mutex) = 0;
  std::map<std::string, std::uint64_t> synced PLUMBLINE_GUARDED_BY(mutex);  // bytes that a power cut leaves
};

namespace {

class FaultFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FaultFile(std::unique_ptr<FSWritableFile> file, std::shared_ptr<FaultDisk::State> state, std::string name)
      : FSWritableFileOwnerWrapper(std::move(file)), state_(std::move(state)), name_(std::move(name)) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* context) override {
    if (IOStatus status = state_->admit(); !status.ok()) return status;
    return target()->Append(data, options, context);
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo& info,
                  IODebugContext* context) override {
    if (IOStatus status = state_->admit(); !status.ok()) return status;
    return target()->Append(data, options, info, context);
  }
  IOStatus Allocate(std::uint64_t, std::uint64_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::OK();  // preallocated space would hide the true length from power_cut()
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* context) override {
    if (IOStatus status = state_->admit(); !status.ok()) return status;
    return remember(target()->Sync(options, context), options, context);
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* context) override {
    if (IOStatus status = state_->admit(); !status.ok()) return status;
    return remember(target()->Fsync(options, context), options, context);
  }

 private:
  IOStatus remember(IOStatus status, const IOOptions& options, IODebugContext* context) {
    if (status.ok()) {
      const std::uint64_t size = target()->GetFileSize(options, context);
      Lock lock(state_->mutex);
      state_->synced[name_] = size;
    }
    return status;
  }
  std::shared_ptr<FaultDisk::State> state_;
  std::string name_;
};

class FaultFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  explicit FaultFileSystem(std::shared_ptr<FaultDisk::State> state)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), state_(std::move(state)) {}
  const char* Name() const override { return "FaultFileSystem"; }

  IOStatus NewWritableFile(const std::string& name, const FileOptions& options,
                           std::unique_ptr<FSWritableFile>* result, IODebugContext* context) override {
    return opened(name, result, [&] { return target()->NewWritableFile(name, options, result, context); }, true);
  }
  IOStatus ReopenWritableFile(const std::string& name, const FileOptions& options,
                              std::unique_ptr<FSWritableFile>* result, IODebugContext* context) override {
    return opened(name, result, [&] { return target()->ReopenWritableFile(name, options, result, context); }, false);
  }
  IOStatus ReuseWritableFile(const std::string& name, const std::string& old_name, const FileOptions& options,
                             std::unique_ptr<FSWritableFile>* result, IODebugContext* context) override {
    return opened(
        name, result, [&] { return target()->ReuseWritableFile(name, old_name, options, result, context); }, true);
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* context) override {
    if (IOStatus status = state_->admit(); !status.ok()) return status;
    IOStatus status = target()->RenameFile(from, to, options, context);
    if (status.ok()) {
      Lock lock(state_->mutex);
      if (auto node = state_->synced.extract(from)) {
        state_->synced.erase(to);
        node.key() = to;
        state_->synced.insert(std::move(node));
      }
    }
    return status;
  }
  IOStatus DeleteFile(const std::string& name, const IOOptions& options, IODebugContext* context) override {
    IOStatus status = target()->DeleteFile(name, options, context);
    if (status.ok()) {
      Lock lock(state_->mutex);
      state_->synced.erase(name);
    }
    return status;
  }

 private:
  template <class Open>
  IOStatus opened(const std::string& name, std::unique_ptr<FSWritableFile>* result, Open open, bool fresh) {
    if (IOStatus status = state_->admit(); !status.ok()) return status;
    IOStatus status = open();
    if (!status.ok()) return status;
    {
      Lock lock(state_->mutex);
      if (fresh) state_->synced[name] = 0;
    }
    *result = std::make_unique<FaultFile>(std::move(*result), state_, name);
    return status;
  }
  std::shared_ptr<FaultDisk::State> state_;
};

}  // namespace

FaultDisk::FaultDisk() : state_(std::make_shared<State>()), file_system_(std::make_shared<FaultFileSystem>(state_)) {}
FaultDisk::~FaultDisk() = default;
std::shared_ptr<rocksdb::FileSystem> FaultDisk::file_system() const { return file_system_; }

void FaultDisk::fail_operation(std::uint64_t n) {
  Lock lock(state_->mutex);
  state_->fail_at = n == 0 ? 0 : state_->operations + n;
}
void FaultDisk::no_space(bool on) {
  Lock lock(state_->mutex);
  state_->full = on;
}
std::uint64_t FaultDisk::operations() const {
  Lock lock(state_->mutex);
  return state_->operations;
}

void FaultDisk::power_cut() {
  auto plain = rocksdb::FileSystem::Default();
  std::map<std::string, std::uint64_t> synced;
  {
    Lock lock(state_->mutex);
    synced.swap(state_->synced);
  }
  for (const auto& [name, size] : synced) {
    std::uint64_t now = 0;
    if (!plain->GetFileSize(name, {}, &now, nullptr).ok()) continue;  // removed by the database meanwhile
    const IOStatus status = size == 0   ? plain->DeleteFile(name, {}, nullptr)
                            : size < now ? plain->Truncate(name, size, {}, nullptr)
                                         : IOStatus::OK();
    if (!status.ok()) {
      Lock lock(state_->mutex);
      state_->synced[name] = size;  // still owed: the next power_cut() tries again
    }
  }
}

}  // namespace plumbline::storage::kv
