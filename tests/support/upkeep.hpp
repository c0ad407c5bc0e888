// Upkeep of a store whose clock a test moves.
#pragma once

#include <chrono>

#include <catch2/catch.hpp>

#include "tests/support/support.hpp"

namespace plumbline::test {

// Upkeep until there is nothing more to do.
inline void settle(storage::Store& store, Registry& registry) {
  const auto written = [&] { return registry.counter("plumbline_store_tier_files_total", "").value(); };
  for (int i = 0; i < 30; ++i) {
    const auto before = written();
    REQUIRE(store.maintain());
    if (i > 5 && written() == before) return;
  }
  FAIL("upkeep does not end");
}

inline void pass_days(storage::Store& store, Registry& registry, ManualClock& clock, int days) {
  clock.advance(std::chrono::hours(24 * days));
  REQUIRE(store.maintain());
  clock.advance(std::chrono::minutes(11));  // a clock that jumped is believed after ten minutes
  settle(store, registry);
}

}  // namespace plumbline::test
