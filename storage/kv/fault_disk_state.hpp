// What a FaultDisk knows: files, directories, and what of both is durable. The view of a process is in fault_file_system.cpp.
#pragma once

#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <rocksdb/io_status.h>

#include "daemon/base/mutex.hpp"
#include "storage/kv/fault_file_system.hpp"

namespace plumbline::storage::kv {

struct FaultDisk::State {
  using IOStatus = rocksdb::IOStatus;
  struct File {
    std::string bytes;
    std::size_t synced = 0;                                     // so many of them are durable,
    std::vector<std::pair<std::size_t, std::size_t>> lost;      // except for these: a sync of them failed
  };
  using FilePtr = std::shared_ptr<File>;
  // A process is one number; the files it opened carry it.
  using Process = std::uint64_t;

  explicit State(std::uint64_t seed);

  // Each counts as one operation. Fails: NotFound, NoSpace, IOError (injected, or the process has ended).
  IOStatus create(Process, const std::string& path, bool truncate, FilePtr* out);
  IOStatus append(Process, const std::string& path, File& file, std::string_view data);
  IOStatus sync(Process, const std::string& path, File& file);
  IOStatus sync_directory(Process, const std::string& path);
  IOStatus make_directory(Process, const std::string& path, bool may_exist);
  IOStatus rename(Process, const std::string& from, const std::string& to);
  IOStatus link(Process, const std::string& from, const std::string& to);
  IOStatus remove(Process, const std::string& path, bool directory);
  IOStatus truncate(Process, const std::string& path, File& file, std::size_t size);
  // These count as reads.
  IOStatus open(Process, const std::string& path, FilePtr* out);
  IOStatus read(Process, const std::string& path, const File& file, std::uint64_t offset, std::size_t n, char* out,
                std::size_t* got);
  // These do not.
  IOStatus size(Process, const std::string& path, std::uint64_t* out);
  IOStatus exists(Process, const std::string& path, bool* directory);
  IOStatus list(Process, const std::string& path, std::vector<std::string>* out);
  IOStatus lock(Process, const std::string& path);
  IOStatus unlock(Process, const std::string& path);
  IOStatus alive(Process process);

  void end_process(bool power_lost);
  Process current() const;

  mutable Mutex mutex;
  // A null file is a directory, which has an entry in `directories`.
  using Names = std::map<std::string, FilePtr>;
  struct Change {
    std::string removed;  // a name, or empty
    std::string added;
    FilePtr file;
  };
  struct Directory {
    Names now;
    Names durable;
    std::vector<Change> pending;  // what leads from durable to now
    void change(Change c);
    static void apply(Names& names, const Change& c);
  };
  std::map<std::string, Directory> directories PLUMBLINE_GUARDED_BY(mutex);
  std::map<std::string, std::string> renamed PLUMBLINE_GUARDED_BY(mutex);  // directories, new path to old; not durable yet
  std::mt19937_64 random PLUMBLINE_GUARDED_BY(mutex);
  Process process PLUMBLINE_GUARDED_BY(mutex) = 1;
  std::uint64_t ended PLUMBLINE_GUARDED_BY(mutex) = 0;
  std::set<std::string> locks PLUMBLINE_GUARDED_BY(mutex);
  bool full PLUMBLINE_GUARDED_BY(mutex) = false;
  std::uint64_t capacity PLUMBLINE_GUARDED_BY(mutex) = 0;
  std::uint64_t operations PLUMBLINE_GUARDED_BY(mutex) = 0;
  std::uint64_t reads PLUMBLINE_GUARDED_BY(mutex) = 0;
  std::uint64_t fail_at PLUMBLINE_GUARDED_BY(mutex) = 0;
  std::uint64_t fail_read_at PLUMBLINE_GUARDED_BY(mutex) = 0;
  std::uint64_t cut_at PLUMBLINE_GUARDED_BY(mutex) = 0;

  // The directory and the name in it; null: there is no such directory.
  std::pair<Directory*, std::string> place(const std::string& path) PLUMBLINE_REQUIRES(mutex);
  FilePtr* find(const std::string& path) PLUMBLINE_REQUIRES(mutex);
  // Counts an operation and says what becomes of it. `half` runs before a failure shows: what it does half of.
  template <class Half>
  IOStatus admit(Process p, const std::string& path, const Half& half) PLUMBLINE_REQUIRES(mutex);
  IOStatus admit(Process p, const std::string& path) PLUMBLINE_REQUIRES(mutex);
  IOStatus admit_read(Process p, const std::string& path) PLUMBLINE_REQUIRES(mutex);
  void move(const std::string& from, const std::string& to) PLUMBLINE_REQUIRES(mutex);
  std::uint64_t used() const PLUMBLINE_REQUIRES(mutex);
  std::uint64_t room() const PLUMBLINE_REQUIRES(mutex);
  IOStatus running(Process p, const std::string& path) const PLUMBLINE_REQUIRES(mutex);
  void end(bool power_lost) PLUMBLINE_REQUIRES(mutex);
  void lose_power() PLUMBLINE_REQUIRES(mutex);
  std::size_t up_to(std::size_t n) PLUMBLINE_REQUIRES(mutex) { return n == 0 ? 0 : random() % (n + 1); }
};

}  // namespace plumbline::storage::kv
