// Time is injected: nothing below daemon/ calls the system clock itself.
#pragma once

#include <chrono>
#include <cstdint>

namespace plumbline {

using Millis = std::chrono::milliseconds;
using Steady = std::chrono::steady_clock::time_point;

// Threads: any. Blocks: never.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::int64_t now_ns() const = 0;  // Unix time; may jump in either direction
  virtual Steady steady() const = 0;        // for durations and deadlines; never jumps
  std::int64_t now_ms() const { return now_ns() / 1'000'000; }
};

class SystemClock final : public Clock {
 public:
  std::int64_t now_ns() const override;
  Steady steady() const override;
};

}  // namespace plumbline
