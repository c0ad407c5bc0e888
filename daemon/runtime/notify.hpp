// What the daemon tells systemd. Every call is a no-op when the process was not started by it.
#pragma once

#include <optional>
#include <string_view>

#include "daemon/base/clock.hpp"

namespace plumbline::runtime {

// Threads: any. Blocks: never (one datagram). Fails: silently by contract; systemd not listening is no error of ours.
void notify_ready(std::string_view status);
// systemd 252 knows no Type=notify-reload: RELOADING=1 with the monotonic time, then notify_ready() when done.
void notify_reloading();
void notify_stopping(std::string_view status);
void notify_status(std::string_view status);
// Asks for more start-up time: journal replay may take longer than TimeoutStartSec.
void notify_extend_timeout(Millis by, std::string_view status);
void notify_watchdog();
// How often notify_watchdog() must be called: half of WatchdogSec; nullopt when the unit has none.
std::optional<Millis> watchdog_interval();

}  // namespace plumbline::runtime
