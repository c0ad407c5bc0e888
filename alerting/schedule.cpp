#include "alerting/schedule.hpp"

#include <string>

#include "daemon/base/bytes.hpp"

namespace plumbline::alerting {

std::int64_t slot_offset_ms(std::string_view name, std::string_view file, std::int64_t interval_ms) {
  std::string key(file);
  key += '\0';
  key += name;
  return static_cast<std::int64_t>(hash64(key) % static_cast<std::uint64_t>(interval_ms));
}

std::int64_t slot_at_ms(std::int64_t now_ms, std::int64_t interval_ms, std::int64_t offset_ms) {
  std::int64_t into = (now_ms - offset_ms) % interval_ms;
  if (into < 0) into += interval_ms;
  return now_ms - into;
}

Slots::Slots(std::int64_t interval_ms, std::int64_t offset_ms, std::int64_t now_ms)
    : interval_ms_(interval_ms),
      offset_ms_(offset_ms),
      next_ms_(slot_at_ms(now_ms, interval_ms, offset_ms) + interval_ms) {}

std::optional<DueSlot> Slots::take(std::int64_t now_ms) {
  if (next_ms_ - now_ms > interval_ms_) {
    next_ms_ = slot_at_ms(now_ms, interval_ms_, offset_ms_) + interval_ms_;
    return std::nullopt;
  }
  if (now_ms < next_ms_) return std::nullopt;
  const std::int64_t slot = slot_at_ms(now_ms, interval_ms_, offset_ms_);
  const auto missed = static_cast<std::uint64_t>((slot - next_ms_) / interval_ms_);
  next_ms_ = slot + interval_ms_;
  return DueSlot{slot, missed};
}

}  // namespace plumbline::alerting
