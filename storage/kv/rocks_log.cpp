#include "storage/kv/rocks_log.hpp"

#include <cstdarg>
#include <cstdio>

namespace plumbline::storage::kv {

void RocksLog::Logv(const char* format, va_list arguments) {
  Logv(rocksdb::InfoLogLevel::INFO_LEVEL, format, arguments);
}

void RocksLog::Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) {
  if (level < rocksdb::InfoLogLevel::WARN_LEVEL || level > rocksdb::InfoLogLevel::FATAL_LEVEL) return;
  char text[1024];
  const int size = std::vsnprintf(text, sizeof text, format, arguments);
  if (size <= 0) return;
  const std::string line(text);
  if (line.find(": dropping ") != std::string::npos) {
    Lock lock(mutex_);
    damage_ = line;
  }
  if (level == rocksdb::InfoLogLevel::WARN_LEVEL)
    log_.warn("rocksdb", {{"text", line}});
  else
    log_.error("rocksdb", {{"text", line}});
}

std::string RocksLog::last_damage() const {
  Lock lock(mutex_);
  return damage_;
}

}  // namespace plumbline::storage::kv
