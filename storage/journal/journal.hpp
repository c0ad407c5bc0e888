// The journal: records in the order in which they were acknowledged, in append-only files of some 64 MiB.
//
// A record is in the kernel when append() returns (it survives kill -9) and on the disk when it was asked for (Sync::yes) or
// at the next sync(). Records are numbered from 1 without gaps, over files and restarts.
//
// A write that fails half way ends its file: the next file's header says how far the one before counts. So nothing is ever
// truncated, and a full disk leaves no half record behind.
//
// A sync that fails leaves the journal in doubt: what it had to make durable may be lost, and a later record could build on it.
// Nothing is appended then until a trim() that covers every record (the caller has them elsewhere) begins a file anew.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"
#include "daemon/base/log.hpp"
#include "daemon/base/meters.hpp"
#include "daemon/base/mutex.hpp"
#include "storage/journal/frame.hpp"
#include "storage/kv/files.hpp"

namespace plumbline::storage::journal {

enum class Sync { no, yes };

struct Options {
  std::string directory;
  std::shared_ptr<rocksdb::FileSystem> file_system;  // null: the plain one
  std::uint64_t file_bytes_max = 64ull << 20;        // small enough that trimming gives space back soon
  std::chrono::milliseconds retry_pause{1000};       // after a refused write, until one writer asks the disk again
};

// Threads: append, sync, in_doubt, bytes, last_sequence from any; replay once, before them; trim from one at a time beside them.
// Borrows: log, registry.
class Journal {
 public:
  // Fails: io.
  static Result<std::unique_ptr<Journal>> open(Options options, Log& log, Registry& registry);

  // Every record above `after`, in order; it is durable when this returns. What a crash tore off the end is cut, with a log
  // line. Files whose records are all at or below `after` are removed unread. Fails: corrupt (damage in
  // the middle, a missing file or record; names file and offset), unsupported, io, and what `visit` fails with.
  using Visit = std::function<Status(std::uint64_t sequence, std::string_view record)>;
  Status replay(std::uint64_t after, const Visit& visit) { return replay(after, visit, [] { return Status(); }); }
  // `visited` is called behind the last record and before anything is cut or written again: it fails for who finds only then
  // that the records are not what they should be.
  Status replay(std::uint64_t after, const Visit& visit, const std::function<Status()>& visited);

  // `framed` is frame_bytes of room and the record behind them. `applied(sequence)` runs when the record is in the kernel and
  // before the next one can be: what it shows is in the order of the journal.
  // Fails: unavailable (full or broken disk, or in doubt). Then nothing was appended and nothing applied; unless it was the
  // sync that failed: the record then is applied and may or may not survive.
  template <class Applied>
  Result<std::uint64_t> append(std::string& framed, Sync sync, const Applied& applied) {
    std::uint64_t sequence = 0;
    for (;;) {
      {
        Lock lock(mutex_);
        if (takes_appends()) {
          PLUMBLINE_CHECK_OK(append_locked(framed));
          sequence = last_.load(std::memory_order_relaxed);
          applied(sequence);
          break;
        }
      }
      PLUMBLINE_CHECK_OK(make_ready());
    }
    if (sync == Sync::yes) PLUMBLINE_CHECK_OK(sync_up_to(sequence));
    return sequence;
  }
  // Makes everything appended before the call durable.
  Status sync();
  // Removes the files whose records are all at or below `up_to`: the caller has them durably elsewhere. Ends a doubt when
  // these are all there are.
  Status trim(std::uint64_t up_to);

  // What a copy of the journal takes: every record whose append() has returned is in these, oldest first; so many bytes of
  // each count. No trim() may run until they are copied. A last file without a record is left out.
  struct Part {
    std::string name;
    std::uint64_t bytes = 0;
  };
  std::vector<Part> parts() const;
  bool in_doubt() const { return in_doubt_.load(std::memory_order_acquire); }
  std::uint64_t last_sequence() const { return last_.load(std::memory_order_acquire); }
  std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  struct File {
    std::string name;
    std::uint64_t first = 0;  // sequence
    std::uint64_t bytes = 0;  // as far as it counts
  };
  Journal(Options options, std::unique_ptr<kv::Files> files, Log& log, Registry& registry);
  bool takes_appends() const PLUMBLINE_REQUIRES(mutex_) { return current_ && !paused_ && end_ < options_.file_bytes_max; }
  Status append_locked(std::string& framed) PLUMBLINE_REQUIRES(mutex_);
  // A file is begun with no sync under way: one that fails afterwards would be of a file that the new one builds on.
  Status make_ready() PLUMBLINE_EXCLUDES(sync_mutex_, mutex_);
  enum class Begin { behind_the_last, anew };
  Status roll(Begin begin) PLUMBLINE_REQUIRES(sync_mutex_, mutex_);
  std::unexpected<Error> refuse(Error error) PLUMBLINE_REQUIRES(mutex_);
  std::unexpected<Error> doubt(Error error) PLUMBLINE_REQUIRES(mutex_);
  Status sync_up_to(std::uint64_t sequence);
  Status replay_file(std::size_t index, std::string_view bytes, std::uint64_t after, const Visit& visit) PLUMBLINE_REQUIRES(mutex_);
  // `newest`: the bytes of the last file, or as many as count.
  Status settle(std::uint64_t after, std::string_view newest) PLUMBLINE_REQUIRES(sync_mutex_, mutex_);

  const Options options_;
  const std::unique_ptr<kv::Files> files_;
  Log& log_;
  Counter& bytes_total_;
  Counter& records_total_;
  Counter& syncs_total_;
  Counter& failures_;
  Counter& torn_bytes_;
  Histogram& sync_seconds_;

  Mutex sync_mutex_;  // whoever holds it syncs for all who wait; taken before mutex_
  std::uint64_t durable_ PLUMBLINE_GUARDED_BY(sync_mutex_) = 0;  // sequence
  std::uint64_t lost_ PLUMBLINE_GUARDED_BY(sync_mutex_) = 0;     // up to here a sync failed: those who wait must be told

  mutable Mutex mutex_;
  std::vector<File> leaving_;  // trimmed and not removed yet, oldest first; trim()'s alone, which one thread at a time calls
  std::vector<File> list_ PLUMBLINE_GUARDED_BY(mutex_);  // oldest first; the last one takes appends
  std::shared_ptr<kv::AppendFile> current_ PLUMBLINE_GUARDED_BY(mutex_);  // null: the next append makes a new one
  std::uint64_t end_ PLUMBLINE_GUARDED_BY(mutex_) = 0;     // of the last file: as far as it counts
  std::uint64_t synced_ PLUMBLINE_GUARDED_BY(mutex_) = 0;  // of the last file: as far as it is durable
  bool paused_ PLUMBLINE_GUARDED_BY(mutex_) = false;       // after a refused write
  Error pause_error_ PLUMBLINE_GUARDED_BY(mutex_);
  std::chrono::steady_clock::time_point pause_until_ PLUMBLINE_GUARDED_BY(mutex_);
  std::atomic<bool> in_doubt_{false};  // set under mutex_; there is no current_ then
  std::atomic<std::uint64_t> last_{0};
  std::atomic<std::uint64_t> bytes_{0};
};

}  // namespace plumbline::storage::journal
