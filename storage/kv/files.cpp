#include "storage/kv/files.hpp"

#include <sys/mman.h>

#include <algorithm>

#include <rocksdb/file_system.h>

#include "storage/kv/durable_directory.hpp"
#include "storage/kv/kill_point.hpp"
#include "storage/kv/space_probe.hpp"

namespace plumbline::storage::kv {

namespace {

using rocksdb::FileOptions;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

constexpr std::string_view half_written = ".new";  // how the name of a file ends that replace() writes

std::unexpected<Error> refused(const IOStatus& status, const std::string& path) {
  return fail(Code::unavailable, (status.IsNoSpace() ? "the data disk is full: " : "the data disk refuses writes: ") + path +
                                     ": " + status.ToString());
}

// Where the kernel leaves the choice to the process, memory for a large file comes in pages of 2 MiB: 16,000 page faults less for a journal
// file, and its bytes are found without as many misses of the TLB. Only advice: whatever comes of it is right. What malloc gives of 32 MiB
// and more is a mapping of its own, with which the advice goes away; smaller memory may be used for other things later.
void ask_for_huge_pages(const std::string& memory) {
  constexpr std::uintptr_t huge_page = 2u << 20, mapping_min = 32u << 20;
  if (memory.capacity() < mapping_min) return;
  const auto from = (reinterpret_cast<std::uintptr_t>(memory.data()) + huge_page - 1) / huge_page * huge_page;
  const auto to = (reinterpret_cast<std::uintptr_t>(memory.data()) + memory.capacity()) / huge_page * huge_page;
  if (from < to) (void)::madvise(reinterpret_cast<void*>(from), to - from, MADV_HUGEPAGE);
}

class RocksAppendFile final : public AppendFile {
 public:
  RocksAppendFile(std::unique_ptr<rocksdb::FSWritableFile> file, std::string path)
      : file_(std::move(file)), path_(std::move(path)) {}
  ~RocksAppendFile() override { (void)file_->Close(IOOptions(), nullptr); }
  // RocksDB's own file of the plain system writes straight through: no buffer of the process is between.
  Status append(std::string_view bytes) override {
    const IOStatus status = file_->Append({bytes.data(), bytes.size()}, IOOptions(), nullptr);
    if (!status.ok()) return refused(status, path_);
    return {};
  }
  Status sync() override {
    const IOStatus status = file_->Sync(IOOptions(), nullptr);
    if (!status.ok()) return refused(status, path_);
    return {};
  }

 private:
  std::unique_ptr<rocksdb::FSWritableFile> file_;
  std::string path_;
};

class RocksFiles final : public Files {
 public:
  RocksFiles(std::string directory, std::shared_ptr<rocksdb::FileSystem> file_system)
      : directory_(std::move(directory)), file_system_(std::move(file_system), directory_) {}

  Status start() {
    const IOStatus status = make_durable_directory(file_system_, directory_);
    if (!status.ok()) return fail(Code::io, "cannot create " + directory_ + ": " + status.ToString());
    std::vector<std::string> names;
    if (const IOStatus listed = file_system_.GetChildren(directory_, IOOptions(), &names, nullptr); !listed.ok())
      return fail(Code::io, directory_ + ": " + listed.ToString());
    for (const std::string& name : names)
      if (name.ends_with(half_written)) PLUMBLINE_CHECK_OK(remove(name));
    return {};
  }
  Result<std::unique_ptr<AppendFile>> create(const std::string& name) override {
    std::unique_ptr<rocksdb::FSWritableFile> file;
    IOStatus status = file_system_.NewWritableFile(path(name), FileOptions(), &file, nullptr);
    if (!status.ok()) return refused(status, path(name));
    kill_point("files.create.named");
    if (status = sync_directory(file_system_, directory_); !status.ok()) return refused(status, directory_);
    return std::make_unique<RocksAppendFile>(std::move(file), path(name));
  }
  Status sync(const std::string& name) override {
    std::unique_ptr<rocksdb::FSWritableFile> file;
    IOStatus status = file_system_.ReopenWritableFile(path(name), FileOptions(), &file, nullptr);
    if (status.ok()) status = file->Sync(IOOptions(), nullptr);
    if (status.ok()) status = file->Close(IOOptions(), nullptr);
    if (!status.ok()) return refused(status, path(name));
    return {};
  }
  Status replace(const std::string& name, std::string_view bytes) override {
    const std::string fresh = path(name) + std::string(half_written);
    std::unique_ptr<rocksdb::FSWritableFile> file;
    IOStatus status = file_system_.NewWritableFile(fresh, FileOptions(), &file, nullptr);
    if (status.ok()) status = file->Append({bytes.data(), bytes.size()}, IOOptions(), nullptr);
    if (status.ok()) status = file->Sync(IOOptions(), nullptr);
    if (status.ok()) status = file->Close(IOOptions(), nullptr);
    kill_point("files.replace.written");
    if (status.ok()) status = file_system_.RenameFile(fresh, path(name), IOOptions(), nullptr);
    kill_point("files.replace.renamed");
    if (status.ok()) status = sync_directory(file_system_, directory_);
    if (!status.ok()) return refused(status, path(name));
    return {};
  }
  using Files::read;
  Result<std::string> read(const std::string& name, std::uint64_t bytes_max) const override {
    std::unique_ptr<rocksdb::FSSequentialFile> file;
    IOStatus status = file_system_.NewSequentialFile(path(name), FileOptions(), &file, nullptr);
    std::uint64_t size = 0;
    if (status.ok()) status = file_system_.GetFileSize(path(name), IOOptions(), &size, nullptr);
    std::string out;
    // One read for a small file and a byte more, so that a short answer tells its end; large ones in pieces. Its memory at once and
    // without zeroes: a start reads 64 MiB at a time.
    if (status.ok()) {
      out.reserve(static_cast<std::size_t>(std::min(size, bytes_max)) + 1);
      ask_for_huge_pages(out);
    }
    while (status.ok()) {
      const std::size_t old = out.size();
      const std::uint64_t expected = old <= size ? size + 1 - old : 1 << 20;  // more than its size, as it grows meanwhile
      const auto piece = static_cast<std::size_t>(std::min({expected, std::uint64_t{1} << 20, bytes_max - old}));
      out.resize_and_overwrite(old + piece, [](char*, std::size_t n) { return n; });
      rocksdb::Slice got;
      status = file->Read(piece, IOOptions(), &got, out.data() + old, nullptr);
      if (!status.ok()) break;
      if (got.size() > 0 && got.data() != out.data() + old) std::copy_n(got.data(), got.size(), out.data() + old);
      out.resize(old + got.size());
      if (got.size() < piece || out.size() == bytes_max) return out;
    }
    return fail(Code::io, path(name) + ": " + status.ToString());
  }
  Result<std::vector<std::string>> list() const override {
    std::vector<std::string> names;
    const IOStatus status = file_system_.GetChildren(directory_, IOOptions(), &names, nullptr);
    if (!status.ok()) return fail(Code::io, directory_ + ": " + status.ToString());
    std::erase_if(names, [](const std::string& n) { return n == "." || n == ".."; });
    std::sort(names.begin(), names.end());
    return names;
  }
  Status remove(const std::string& name) override {
    const IOStatus status = file_system_.DeleteFile(path(name), IOOptions(), nullptr);
    if (status.ok() || status.IsNotFound() || status.IsPathNotFound()) return {};
    return fail(Code::io, path(name) + ": " + status.ToString());
  }
  Status probe() override {
    const IOStatus status = file_system_.probe();
    if (!status.ok()) return refused(status, directory_);
    return {};
  }

 private:
  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  const std::string directory_;
  mutable SpaceProbe file_system_;  // RocksDB's calls are not const
};

}  // namespace

Result<std::unique_ptr<Files>> Files::open(std::string directory, std::shared_ptr<rocksdb::FileSystem> file_system) {
  auto files = std::make_unique<RocksFiles>(std::move(directory),
                                            file_system ? std::move(file_system) : rocksdb::FileSystem::Default());
  PLUMBLINE_CHECK_OK(files->start());
  return files;
}
std::unique_ptr<Files> Files::read_only(std::string directory, std::shared_ptr<rocksdb::FileSystem> file_system) {
  return std::make_unique<RocksFiles>(std::move(directory), file_system ? std::move(file_system) : rocksdb::FileSystem::Default());
}

}  // namespace plumbline::storage::kv
