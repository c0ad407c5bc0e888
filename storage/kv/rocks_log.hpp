// RocksDB's info_log as lines of our Log. Debian's RocksDB keeps its asserts: when its own LOG file cannot be written
// because the disk is full, the process aborts; with a logger of ours no LOG file exists.
#pragma once

#include <string>

#include <rocksdb/env.h>

#include "daemon/base/log.hpp"
#include "daemon/base/mutex.hpp"

namespace plumbline::storage::kv {

// Threads: any. Borrows: log.
class RocksLog final : public rocksdb::Logger {
 public:
  explicit RocksLog(Log& log) : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL), log_(log) {}
  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override;
  void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) override;
  void LogHeader(const char*, va_list) override {}  // a page of option values at every open

  // The last "dropping N bytes" line: RocksDB's status alone does not name the damaged file.
  std::string last_damage() const;

 private:
  Log& log_;
  mutable Mutex mutex_;
  std::string damage_ PLUMBLINE_GUARDED_BY(mutex_);
};

}  // namespace plumbline::storage::kv
