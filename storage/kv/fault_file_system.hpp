// A disk that misbehaves on command, for tests: fails the Nth write, answers "no space" until cleared, and forgets what was
// never synced (as a power cut does). It wraps the plain file system; reads always pass.
#pragma once

#include <cstdint>
#include <memory>

namespace rocksdb {
class FileSystem;
}

namespace plumbline::storage::kv {

// Threads: any.
class FaultDisk {
 public:
  FaultDisk();
  ~FaultDisk();
  std::shared_ptr<rocksdb::FileSystem> file_system() const;

  // The operation number `n` from now on (1 is the next) fails with an I/O error, once. Counted are appends, syncs,
  // creations and renames. 0 turns it off.
  void fail_operation(std::uint64_t n);
  void no_space(bool on);
  std::uint64_t operations() const;

  // Cuts every file to the length it had when it was last synced, and removes files that never were. To be called when no
  // store has the files open.
  void power_cut();

  struct State;

 private:
  std::shared_ptr<State> state_;
  std::shared_ptr<rocksdb::FileSystem> file_system_;
};

}  // namespace plumbline::storage::kv
