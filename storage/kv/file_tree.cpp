#include "storage/kv/file_tree.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <rocksdb/file_system.h>

#include "storage/kv/durable_directory.hpp"

namespace plumbline::storage::kv {

namespace {

using rocksdb::FileOptions;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

constexpr int levels_max = 8;  // a data directory has two; a loop of links has no end
constexpr std::size_t piece = 1 << 20;

bool absent(const IOStatus& status) { return status.IsNotFound() || status.IsPathNotFound(); }

std::unexpected<Error> unread(const IOStatus& status, const std::string& path) {
  return fail(absent(status) ? Code::not_found : Code::io, path + ": " + status.ToString());
}
Status written(const IOStatus& status, const std::string& path) {
  if (status.ok()) return {};
  return fail(Code::unavailable, path + (status.IsNoSpace() ? ": the disk is full: " : ": the disk refuses writes: ") + status.ToString());
}
// A link is removed or named as what it is: what it leads to is outside of the tree, and not ours to walk or to delete. RocksDB's
// FileSystem does not know links; on a disk that is none of the machine's there are none.
bool is_link(const std::string& path) {
  std::error_code none;
  return std::filesystem::is_symlink(std::filesystem::symlink_status(path, none));
}
std::string parent_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

}  // namespace

FileTree::FileTree(std::shared_ptr<rocksdb::FileSystem> file_system)
    : file_system_(file_system ? std::move(file_system) : rocksdb::FileSystem::Default()) {}

Result<bool> FileTree::exists(const std::string& path) const {
  const IOStatus status = file_system_->FileExists(path, IOOptions(), nullptr);
  if (!status.ok() && !absent(status)) return unread(status, path);
  return status.ok();
}

Result<std::uint64_t> FileTree::size(const std::string& path) const {
  std::uint64_t out = 0;
  if (const IOStatus status = file_system_->GetFileSize(path, IOOptions(), &out, nullptr); !status.ok()) return unread(status, path);
  return out;
}

Result<std::vector<std::string>> FileTree::list(const std::string& directory) const {
  std::vector<std::string> names;
  const IOStatus status = file_system_->GetChildren(directory, IOOptions(), &names, nullptr);
  if (absent(status)) {
    // RocksDB answers the same for a directory that may not be read.
    PLUMBLINE_TRY(const bool there, exists(directory));
    if (there) return fail(Code::io, directory + ": it is there and cannot be read: run this as the user that owns it");
    return std::vector<std::string>{};
  }
  if (!status.ok()) return unread(status, directory);
  std::erase_if(names, [](const std::string& n) { return n == "." || n == ".."; });
  std::ranges::sort(names);
  return names;
}

Result<std::vector<std::string>> FileTree::files(const std::string& directory) const {
  std::vector<std::string> out;
  std::vector<std::pair<std::string, int>> todo{{"", 0}};
  while (!todo.empty()) {
    const auto [below, level] = todo.back();
    todo.pop_back();
    if (level > levels_max) return fail(Code::io, directory + "/" + below + ": more than " + std::to_string(levels_max) + " levels of directories");
    PLUMBLINE_TRY(const auto names, list(below.empty() ? directory : directory + "/" + below));
    for (const std::string& name : names) {
      const std::string path = below.empty() ? name : below + "/" + name;
      if (is_link(directory + "/" + path)) {
        out.push_back(path);
        continue;
      }
      bool is_directory = false;
      const IOStatus status = file_system_->IsDirectory(directory + "/" + path, IOOptions(), &is_directory, nullptr);
      if (!status.ok()) return unread(status, directory + "/" + path);
      if (is_directory) todo.emplace_back(path, level + 1);
      else out.push_back(path);
    }
  }
  std::ranges::sort(out);
  return out;
}

Status FileTree::make(const std::string& directory) const {
  std::filesystem::path at;
  for (const auto& part : std::filesystem::path(directory)) {
    at /= part;
    if (at == "/" || file_system_->FileExists(at.string(), IOOptions(), nullptr).ok()) continue;
    PLUMBLINE_CHECK_OK(written(make_durable_directory(*file_system_, at.string()), at.string()));
  }
  return {};
}

Status FileTree::copy(const std::string& from, const std::string& to, std::optional<std::uint64_t> bytes) const {
  std::uint64_t left = 0;
  if (bytes) {
    left = *bytes;
  } else {
    PLUMBLINE_TRY(left, size(from));
  }
  std::unique_ptr<rocksdb::FSSequentialFile> in;
  if (const IOStatus status = file_system_->NewSequentialFile(from, FileOptions(), &in, nullptr); !status.ok()) return unread(status, from);
  std::unique_ptr<rocksdb::FSWritableFile> out;
  PLUMBLINE_CHECK_OK(written(file_system_->NewWritableFile(to, FileOptions(), &out, nullptr), to));
  std::string buffer(std::min<std::uint64_t>(left, piece), '\0');
  while (left > 0) {
    rocksdb::Slice got;
    const IOStatus status = in->Read(std::min<std::uint64_t>(left, piece), IOOptions(), &got, buffer.data(), nullptr);
    if (!status.ok()) return unread(status, from);
    if (got.empty()) return fail(Code::io, from + ": it ends " + std::to_string(left) + " bytes too early");
    PLUMBLINE_CHECK_OK(written(out->Append(got, IOOptions(), nullptr), to));
    left -= got.size();
  }
  IOStatus status = out->Sync(IOOptions(), nullptr);
  if (status.ok()) status = out->Close(IOOptions(), nullptr);
  return written(status, to);
}

Status FileTree::link(const std::string& from, const std::string& to) const {
  PLUMBLINE_CHECK_OK(written(file_system_->LinkFile(from, to, IOOptions(), nullptr), to));
  // Also a file that its owner has closed may have pages that no sync has seen.
  std::unique_ptr<rocksdb::FSWritableFile> file;
  IOStatus status = file_system_->ReopenWritableFile(to, FileOptions(), &file, nullptr);
  if (status.ok()) status = file->Sync(IOOptions(), nullptr);
  if (status.ok()) status = file->Close(IOOptions(), nullptr);
  return written(status, to);
}

Status FileTree::rename(const std::string& from, const std::string& to) const {
  PLUMBLINE_CHECK_OK(written(file_system_->RenameFile(from, to, IOOptions(), nullptr), to));
  PLUMBLINE_CHECK_OK(sync(parent_of(to)));
  return parent_of(from) == parent_of(to) ? Status{} : sync(parent_of(from));
}

Status FileTree::sync(const std::string& directory) const { return written(sync_directory(*file_system_, directory), directory); }

Status FileTree::remove(const std::string& directory) const {
  if (is_link(directory)) return remove_file(directory);
  PLUMBLINE_TRY(const bool there, exists(directory));
  if (!there) return {};
  PLUMBLINE_TRY(const auto all, files(directory));
  for (const std::string& file : all)
    PLUMBLINE_CHECK_OK(written(file_system_->DeleteFile(directory + "/" + file, IOOptions(), nullptr), directory + "/" + file));
  std::vector<std::string> folders{""};  // what is left, parents first
  for (std::size_t i = 0; i < folders.size(); ++i) {
    const std::string below = folders[i];
    PLUMBLINE_TRY(const auto names, list(directory + below));
    for (const std::string& name : names) folders.push_back(below + "/" + name);
  }
  for (auto folder = folders.rbegin(); folder != folders.rend(); ++folder)
    PLUMBLINE_CHECK_OK(written(file_system_->DeleteDir(directory + *folder, IOOptions(), nullptr), directory + *folder));
  return sync(parent_of(directory));
}

Status FileTree::remove_file(const std::string& path) const {
  const IOStatus status = file_system_->DeleteFile(path, IOOptions(), nullptr);
  if (!status.ok() && !absent(status)) return written(status, path);
  return sync(parent_of(path));
}

Result<DirectoryLock> DirectoryLock::take(const std::string& directory, std::shared_ptr<rocksdb::FileSystem> file_system) {
  PLUMBLINE_TRY(const bool there, FileTree(file_system).exists(directory + "/LOCK"));
  if (there) return hold(directory, std::move(file_system));
  return DirectoryLock(std::move(file_system), nullptr);
}
Result<DirectoryLock> DirectoryLock::hold(const std::string& directory, std::shared_ptr<rocksdb::FileSystem> file_system) {
  if (!file_system) file_system = rocksdb::FileSystem::Default();
  rocksdb::FileLock* lock = nullptr;
  if (const IOStatus status = file_system->LockFile(directory + "/LOCK", IOOptions(), &lock, nullptr); !status.ok())
    return fail(Code::conflict, directory + " is in use by a running daemon: stop it first, or look at a backup (" + status.ToString() + ")");
  return DirectoryLock(std::move(file_system), lock);
}
DirectoryLock::DirectoryLock(std::shared_ptr<rocksdb::FileSystem> file_system, rocksdb::FileLock* lock)
    : file_system_(std::move(file_system)), lock_(lock) {}
DirectoryLock::DirectoryLock(DirectoryLock&& other) noexcept
    : file_system_(std::move(other.file_system_)), lock_(std::exchange(other.lock_, nullptr)) {}
DirectoryLock::~DirectoryLock() {
  if (lock_ != nullptr) file_system_->UnlockFile(lock_, IOOptions(), nullptr).PermitUncheckedError();
}

}  // namespace plumbline::storage::kv
