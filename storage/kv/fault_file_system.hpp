// A disk that misbehaves on command, for tests: it lives in memory, fails the Nth operation, is full until told otherwise, and
// knows what a power cut leaves of it. It promises no more than POSIX does:
//   - bytes are durable when the file was synced after they were appended; a cut drops what is behind them, or tears it, or
//     leaves zeros in some of its sectors;
//   - a name (created, renamed, removed, linked) is durable when its directory was synced after it; a cut undoes what is not,
//     except for a random number of the oldest changes of each directory;
//   - a sync that fails loses its bytes for good: a later sync of the file succeeds and leaves zeros in their place.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace rocksdb {
class FileSystem;
}

namespace plumbline::storage::kv {

// Threads: any.
class FaultDisk {
 public:
  static constexpr std::string_view root = "/disk";  // the one directory a new disk has

  explicit FaultDisk(std::uint64_t seed = 1);
  ~FaultDisk();
  // Another disk with the files of this one; everything on it is durable. No process has it open.
  std::unique_ptr<FaultDisk> copy(std::uint64_t seed) const;

  // The view of the process that runs now. After power_cut() or kill() nothing that is asked of it succeeds any more, nor of
  // any file opened through it: the next process asks for a view of its own.
  std::shared_ptr<rocksdb::FileSystem> file_system() const;

  // The operation number `n` from now on (1 is the next) fails with an I/O error, once; an append leaves part of its bytes
  // behind. Counted are appends, syncs of files and directories, creations, renames, links and removals. 0 turns it off.
  void fail_operation(std::uint64_t n);
  // From now on the operation number `n` counted as above, or the `n`-th read, fails once.
  void fail_read(std::uint64_t n);
  void no_space(bool on);
  // So many bytes in files fit; what an append finds room for is written. 0: any number.
  void capacity(std::uint64_t bytes);
  std::uint64_t used() const;
  std::uint64_t operations() const;
  std::uint64_t reads() const;

  void power_cut();
  void power_cut_at(std::uint64_t n);  // before operation number `n` from now on is done; an append is torn. 0 turns it off
  void kill();                         // the process ends; the kernel keeps what it was given
  std::uint64_t ended() const;         // how many processes power_cut(), power_cut_at() and kill() have ended

  // For tests that damage files.
  std::vector<std::string> files() const;  // paths, sorted
  std::string contents(const std::string& path) const;
  void put(const std::string& path, std::string bytes);  // durable; in a directory that is there
  void remove(const std::string& path);

  struct State;

 private:
  const std::shared_ptr<State> state_;
};

}  // namespace plumbline::storage::kv
