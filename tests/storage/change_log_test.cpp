// What has changed since when: never less than what was noted, and not much more.
#include <algorithm>
#include <array>
#include <limits>
#include <random>
#include <vector>

#include <catch2/catch.hpp>

#include "storage/series/change_log.hpp"

using plumbline::storage::series::ChangeLog;

TEST_CASE("a change log misses nothing, and tells recent changes to the second", "[changes]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  static constexpr std::array<const char*, 3> metrics{"a", "b", "c"};
  struct Noted {
    std::int64_t t = 0;
    int metric = 0;  // -1: all
  };
  ChangeLog log;
  std::vector<Noted> noted;  // the n-th brought the log to moment n + 1
  constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
  std::size_t exact = 0, asked = 0;
  CHECK(log.since(0, "a") == never);
  for (std::int64_t i = 0; i < 20'000; ++i) {
    const int metric = static_cast<int>(random() % 4) - 1;
    const std::int64_t back = random() % 3 == 0 ? static_cast<std::int64_t>(random() % (random() % 50 == 0 ? 10'000'000 : 10'000)) : 0;
    const std::int64_t t = i * 700 - 3'000'000 - back;
    if (metric < 0)
      log.note(t);
    else
      log.note(metrics[static_cast<std::size_t>(metric)], t);
    noted.push_back({t, metric});
    REQUIRE(log.moment() == noted.size());
    if (i % 20 != 0) continue;
    const std::size_t moment = noted.size() - std::min<std::size_t>(noted.size(), random() % (random() % 2 == 0 ? 100 : 20'000));
    for (int m = 0; m < 3; ++m) {
      std::int64_t earliest = never;
      for (std::size_t n = moment; n < noted.size(); ++n)
        if (noted[n].metric < 0 || noted[n].metric == m) earliest = std::min(earliest, noted[n].t);
      const std::int64_t told = log.since(moment, metrics[static_cast<std::size_t>(m)]);
      INFO("moment " << moment << " of " << noted.size() << ", metric " << m);
      REQUIRE(told <= earliest);
      if (noted.size() - moment > 100) continue;
      ++asked;
      exact += earliest == never ? told == never : told > earliest - 1000;
    }
  }
  // Metrics may share a place in the table, and then one is told of another's.
  CHECK(exact > asked / 3);
  CHECK(asked > 1000);
  log.note(std::numeric_limits<std::int64_t>::min());
  CHECK(log.since(noted.size(), "z") == std::numeric_limits<std::int64_t>::min());
  CHECK(log.since(noted.size() + 1, "z") == never);
}
