// Deleting by selector and time, merging days, shorter retention for some series: against a naive model.
#include "store_fixture.hpp"

using namespace plumbline;
using namespace plumbline::test;

namespace {

constexpr std::int64_t hour = 3'600'000;
constexpr std::int64_t day = 24 * hour;

using Naive = std::map<Labels, std::map<std::int64_t, double>>;

Labels series_of(std::uint64_t i) {
  return Labels::of({{"__name__", "m"}, {"i", std::to_string(i)}, {"parity", i % 2 == 0 ? "even" : "odd"}});
}

// Every so often, for `days` days that end now.
void fill(StoreFixture& f, Naive& naive, std::mt19937_64& random, int days) {
  for (int step = 0; step < days * 24; ++step) {
    WriteBatch batch;
    for (std::uint64_t i = 0; i < 6; ++i) {
      const std::int64_t t = f.clock.now_ms() - static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(days * day));
      const double v = adversarial(random, 1);
      batch.series.push_back({series_of(i), {{t, v}}});
      naive[series_of(i)][t] = v;
    }
    REQUIRE(f.store->write(std::move(batch)));
    if (step % 20 == 19) REQUIRE(f.store->seal());
  }
}

void check(const StoreFixture& f, const Naive& naive) {
  for (const auto& [labels, samples] : naive) {
    std::vector<Sample> expected;
    for (const auto& [t, v] : samples) expected.push_back({t, v});
    REQUIRE(read_all(*f.store, labels) == expected);
  }
}

}  // namespace

TEST_CASE("what is deleted is gone, and nothing else, also after restarts and with later writes") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 4; ++round) {
    StoreFixture f;
    f.open();
    Naive naive;
    fill(f, naive, random, 4);
    for (int n = 0; n < 4; ++n) {
      const std::int64_t from = f.clock.now_ms() - static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(4 * day));
      const model::TimeRange range{from, from + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(day))};
      const std::string parity = random() % 2 == 0 ? "even" : "odd";
      REQUIRE(f.store->erase({{Matcher::equal("parity", parity)}}, range));
      for (auto& [labels, samples] : naive)
        if (labels.get("parity") == parity) std::erase_if(samples, [&](const auto& s) { return range.contains(s.first); });
      check(f, naive);
      fill(f, naive, random, 1);
      check(f, naive);
      if (random() % 2 == 0) f.lose_process();
      check(f, naive);
    }
    f.reopen();
    check(f, naive);
  }
}

TEST_CASE("the segments of a day that has ended are merged into one, with the same answers") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  StoreFixture f;
  f.open();
  Naive naive;
  fill(f, naive, random, 3);
  REQUIRE(f.store->seal());
  const auto files = [&] {
    std::map<std::string, int> by_day;
    for (const auto& file : std::filesystem::directory_iterator(f.options.path + "/segments"))
      ++by_day[file.path().filename().string().substr(0, 8)];
    return by_day;
  };
  int most = 0;
  for (const auto& [name, count] : files()) most = std::max(most, count);
  REQUIRE(most > 1);
  f.clock.advance(std::chrono::hours(26));
  for (int i = 0; i < 10; ++i) REQUIRE(f.store->maintain());
  for (const auto& [name, count] : files()) CHECK(count == 1);
  check(f, naive);
  f.lose_process();
  check(f, naive);
}

TEST_CASE("some series are kept for a shorter time") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  StoreFixture f;
  f.options.retention_overrides.push_back({{Matcher::equal("parity", "odd")}, std::chrono::hours(48)});
  f.open();
  Naive naive;
  fill(f, naive, random, 5);
  REQUIRE(f.store->seal());
  // Retention believes the clock when it has agreed with the steady one for ten minutes.
  for (int i = 0; i < 3; ++i) {
    REQUIRE(f.store->maintain());
    f.clock.advance(std::chrono::minutes(6));
  }
  REQUIRE(f.store->maintain());
  const std::int64_t cutoff = (f.clock.now_ms() - 48 * hour) / day * day;
  for (auto& [labels, samples] : naive)
    if (labels.get("parity") == "odd") std::erase_if(samples, [&](const auto& s) { return s.first < cutoff; });
  check(f, naive);
}
