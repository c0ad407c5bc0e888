#include "storage/kv/fault_disk_state.hpp"

#include <algorithm>
#include <cstring>

namespace plumbline::storage::kv {

using rocksdb::IOStatus;

namespace {

IOStatus not_found(const std::string& path) { return IOStatus::NotFound(path, "No such file or directory"); }

}  // namespace

FaultDisk::State::State(std::uint64_t seed) : random(seed) {
  Lock lock(mutex);
  directories[std::string(root)];
}

void FaultDisk::State::Directory::apply(Names& names, const Change& c) {
  if (!c.removed.empty()) names.erase(c.removed);
  if (!c.added.empty()) names[c.added] = c.file;
}
void FaultDisk::State::Directory::change(Change c) {
  apply(now, c);
  pending.push_back(std::move(c));
}

std::pair<FaultDisk::State::Directory*, std::string> FaultDisk::State::place(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {nullptr, path};
  const auto directory = directories.find(path.substr(0, slash));
  return {directory == directories.end() ? nullptr : &directory->second, path.substr(slash + 1)};
}
FaultDisk::State::FilePtr* FaultDisk::State::find(const std::string& path) {
  const auto [directory, name] = place(path);
  if (directory == nullptr) return nullptr;
  const auto entry = directory->now.find(name);
  return entry == directory->now.end() ? nullptr : &entry->second;
}

IOStatus FaultDisk::State::running(Process p, const std::string& path) const {
  if (p != process) return IOStatus::IOError(path, "injected: the process that asks has ended");
  return IOStatus::OK();
}

template <class Half>
IOStatus FaultDisk::State::admit(Process p, const std::string& path, const Half& half) {
  if (IOStatus status = running(p, path); !status.ok()) return status;
  ++operations;
  if (cut_at != 0 && operations == cut_at) {
    half();
    end(true);
    return running(p, path);
  }
  if (full) {
    half();
    return IOStatus::NoSpace(path, "injected: no space left on device");
  }
  if (fail_at != 0 && operations == fail_at) {
    half();
    return IOStatus::IOError(path, "injected: input/output error");
  }
  return IOStatus::OK();
}
IOStatus FaultDisk::State::admit(Process p, const std::string& path) {
  return admit(p, path, [] {});
}
IOStatus FaultDisk::State::admit_read(Process p, const std::string& path) {
  if (IOStatus status = running(p, path); !status.ok()) return status;
  ++reads;
  if (fail_read_at != 0 && reads == fail_read_at) return IOStatus::IOError(path, "injected: input/output error");
  return IOStatus::OK();
}

IOStatus FaultDisk::State::create(Process p, const std::string& path, bool truncate, FilePtr* out) {
  Lock lock(mutex);
  FilePtr* known = find(path);
  const bool fresh = truncate || known == nullptr;
  if (IOStatus status = fresh ? admit(p, path) : running(p, path); !status.ok()) return status;
  const auto [directory, name] = place(path);
  if (directory == nullptr) return not_found(path);
  if (known != nullptr && *known == nullptr) return IOStatus::IOError(path, "Is a directory");
  if (fresh) directory->change({"", name, std::make_shared<File>()});
  *out = directory->now[name];
  return IOStatus::OK();
}

IOStatus FaultDisk::State::append(Process p, const std::string& path, File& file, std::string_view data) {
  Lock lock(mutex);
  IOStatus status = admit(p, path, [&]() PLUMBLINE_NO_THREAD_SAFETY_ANALYSIS { file.bytes += data.substr(0, up_to(data.size())); });
  if (!status.ok()) return status;
  const std::uint64_t fits = std::min<std::uint64_t>(room(), data.size());
  file.bytes += data.substr(0, static_cast<std::size_t>(fits));
  return fits == data.size() ? status : IOStatus::NoSpace(path, "injected: no space left on device");
}

std::uint64_t FaultDisk::State::used() const {
  std::set<const File*> files;
  for (const auto& [path, directory] : directories)
    for (const auto& [name, file] : directory.now)
      if (file) files.insert(file.get());
  std::uint64_t total = 0;
  for (const File* file : files) total += file->bytes.size();
  return total;
}
std::uint64_t FaultDisk::State::room() const {
  if (capacity == 0) return std::uint64_t{1} << 40;
  return capacity - std::min(capacity, used());
}

IOStatus FaultDisk::State::sync(Process p, const std::string& path, File& file) {
  Lock lock(mutex);
  // As the kernel does it: pages that could not be written are clean from now on.
  const auto forget = [&] {
    if (file.synced < file.bytes.size()) file.lost.emplace_back(file.synced, file.bytes.size());
    file.synced = file.bytes.size();
  };
  const bool cuts = cut_at != 0 && operations + 1 == cut_at;
  IOStatus status = admit(p, path, [&] {
    if (!cuts) forget();
  });
  if (status.ok()) file.synced = file.bytes.size();
  return status;
}

IOStatus FaultDisk::State::truncate(Process p, const std::string& path, File& file, std::size_t size) {
  Lock lock(mutex);
  IOStatus status = admit(p, path);
  if (status.ok()) {
    file.bytes.resize(size);
    file.synced = std::min(file.synced, size);
  }
  return status;
}

IOStatus FaultDisk::State::sync_directory(Process p, const std::string& path) {
  Lock lock(mutex);
  if (IOStatus status = admit(p, path); !status.ok()) return status;
  const auto directory = directories.find(path);
  if (directory == directories.end()) return not_found(path);
  directory->second.durable = directory->second.now;
  directory->second.pending.clear();
  std::erase_if(renamed, [&](const auto& entry) { return entry.first.substr(0, entry.first.rfind('/')) == path; });
  return IOStatus::OK();
}

IOStatus FaultDisk::State::make_directory(Process p, const std::string& path, bool may_exist) {
  Lock lock(mutex);
  const bool there = directories.contains(path);
  if (there && may_exist) return running(p, path);
  if (IOStatus status = admit(p, path); !status.ok()) return status;
  if (there) return IOStatus::IOError(path, "File exists");
  const auto [directory, name] = place(path);
  if (directory == nullptr) return not_found(path);
  directory->change({"", name, nullptr});
  directories[path];
  return IOStatus::OK();
}

IOStatus FaultDisk::State::rename(Process p, const std::string& from, const std::string& to) {
  Lock lock(mutex);
  if (IOStatus status = admit(p, from); !status.ok()) return status;
  const auto [directory, name] = place(from);
  const auto [target, new_name] = place(to);
  if (directory != target) return IOStatus::NotSupported(from, "a rename to another directory");
  FilePtr* file = find(from);
  if (file == nullptr) return not_found(from);
  const bool is_directory = *file == nullptr;
  if (is_directory && find(to) != nullptr) return IOStatus::IOError(to, "File exists");
  directory->change({name, new_name, *file});
  if (is_directory) move(from, to);
  return IOStatus::OK();
}

void FaultDisk::State::move(const std::string& from, const std::string& to) {
  std::map<std::string, Directory> moved;
  for (auto& [path, directory] : directories)
    if (path == from || path.starts_with(from + "/")) moved[to + path.substr(from.size())] = std::move(directory);
  std::erase_if(directories, [&](const auto& entry) { return entry.first == from || entry.first.starts_with(from + "/"); });
  directories.merge(moved);
  renamed[to] = from;
}

IOStatus FaultDisk::State::link(Process p, const std::string& from, const std::string& to) {
  Lock lock(mutex);
  if (IOStatus status = admit(p, to); !status.ok()) return status;
  FilePtr* file = find(from);
  const auto [target, name] = place(to);
  if (file == nullptr || target == nullptr) return not_found(from);
  target->change({"", name, *file});
  return IOStatus::OK();
}

IOStatus FaultDisk::State::remove(Process p, const std::string& path, bool directory) {
  Lock lock(mutex);
  FilePtr* file = find(path);
  if (file == nullptr || (*file == nullptr) != directory) {
    IOStatus status = running(p, path);
    return status.ok() ? not_found(path) : status;
  }
  // A full disk removes; only an I/O error keeps a name.
  const bool was_full = std::exchange(full, false);
  IOStatus status = admit(p, path);
  full = was_full;
  if (!status.ok()) return status;
  const auto [parent, name] = place(path);
  if (directory) {
    if (!directories[path].now.empty()) return IOStatus::IOError(path, "Directory not empty");
    directories.erase(path);
  }
  parent->change({name, "", nullptr});
  return IOStatus::OK();
}

IOStatus FaultDisk::State::open(Process p, const std::string& path, FilePtr* out) {
  Lock lock(mutex);
  if (IOStatus status = admit_read(p, path); !status.ok()) return status;
  FilePtr* file = find(path);
  if (file == nullptr) return not_found(path);
  if (*file == nullptr) return IOStatus::IOError(path, "Is a directory");
  *out = *file;
  return IOStatus::OK();
}

IOStatus FaultDisk::State::read(Process p, const std::string& path, const File& file, std::uint64_t offset, std::size_t n,
                                char* out, std::size_t* got) {
  Lock lock(mutex);
  if (IOStatus status = admit_read(p, path); !status.ok()) return status;
  *got = offset >= file.bytes.size() ? 0 : std::min(n, file.bytes.size() - static_cast<std::size_t>(offset));
  if (*got > 0) std::memcpy(out, file.bytes.data() + offset, *got);
  return IOStatus::OK();
}

IOStatus FaultDisk::State::size(Process p, const std::string& path, std::uint64_t* out) {
  Lock lock(mutex);
  if (IOStatus status = running(p, path); !status.ok()) return status;
  FilePtr* file = find(path);
  if (file == nullptr || *file == nullptr) return not_found(path);
  *out = (*file)->bytes.size();
  return IOStatus::OK();
}

IOStatus FaultDisk::State::exists(Process p, const std::string& path, bool* directory) {
  Lock lock(mutex);
  if (IOStatus status = running(p, path); !status.ok()) return status;
  const bool is_directory = directories.contains(path);
  if (!is_directory && find(path) == nullptr) return not_found(path);
  if (directory != nullptr) *directory = is_directory;
  return IOStatus::OK();
}

IOStatus FaultDisk::State::list(Process p, const std::string& path, std::vector<std::string>* out) {
  Lock lock(mutex);
  if (IOStatus status = running(p, path); !status.ok()) return status;
  const auto directory = directories.find(path);
  if (directory == directories.end()) return not_found(path);
  out->clear();
  for (const auto& [name, file] : directory->second.now) out->push_back(name);
  return IOStatus::OK();
}

IOStatus FaultDisk::State::lock(Process p, const std::string& path) {
  Lock lock(mutex);
  if (IOStatus status = running(p, path); !status.ok()) return status;
  if (!locks.insert(path).second) return IOStatus::IOError("lock " + path, "Resource temporarily unavailable");
  return IOStatus::OK();
}
IOStatus FaultDisk::State::unlock(Process p, const std::string& path) {
  Lock lock(mutex);
  if (IOStatus status = running(p, path); !status.ok()) return status;
  locks.erase(path);
  return IOStatus::OK();
}

IOStatus FaultDisk::State::alive(Process p) {
  Lock lock(mutex);
  return running(p, "");
}
FaultDisk::State::Process FaultDisk::State::current() const {
  Lock lock(mutex);
  return process;
}
void FaultDisk::State::end_process(bool power_lost) {
  Lock lock(mutex);
  end(power_lost);
}

void FaultDisk::State::end(bool power_lost) {
  ++process;
  ++ended;
  locks.clear();
  cut_at = 0;
  if (power_lost) lose_power();
}

void FaultDisk::State::lose_power() {
  std::map<std::string, Directory> left;
  std::map<FilePtr, FilePtr> files;  // a file with two names stays one
  const auto after_cut = [&](const FilePtr& file) PLUMBLINE_NO_THREAD_SAFETY_ANALYSIS {
    FilePtr& out = files[file];
    if (out) return out;
    out = std::make_shared<File>();
    const std::size_t kept = file->synced + (random() % 2 == 0 ? 0 : up_to(file->bytes.size() - file->synced));
    out->bytes = file->bytes.substr(0, kept);
    // A kernel writes sectors in an order of its own.
    constexpr std::size_t sector = 512;
    if (random() % 2 == 0)
      for (std::size_t at = file->synced; at < kept;) {
        const std::size_t end = std::min(kept, at / sector * sector + sector);
        if (random() % 3 == 0) std::fill(out->bytes.begin() + static_cast<std::ptrdiff_t>(at), out->bytes.begin() + static_cast<std::ptrdiff_t>(end), '\0');
        at = end;
      }
    for (const auto& [from, to] : file->lost)
      if (from < kept) std::fill_n(out->bytes.begin() + static_cast<std::ptrdiff_t>(from), std::min(to, kept) - from, '\0');
    out->synced = kept;
    return out;
  };
  // Parents come before what is in them: a directory whose name is lost takes all of it along.
  std::map<std::string, std::string> undone;  // renames of directories: where their contents are again
  for (auto& [now, directory] : directories) {
    std::string path = now;
    for (const auto& [to, from] : undone)
      if (path.starts_with(to + "/")) path = from + path.substr(to.size());
    if (const auto rename = renamed.find(now); rename != renamed.end()) {
      const std::string& from = rename->second;
      const auto parent = left.find(from.substr(0, from.rfind('/')));
      if (parent != left.end() && parent->second.now.contains(from.substr(from.rfind('/') + 1))) undone[now] = path = from;
    }
    if (path != root) {
      const std::size_t slash = path.rfind('/');
      const auto parent = left.find(path.substr(0, slash));
      if (parent == left.end() || !parent->second.now.contains(path.substr(slash + 1))) continue;
    }
    Names names = std::move(directory.durable);
    const std::size_t applied = random() % 2 == 0 ? 0 : up_to(directory.pending.size());
    for (std::size_t i = 0; i < applied; ++i) Directory::apply(names, directory.pending[i]);
    for (auto& [name, file] : names)
      if (file) file = after_cut(file);
    left[path] = {names, names, {}};
  }
  // A directory that was removed, and its removal undone, is empty.
  std::vector<std::string> emptied;
  for (const auto& [path, directory] : left)
    for (const auto& [name, file] : directory.now)
      if (!file && !left.contains(path + "/" + name)) emptied.push_back(path + "/" + name);
  for (const std::string& path : emptied) left[path];
  directories = std::move(left);
  renamed.clear();
}

}  // namespace plumbline::storage::kv
