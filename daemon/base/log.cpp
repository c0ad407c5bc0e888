#include "daemon/base/log.hpp"

#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "daemon/base/text.hpp"

namespace plumbline {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return spdlog::level::debug;
    case LogLevel::info: return spdlog::level::info;
    case LogLevel::warn: return spdlog::level::warn;
    case LogLevel::error: return spdlog::level::err;
  }
  return spdlog::level::info;
}

// logfmt quotes what would not read back as one word; control characters never reach the terminal.
void append_value(std::string& out, std::string_view value) {
  bool plain = !value.empty();
  for (const char c : value)
    if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) plain = false;
  if (plain) {
    out += value;
    return;
  }
  out += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

class StderrLog final : public Log {
 public:
  explicit StderrLog(LogLevel lowest) : logger_("plumbline", std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
    // The journal stamps lines itself and reads <N> as the priority (sd-daemon(3)).
    to_journal_ = std::getenv("JOURNAL_STREAM") != nullptr;
    logger_.set_pattern(to_journal_ ? "%v" : "time=%Y-%m-%dT%H:%M:%S.%eZ level=%l %v",
                        spdlog::pattern_time_type::utc);
    logger_.set_level(to_spdlog(lowest));
    logger_.flush_on(spdlog::level::trace);
  }

  void write(LogLevel level, std::string_view message, LogFields fields) override {
    const spdlog::level::level_enum at = to_spdlog(level);
    if (!logger_.should_log(at)) return;
    std::string line;
    if (to_journal_) {
      static constexpr std::string_view priorities[] = {"<7>", "<6>", "<4>", "<3>"};
      line += priorities[static_cast<int>(level)];
    }
    line += "msg=";
    append_value(line, message);
    for (const LogField& f : fields) {
      line += ' ';
      line += f.key;
      line += '=';
      append_value(line, f.value);
    }
    logger_.log(at, "{}", line);
  }

 private:
  spdlog::logger logger_;
  bool to_journal_ = false;
};

class NullLog final : public Log {
 public:
  void write(LogLevel, std::string_view, LogFields) override {}
};

}  // namespace

LogField::LogField(std::string_view k, double v) : key(k), value(format_number(v)) {}

std::unique_ptr<Log> make_stderr_log(LogLevel lowest) { return std::make_unique<StderrLog>(lowest); }
std::unique_ptr<Log> make_null_log() { return std::make_unique<NullLog>(); }

}  // namespace plumbline
