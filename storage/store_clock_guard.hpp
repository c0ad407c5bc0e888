// May retention believe the wall clock? A clock that jumps forward by a year would drop everything; nothing else in the
// store deletes by time. So a jump of the wall clock against the steady one suspends retention until both have agreed for
// ten minutes; the first ten minutes after start count as suspended too, because there is nothing to compare with yet.
#pragma once

#include <chrono>
#include <optional>

#include "daemon/base/clock.hpp"

namespace plumbline::storage {

// Threads: one (upkeep).
class ClockGuard {
 public:
  static constexpr std::chrono::minutes jump_max{60};
  static constexpr std::chrono::minutes agree_for{10};

  // True when deleting by this wall time is safe.
  bool trust(std::int64_t wall_ns, Steady steady) {
    const std::chrono::nanoseconds wall(wall_ns);
    if (!last_) {
      agreed_since_ = steady;
    } else {
      const auto drift = (wall - last_->wall) - (steady - last_->steady);
      if (drift > jump_max || drift < -jump_max) agreed_since_ = steady;
    }
    last_ = Pair{wall, steady};
    return steady - agreed_since_ >= agree_for;
  }

 private:
  struct Pair {
    std::chrono::nanoseconds wall;
    Steady steady;
  };
  std::optional<Pair> last_;
  Steady agreed_since_{};
};

}  // namespace plumbline::storage
