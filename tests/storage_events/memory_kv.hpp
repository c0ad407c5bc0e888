// A Kv in a map, for tests of the event engine: no RocksDB, so that the thread sanitizer sees every access, and stored bytes
// can be damaged at will.
#pragma once

#include <array>
#include <map>
#include <string>

#include "daemon/base/mutex.hpp"
#include "storage/kv/kv.hpp"

namespace plumbline::test {

class MemoryKv final : public storage::kv::Kv {
 public:
  using Family = storage::kv::Family;
  Status write(storage::kv::Batch batch, storage::kv::Sync sync) override;
  Status sync_journal() override { return {}; }
  Result<std::optional<std::string>> get(Family family, std::string_view key) const override;
  Status scan(Family family, std::string_view from, std::string_view to, const Visitor& visit,
              bool reverse = false) const override;
  Status drop_range(Family family, std::string_view from, std::string_view to) override;
  Status flush() override { return {}; }
  std::uint64_t disk_bytes() const override;
  Status close() override { return {}; }

  using Map = std::map<std::string, std::string, std::less<>>;
  Map copy(Family family) const;
  void replace(Family family, const std::string& key, std::string value);
  void fail_drops(bool fail) {
    Lock lock(mutex_);
    fail_drops_ = fail;
  }

 private:
  mutable Mutex mutex_;
  std::array<Map, storage::kv::family_count> families_ PLUMBLINE_GUARDED_BY(mutex_);
  bool fail_drops_ PLUMBLINE_GUARDED_BY(mutex_) = false;
};

}  // namespace plumbline::test
