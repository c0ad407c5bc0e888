#include "storage/kv/kill_point.hpp"
#include "storage/store_clock_guard.hpp"
#include "store_fixture.hpp"

using namespace plumbline;
using namespace plumbline::test;
using std::chrono::hours;
using std::chrono::minutes;

namespace {

const Labels old_series = Labels::of({{"__name__", "old"}});
const Labels kept_series = Labels::of({{"__name__", "kept"}});

void start(StoreFixture& f) {
  f.options.retention_series = hours(24 * 3);
  f.options.retention_events = hours(24 * 3);
  f.open();
  REQUIRE(f.store->maintain());
  f.clock.advance(minutes(11));
  const std::int64_t now = f.clock.now_ms();
  REQUIRE(f.store->write(one_series(old_series, {{now, 1}})));
  REQUIRE(f.store->write(one_series(kept_series, {{now, 1}})));
  REQUIRE(f.store->seal());
}

}  // namespace

TEST_CASE("retention drops whole days, and series without days leave the index") {
  StoreFixture f;
  start(f);
  f.clock.advance(hours(24 * 3));
  REQUIRE(f.store->write(one_series(kept_series, {{f.clock.now_ms(), 2}})));
  REQUIRE(f.store->maintain());
  CHECK(read_all(*f.store, old_series).size() == 1);  // its day has not ended three days ago yet
  f.clock.advance(hours(25));
  REQUIRE(f.store->maintain());
  CHECK(read_all(*f.store, old_series).empty());
  CHECK(read_all(*f.store, kept_series).size() == 1);
  CHECK(f.store->stats().series_total == 1);
  CHECK(f.store->label_values("__name__", {}, {}).value() == std::vector<std::string>{"kept"});
  f.reopen();
  CHECK(f.store->stats().series_total == 1);
  CHECK(read_all(*f.store, old_series).empty());
  REQUIRE(f.store->write(one_series(old_series, {{f.clock.now_ms(), 9}})));
  CHECK(read_all(*f.store, old_series) == std::vector<Sample>{{f.clock.now_ms(), 9}});
}

TEST_CASE("a series that a failed commit forgot is defined again by who names it") {
  const bool power = GENERATE(false, true);
  StoreFixture f;
  storage::kv::FaultDisk disk;
  f.use(disk);
  f.options.journal_sync.policy = storage::SyncPolicy::always;
  start(f);
  f.clock.advance(hours(24 * 5));
  storage::kv::on_kill_point([&](std::string_view place) {
    if (place == "forget.before") disk.fail_operation(2);  // the sync of its log: what was written comes back with a restart
  });
  CHECK_FALSE(f.store->maintain());
  storage::kv::on_kill_point(nullptr);
  const Sample sample{f.clock.now_ms(), 2};
  REQUIRE(f.store->write(one_series(old_series, {sample})));
  REQUIRE(f.store->write(one_series(old_series, {{sample.t + 1, 3}})));
  power ? disk.power_cut() : disk.kill();
  f.store.reset();
  f.use(disk);
  f.open();
  CHECK(read_all(*f.store, old_series) == std::vector<Sample>{sample, {sample.t + 1, 3}});
  // What stayed of the other one goes with the next day that is dropped.
  REQUIRE(f.store->maintain());
  f.clock.advance(hours(24 * 5));
  REQUIRE(f.store->maintain());
  f.clock.advance(minutes(11));
  REQUIRE(f.store->maintain());
  CHECK(f.store->stats().series_total == 0);
}

TEST_CASE("a wall clock that jumps ahead deletes nothing until it has held for ten minutes") {
  StoreFixture f;
  start(f);
  f.clock.jump(hours(24 * 365));
  REQUIRE(f.store->maintain());
  CHECK(read_all(*f.store, old_series).size() == 1);
  f.clock.advance(minutes(9));
  REQUIRE(f.store->maintain());
  CHECK(read_all(*f.store, old_series).size() == 1);
  f.clock.jump(-hours(24 * 365));  // the clock was wrong, and is right again
  REQUIRE(f.store->maintain());
  f.clock.advance(minutes(30));
  REQUIRE(f.store->maintain());
  CHECK(read_all(*f.store, old_series).size() == 1);
  f.clock.jump(hours(24 * 365));
  REQUIRE(f.store->maintain());
  f.clock.advance(minutes(10));
  REQUIRE(f.store->maintain());
  CHECK(read_all(*f.store, old_series).empty());
}

TEST_CASE("the clock guard waits ten minutes after start and after a jump") {
  storage::ClockGuard guard;
  ManualClock clock;
  const auto trust = [&] { return guard.trust(clock.now_ns(), clock.steady()); };
  CHECK_FALSE(trust());
  clock.advance(minutes(10));
  CHECK(trust());
  clock.advance(hours(24 * 60));  // a long sleep moves both clocks
  CHECK(trust());
  clock.jump(minutes(59));
  CHECK(trust());
  clock.jump(minutes(61));
  CHECK_FALSE(trust());
  clock.advance(minutes(5));
  CHECK_FALSE(trust());
  clock.advance(minutes(5));
  CHECK(trust());
}

TEST_CASE("the head is sealed when it is old or large") {
  StoreFixture f;
  f.open();
  REQUIRE(f.store->write(one_series(old_series, {{f.clock.now_ms(), 1}})));
  REQUIRE(f.store->maintain());
  CHECK(f.store->stats().head_samples == 1);
  f.clock.advance(hours(2));
  REQUIRE(f.store->maintain());
  CHECK(f.store->stats().head_samples == 0);
  f.store.reset();
  f.options.head_bytes_max = 1;
  f.open();
  REQUIRE(f.store->write(one_series(old_series, {{f.clock.now_ms(), 2}})));
  REQUIRE(f.store->maintain());
  CHECK(f.store->stats().head_samples == 0);
  CHECK(read_all(*f.store, old_series).size() == 2);
}
