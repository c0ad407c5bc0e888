#include "daemon/base/clock.hpp"

namespace plumbline {

std::int64_t SystemClock::now_ns() const {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Steady SystemClock::steady() const { return std::chrono::steady_clock::now(); }

}  // namespace plumbline
