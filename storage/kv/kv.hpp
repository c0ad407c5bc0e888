// The one home of RocksDB: column families, atomic batches, ordered scans, the injected FileSystem and our own info_log.
//
// Every key of every family except `journal` and `state` starts [format u8][tenant u32 BE][vshard u16 BE] (key_prefix()).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/error.hpp"
#include "daemon/base/log.hpp"
#include "daemon/base/meters.hpp"

namespace rocksdb {
class FileSystem;
}

namespace plumbline::storage::kv {

enum class Family { meta, journal, series, postings, chunks, events, event_ids, labels, state };
inline constexpr int family_count = 9;

inline constexpr std::uint8_t key_format = 1;
inline constexpr std::uint32_t tenant_default = 0;
inline constexpr std::uint32_t vshards = 256;  // for ever: fingerprint % vshards
std::string key_prefix(std::uint16_t vshard, std::uint32_t tenant = tenant_default);
inline constexpr std::size_t key_prefix_bytes = 7;

// Writes that become visible and durable together.
class Batch {
 public:
  Batch();
  ~Batch();
  Batch(Batch&&) noexcept;
  Batch& operator=(Batch&&) noexcept;
  void put(Family family, std::string_view key, std::string_view value);
  void remove(Family family, std::string_view key);
  void remove_range(Family family, std::string_view from, std::string_view to);  // [from, to)
  std::size_t bytes() const;
  bool empty() const { return bytes() == 0; }

 private:
  friend class Kv;
  friend class RocksKv;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct Options {
  std::string path;
  std::uint64_t block_cache_bytes = 64ull << 20;
  std::shared_ptr<rocksdb::FileSystem> file_system;  // null: the plain one
  std::chrono::milliseconds retry_pause{1000};       // after a refused write, until one writer asks the disk again
  bool read_only = false;                            // nothing in the directory changes, and its lock is not taken
};

enum class Sync { no, yes };

// Walks one family in key order over the state at its creation; cheaper than a scan() per key when many short ranges are
// read, because it is opened once. Views are valid until the next move. Threads: one at a time.
class Cursor {
 public:
  virtual ~Cursor() = default;
  virtual void seek(std::string_view key) = 0;  // to the first key >= key
  virtual void next() = 0;
  virtual bool valid() const = 0;  // false at the end and after an error
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
  virtual Status status() const = 0;
};

// Threads: any. Blocks: on disk.
// Fails: unavailable (disk full or broken; writes resume by themselves when RocksDB recovers), corrupt, io.
class Kv {
 public:
  virtual ~Kv() = default;
  static Result<std::unique_ptr<Kv>> open(Options options, Log& log, Registry& registry);
  virtual Status write(Batch batch, Sync sync) = 0;
  virtual Status sync_journal() = 0;  // makes every earlier write durable against power loss
  virtual Result<std::optional<std::string>> get(Family family, std::string_view key) const = 0;
  // Keys in [from, to), in order (descending when reverse); `to` empty means to the end. False stops.
  using Visitor = std::function<bool(std::string_view key, std::string_view value)>;
  virtual Status scan(Family family, std::string_view from, std::string_view to, const Visitor& visit,
                      bool reverse = false) const = 0;
  // By default a walk in pages of scan().
  virtual std::unique_ptr<Cursor> cursor(Family family) const;
  // Drops whole files inside [from, to), then the rest by a range tombstone.
  virtual Status drop_range(Family family, std::string_view from, std::string_view to) = 0;
  // Many keys at once, ascending, past the WAL and the memtables: `fill` puts them into a file that joins the family as a
  // whole and is durable when this returns. Nothing happens when it fails or puts nothing. By default one batch.
  using Put = std::function<Status(std::string_view key, std::string_view value)>;
  virtual Status ingest(Family family, const std::function<Status(const Put&)>& fill);
  virtual Status flush() = 0;
  virtual std::uint64_t disk_bytes() const = 0;
  // Bytes given to the disk since the opening. By default none.
  struct Written {
    std::uint64_t log = 0;
    std::uint64_t flushed = 0;
    std::uint64_t compacted = 0;
  };
  virtual Written written_bytes() const { return {}; }
  // The database as it is now, in a directory that is there and empty: its files linked, what still grows copied; nothing is
  // flushed. Durable but for the names in the directory. By default: unsupported.
  virtual Status checkpoint(const std::string& directory);
  virtual Status close() = 0;
};

}  // namespace plumbline::storage::kv
