#include "storage/kv/fault_file_system.hpp"

#include <string>

#include <rocksdb/file_system.h>

#include "daemon/base/check.hpp"
#include "storage/kv/fault_disk_state.hpp"
#include "storage/kv/slices.hpp"

namespace plumbline::storage::kv {

namespace {

using rocksdb::FileOptions;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;
using State = FaultDisk::State;

// Without doubled and trailing slashes.
std::string clean(const std::string& path) {
  std::string out;
  for (const char c : path)
    if (c != '/' || out.empty() || out.back() != '/') out += c;
  if (out.size() > 1 && out.back() == '/') out.pop_back();
  return out;
}

// What every open file has.
struct Handle {
  std::shared_ptr<State> state;
  State::Process process;
  std::string path;
  State::FilePtr file;

  IOStatus read(std::uint64_t offset, std::size_t n, Slice* result, char* scratch) const {
    std::size_t got = 0;
    const IOStatus status = state->read(process, path, *file, offset, n, scratch, &got);
    *result = Slice(scratch, status.ok() ? got : 0);
    return status;
  }
};

class WritableFile final : public FSWritableFile {
 public:
  explicit WritableFile(Handle handle) : h_(std::move(handle)) {}
  using FSWritableFile::Append;
  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    return h_.state->append(h_.process, h_.path, *h_.file, view(data));
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* context) override {
    return Append(data, options, context);
  }
  IOStatus Truncate(std::uint64_t size, const IOOptions&, IODebugContext*) override {
    return h_.state->truncate(h_.process, h_.path, *h_.file, size);
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return h_.state->alive(h_.process); }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return h_.state->alive(h_.process); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return h_.state->sync(h_.process, h_.path, *h_.file); }
  bool IsSyncThreadSafe() const override { return true; }
  std::uint64_t GetFileSize(const IOOptions&, IODebugContext*) override {
    Lock lock(h_.state->mutex);
    return h_.file->bytes.size();
  }

 private:
  const Handle h_;
};

class SequentialFile final : public rocksdb::FSSequentialFile {
 public:
  explicit SequentialFile(Handle handle) : h_(std::move(handle)) {}
  IOStatus Read(std::size_t n, const IOOptions&, Slice* result, char* scratch, IODebugContext*) override {
    const IOStatus status = h_.read(at_, n, result, scratch);
    at_ += result->size();
    return status;
  }
  IOStatus Skip(std::uint64_t n) override {
    at_ += n;
    return IOStatus::OK();
  }

 private:
  const Handle h_;
  std::uint64_t at_ = 0;
};

class RandomAccessFile final : public rocksdb::FSRandomAccessFile {
 public:
  explicit RandomAccessFile(Handle handle) : h_(std::move(handle)) {}
  IOStatus Read(std::uint64_t offset, std::size_t n, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    return h_.read(offset, n, result, scratch);
  }

 private:
  const Handle h_;
};

class DirectoryHandle final : public rocksdb::FSDirectory {
 public:
  DirectoryHandle(std::shared_ptr<State> state, State::Process process, std::string path)
      : state_(std::move(state)), process_(process), path_(std::move(path)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return state_->sync_directory(process_, path_); }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return state_->alive(process_); }

 private:
  const std::shared_ptr<State> state_;
  const State::Process process_;
  const std::string path_;
};

struct HeldLock final : rocksdb::FileLock {
  explicit HeldLock(std::string p) : path(std::move(p)) {}
  const std::string path;
};

class FaultFileSystem final : public rocksdb::FileSystem {
 public:
  FaultFileSystem(std::shared_ptr<State> state, State::Process process) : state_(std::move(state)), process_(process) {}
  const char* Name() const override { return "FaultFileSystem"; }

  IOStatus NewSequentialFile(const std::string& name, const FileOptions&,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result, IODebugContext*) override {
    return opened(name, result, [](Handle h) { return std::make_unique<SequentialFile>(std::move(h)); });
  }
  IOStatus NewRandomAccessFile(const std::string& name, const FileOptions&,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result, IODebugContext*) override {
    return opened(name, result, [](Handle h) { return std::make_unique<RandomAccessFile>(std::move(h)); });
  }
  IOStatus NewWritableFile(const std::string& name, const FileOptions&, std::unique_ptr<FSWritableFile>* result,
                           IODebugContext*) override {
    return created(name, true, result);
  }
  IOStatus ReopenWritableFile(const std::string& name, const FileOptions&, std::unique_ptr<FSWritableFile>* result,
                              IODebugContext*) override {
    return created(name, false, result);
  }
  IOStatus NewDirectory(const std::string& name, const IOOptions& options,
                        std::unique_ptr<rocksdb::FSDirectory>* result, IODebugContext* context) override {
    bool directory = false;
    if (IOStatus status = IsDirectory(name, options, &directory, context); !status.ok()) return status;
    if (!directory) return IOStatus::IOError(name, "Not a directory");
    *result = std::make_unique<DirectoryHandle>(state_, process_, clean(name));
    return IOStatus::OK();
  }
  IOStatus FileExists(const std::string& name, const IOOptions&, IODebugContext*) override {
    return state_->exists(process_, clean(name), nullptr);
  }
  IOStatus IsDirectory(const std::string& name, const IOOptions&, bool* directory, IODebugContext*) override {
    return state_->exists(process_, clean(name), directory);
  }
  IOStatus GetChildren(const std::string& name, const IOOptions&, std::vector<std::string>* result,
                       IODebugContext*) override {
    return state_->list(process_, clean(name), result);
  }
  IOStatus DeleteFile(const std::string& name, const IOOptions&, IODebugContext*) override {
    return state_->remove(process_, clean(name), false);
  }
  IOStatus DeleteDir(const std::string& name, const IOOptions&, IODebugContext*) override {
    return state_->remove(process_, clean(name), true);
  }
  IOStatus CreateDir(const std::string& name, const IOOptions&, IODebugContext*) override {
    return state_->make_directory(process_, clean(name), false);
  }
  IOStatus CreateDirIfMissing(const std::string& name, const IOOptions&, IODebugContext*) override {
    return state_->make_directory(process_, clean(name), true);
  }
  IOStatus GetFileSize(const std::string& name, const IOOptions&, std::uint64_t* size, IODebugContext*) override {
    return state_->size(process_, clean(name), size);
  }
  IOStatus GetFileModificationTime(const std::string& name, const IOOptions& options, std::uint64_t* time,
                                   IODebugContext* context) override {
    *time = 0;
    return FileExists(name, options, context);
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&, IODebugContext*) override {
    return state_->rename(process_, clean(from), clean(to));
  }
  IOStatus LinkFile(const std::string& from, const std::string& to, const IOOptions&, IODebugContext*) override {
    return state_->link(process_, clean(from), clean(to));
  }
  IOStatus LockFile(const std::string& name, const IOOptions&, rocksdb::FileLock** lock, IODebugContext*) override {
    const IOStatus status = state_->lock(process_, clean(name));
    if (status.ok()) *lock = new HeldLock(clean(name));
    return status;
  }
  IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) override {
    const std::unique_ptr<HeldLock> held(static_cast<HeldLock*>(lock));
    return state_->unlock(process_, held->path);
  }
  IOStatus GetTestDirectory(const IOOptions&, std::string* path, IODebugContext*) override {
    *path = FaultDisk::root;
    return IOStatus::OK();
  }
  IOStatus GetAbsolutePath(const std::string& path, const IOOptions&, std::string* result, IODebugContext*) override {
    *result = path;
    return IOStatus::OK();
  }
  IOStatus GetFreeSpace(const std::string&, const IOOptions&, std::uint64_t* free, IODebugContext*) override {
    Lock lock(state_->mutex);
    *free = state_->full ? 0 : state_->room();
    return IOStatus::OK();
  }

 private:
  template <class File, class Make>
  IOStatus opened(const std::string& name, std::unique_ptr<File>* result, const Make& make) {
    State::FilePtr file;
    const std::string path = clean(name);
    const IOStatus status = state_->open(process_, path, &file);
    if (status.ok()) *result = make(Handle{state_, process_, path, std::move(file)});
    return status;
  }
  IOStatus created(const std::string& name, bool truncate, std::unique_ptr<FSWritableFile>* result) {
    State::FilePtr file;
    const std::string path = clean(name);
    const IOStatus status = state_->create(process_, path, truncate, &file);
    if (status.ok()) *result = std::make_unique<WritableFile>(Handle{state_, process_, path, std::move(file)});
    return status;
  }
  const std::shared_ptr<State> state_;
  const State::Process process_;
};

}  // namespace

FaultDisk::FaultDisk(std::uint64_t seed) : state_(std::make_shared<State>(seed)) {}
FaultDisk::~FaultDisk() = default;

std::unique_ptr<FaultDisk> FaultDisk::copy(std::uint64_t seed) const {
  auto out = std::make_unique<FaultDisk>(seed);
  Lock lock(state_->mutex);
  Lock other(out->state_->mutex);
  std::map<State::FilePtr, State::FilePtr> files;
  for (const auto& [path, directory] : state_->directories) {
    State::Names names = directory.now;
    for (auto& [name, file] : names) {
      if (!file) continue;
      State::FilePtr& fresh = files[file];
      if (!fresh) fresh = std::make_shared<State::File>(State::File{file->bytes, file->bytes.size(), {}});
      file = fresh;
    }
    out->state_->directories[path] = {names, names, {}};
  }
  return out;
}

std::shared_ptr<rocksdb::FileSystem> FaultDisk::file_system() const {
  return std::make_shared<FaultFileSystem>(state_, state_->current());
}

void FaultDisk::fail_operation(std::uint64_t n) {
  Lock lock(state_->mutex);
  state_->fail_at = n == 0 ? 0 : state_->operations + n;
}
void FaultDisk::fail_read(std::uint64_t n) {
  Lock lock(state_->mutex);
  state_->fail_read_at = n == 0 ? 0 : state_->reads + n;
}
void FaultDisk::no_space(bool on) {
  Lock lock(state_->mutex);
  state_->full = on;
}
void FaultDisk::capacity(std::uint64_t bytes) {
  Lock lock(state_->mutex);
  state_->capacity = bytes;
}
std::uint64_t FaultDisk::used() const {
  Lock lock(state_->mutex);
  return state_->used();
}
std::uint64_t FaultDisk::operations() const {
  Lock lock(state_->mutex);
  return state_->operations;
}
std::uint64_t FaultDisk::reads() const {
  Lock lock(state_->mutex);
  return state_->reads;
}

void FaultDisk::power_cut() { state_->end_process(true); }
void FaultDisk::kill() { state_->end_process(false); }
void FaultDisk::power_cut_at(std::uint64_t n) {
  Lock lock(state_->mutex);
  state_->cut_at = n == 0 ? 0 : state_->operations + n;
}
std::uint64_t FaultDisk::ended() const {
  Lock lock(state_->mutex);
  return state_->ended;
}

std::vector<std::string> FaultDisk::files() const {
  Lock lock(state_->mutex);
  std::vector<std::string> out;
  for (const auto& [path, directory] : state_->directories)
    for (const auto& [name, file] : directory.now)
      if (file) out.push_back(path + "/" + name);
  return out;
}
std::string FaultDisk::contents(const std::string& path) const {
  Lock lock(state_->mutex);
  State::FilePtr* file = state_->find(path);
  PLUMBLINE_CHECK(file != nullptr && *file != nullptr, "a test asks for a file that is there");
  return (*file)->bytes;
}
void FaultDisk::put(const std::string& path, std::string bytes) {
  Lock lock(state_->mutex);
  const auto [directory, name] = state_->place(path);
  PLUMBLINE_CHECK(directory != nullptr, "a test puts a file into a directory that is there");
  const std::size_t size = bytes.size();
  const auto file = std::make_shared<State::File>(State::File{std::move(bytes), size, {}});
  directory->now[name] = directory->durable[name] = file;
}
void FaultDisk::remove(const std::string& path) {
  Lock lock(state_->mutex);
  const auto [directory, name] = state_->place(path);
  PLUMBLINE_CHECK(directory != nullptr, "a test removes a file from a directory that is there");
  directory->now.erase(name);
  directory->durable.erase(name);
}

}  // namespace plumbline::storage::kv
