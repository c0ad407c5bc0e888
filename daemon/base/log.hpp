// Structured log lines: lowercase message, values as fields: log.warn("scrape failed", {{"target", url}, {"error", e}}).
// One line of logfmt on stderr each, with journald's <N> priority prefix when stderr is the journal.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace plumbline {

enum class LogLevel { debug, info, warn, error };

struct LogField {
  std::string_view key;
  std::string value;
  LogField(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  template <class T>
    requires std::is_integral_v<T>
  LogField(std::string_view k, T v) : key(k), value(std::to_string(v)) {}
  LogField(std::string_view k, double v);
};
using LogFields = std::initializer_list<LogField>;

// Threads: any. Blocks: on stderr only.
class Log {
 public:
  virtual ~Log() = default;
  virtual void write(LogLevel level, std::string_view message, LogFields fields) = 0;
  void debug(std::string_view m, LogFields f = {}) { write(LogLevel::debug, m, f); }
  void info(std::string_view m, LogFields f = {}) { write(LogLevel::info, m, f); }
  void warn(std::string_view m, LogFields f = {}) { write(LogLevel::warn, m, f); }
  void error(std::string_view m, LogFields f = {}) { write(LogLevel::error, m, f); }
};

std::unique_ptr<Log> make_stderr_log(LogLevel lowest);
std::unique_ptr<Log> make_null_log();

}  // namespace plumbline
