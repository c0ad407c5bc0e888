#include "daemon/runtime/notify.hpp"

#include <algorithm>
#include <cstdint>
#include <string>

#include <systemd/sd-daemon.h>
#include <time.h>

namespace plumbline::runtime {
namespace {

void tell(const std::string& state) { ::sd_notify(0, state.c_str()); }

// A newline in a status would begin a message of its own.
std::string status_line(std::string_view status) {
  std::string line = "\nSTATUS=";
  for (const char c : status) line += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  return line;
}

}  // namespace

void notify_ready(std::string_view status) { tell("READY=1" + status_line(status)); }

void notify_reloading() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);  // systemd compares it with its own monotonic clock
  const auto us = static_cast<long long>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1000;
  tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(us));
}

void notify_stopping(std::string_view status) { tell("STOPPING=1" + status_line(status)); }
void notify_status(std::string_view status) { tell(status_line(status).substr(1)); }

void notify_extend_timeout(Millis by, std::string_view status) {
  tell("EXTEND_TIMEOUT_USEC=" + std::to_string(by.count() * 1000) + status_line(status));
}

void notify_watchdog() { tell("WATCHDOG=1"); }

std::optional<Millis> watchdog_interval() {
  std::uint64_t us = 0;
  if (::sd_watchdog_enabled(0, &us) <= 0 || us == 0) return std::nullopt;
  return Millis(static_cast<std::int64_t>(std::max<std::uint64_t>(us / 2000, 1)));
}

}  // namespace plumbline::runtime
