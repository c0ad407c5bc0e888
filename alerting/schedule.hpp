// When a unit of rules is evaluated: slots of its interval, shifted by a hash so that groups do not all wake
// at once.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace plumbline::alerting {

// hash(name, file) mod interval: the same on every machine, so two evaluations of one file give equal
// timestamps.
std::int64_t slot_offset_ms(std::string_view name, std::string_view file, std::int64_t interval_ms);
// The newest slot at or before now.
std::int64_t slot_at_ms(std::int64_t now_ms, std::int64_t interval_ms, std::int64_t offset_ms);

struct DueSlot {
  std::int64_t slot_ms = 0;
  std::uint64_t missed = 0;  // slots that passed unevaluated before this one
};

// Pure: one unit's place on the time line.
class Slots {
 public:
  // The first evaluation is at the first slot after now, as in Prometheus.
  Slots(std::int64_t interval_ms, std::int64_t offset_ms, std::int64_t now_ms);
  // The slot to evaluate now, if one has come; late slots are skipped and counted, never evaluated in a
  // burst. A wall clock that jumped back re-plans the next slot instead of standing still until it catches
  // up.
  std::optional<DueSlot> take(std::int64_t now_ms);
  std::int64_t next_ms() const { return next_ms_; }

 private:
  std::int64_t interval_ms_;
  std::int64_t offset_ms_;
  std::int64_t next_ms_;
};

}  // namespace plumbline::alerting
