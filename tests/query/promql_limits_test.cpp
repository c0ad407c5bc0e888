// Limits of a query, and what is read from the store for it.
#include <catch2/catch.hpp>

#include "query/query.hpp"
#include "tests/query/counting_reader.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;
using test::CountingReader;

namespace {

void fill(test::MemoryStore& store, int series, int samples) {
  storage::WriteBatch batch;
  for (int s = 0; s < series; ++s) {
    storage::SeriesSamples out;
    out.labels = model::Labels::of({{"__name__", "m"}, {"i", std::to_string(s)}});
    for (int k = 0; k < samples; ++k) out.samples.push_back({k * 1000, static_cast<double>(k)});
    batch.series.push_back(std::move(out));
  }
  REQUIRE(store.write(std::move(batch)));
}

}  // namespace

TEST_CASE("limits end a query with upstream's words") {
  test::MemoryStore store;
  fill(store, 50, 100);
  const test::ManualClock clock;
  query::EngineOptions options;
  options.samples_max = 90;  // a series has 100, and is held while it is looked at
  const auto many = query::Engine(store, clock, options).instant("sum(rate(m[5m]))", 100'000);
  REQUIRE_FALSE(many);
  CHECK(many.error().code == Code::over_limit);
  CHECK(many.error().message == "query processing would load too many samples into memory in query execution");
  const auto steps = query::Engine(store, clock, options).instant("sum_over_time(vector(1)[10y:1ms])", 100'000);
  REQUIRE_FALSE(steps);
  CHECK(steps.error().code == Code::over_limit);

  options = {};
  options.series_max = 10;
  CHECK(query::Engine(store, clock, options).instant("m", 100'000).error().code == Code::over_limit);

  const query::Engine engine(store, clock, {});
  CHECK(engine.range("m", 0, 11'000'000, 1000));
  CHECK(engine.range("m", 0, 11'001'000, 1000).error().message ==
        "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)");
  CHECK(engine.range("m", 10, 0, 1000).error().message == "end timestamp must not be before start time");
  CHECK_FALSE(engine.range("m", 0, 10, 0));
  CHECK(engine.range("m[5m]", 0, 10, 1).error().message ==
        "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector");
}

TEST_CASE("a query that runs out of time says so") {
  test::MemoryStore store;
  fill(store, 5, 10);
  const test::HastyClock clock;
  query::EngineOptions options;
  options.timeout = Millis(1500);
  const auto late = query::Engine(store, clock, options).instant("sum(m) + sum(m) + sum(m)", 5'000);
  REQUIRE_FALSE(late);
  CHECK(late.error().code == Code::timeout);
  CHECK(late.error().message == "query timed out in query execution");
  // Patterns may be slow: each series is a look at the clock.
  test::MemoryStore many;
  fill(many, 40, 10);
  options.timeout = Millis(20'000);
  const query::Engine engine(many, clock, options);
  CHECK(engine.instant("m", 5'000));
  const auto slow = engine.instant("label_replace(m, \"a\", \"$1\", \"i\", \"(.*)\")", 5'000);
  REQUIRE_FALSE(slow);
  CHECK(slow.error().code == Code::timeout);
}

TEST_CASE("one selector is read once, for the time all its uses need") {
  test::MemoryStore store;
  fill(store, 2, 100);
  const CountingReader reader(store);
  const test::ManualClock clock;
  const query::Engine engine(reader, clock, {});
  REQUIRE(engine.range("m - m offset 1m + rate(m[30s])", 60'000, 90'000, 10'000));
  REQUIRE(reader.ranges.size() == 1);
  CHECK(reader.ranges[0].min == 60'000 - 60'000 - 300'000 + 1);
  CHECK(reader.ranges[0].max == 90'000);
  reader.ranges.clear();
  REQUIRE(engine.instant("max_over_time(m[1m:10s] offset 5s)", 60'000));
  REQUIRE(reader.ranges.size() == 1);
  CHECK(reader.ranges[0].min == 60'000 - 5'000 - 60'000 - 300'000 + 1);
  CHECK(reader.ranges[0].max == 55'000);
}

TEST_CASE("info series are read for what was found, and count like a selector's") {
  test::MemoryStore store;
  storage::WriteBatch batch;
  for (int s = 0; s < 50; ++s)
    for (const char* name : {"m", "target_info"}) {
      storage::SeriesSamples out;
      out.labels = model::Labels::of({{"__name__", name}, {"instance", std::to_string(s)}, {"v", name[0] == 't' ? "1" : ""}});
      for (int k = 0; k < 100; ++k) out.samples.push_back({k * 1000, 1});
      batch.series.push_back(std::move(out));
    }
  REQUIRE(store.write(std::move(batch)));
  const CountingReader reader(store);
  const test::ManualClock clock;
  query::EngineOptions options;
  options.samples_max = 7'000;
  options.series_max = 60;
  const auto vector_size = [](const Result<query::Answer>& a) { return a ? std::get<query::Vector>(a->value).size() : 0; };
  const query::Engine engine(reader, clock, options);
  CHECK(vector_size(engine.instant("m", 99'000)) == 50);
  reader.ranges.clear();
  CHECK(vector_size(engine.instant("info(m{instance=~\"1.\"})", 99'000)) == 10);
  REQUIRE(reader.ranges.size() == 2);
  CHECK(reader.ranges[1].min == 99'000 - 300'000 + 1);
  CHECK(reader.ranges[1].max == 99'000);
  const auto series = engine.instant("info(m)", 99'000);
  REQUIRE_FALSE(series);
  CHECK(series.error().message == "query would read more than 60 series");
  options.series_max = 1000;
  options.samples_max = 4'000;  // those of `m` are not kept, those of the info series are
  const auto samples = query::Engine(reader, clock, options).instant("info(m)", 99'000);
  REQUIRE_FALSE(samples);
  CHECK(samples.error().code == Code::over_limit);
  options.samples_max = 20'000;
  CHECK(vector_size(query::Engine(reader, clock, options).instant("info(m)", 99'000)) == 50);
}

TEST_CASE("anchored and smoothed selectors are read with the lookback beside their windows") {
  test::MemoryStore store;
  fill(store, 1, 100);
  const CountingReader reader(store);
  const test::ManualClock clock;
  const query::Engine engine(reader, clock, {});
  const auto range_of = [&](const char* text) {
    reader.ranges.clear();
    REQUIRE(engine.range(text, 60'000, 90'000, 10'000));
    REQUIRE(reader.ranges.size() == 1);
    return reader.ranges[0];
  };
  CHECK(range_of("rate(m[30s] anchored)").min == 60'000 - 30'000 - 300'000 + 1);
  CHECK(range_of("rate(m[30s] anchored)").max == 90'000);
  CHECK(range_of("rate(m[30s] smoothed offset 5s)").min == 55'000 - 30'000 - 300'000 + 1);
  CHECK(range_of("rate(m[30s] smoothed offset 5s)").max == 85'000 + 300'000);
  CHECK(range_of("m smoothed").min == 60'000 - 300'000 + 1);
  CHECK(range_of("m smoothed + m").max == 90'000 + 300'000);
}

TEST_CASE("times at the ends of what fits are answers, not overflows") {
  test::MemoryStore store;
  fill(store, 1, 3);
  const test::ManualClock clock;
  const query::Engine engine(store, clock, {});
  CHECK_FALSE(engine.instant("m", std::numeric_limits<std::int64_t>::max()));
  CHECK_FALSE(engine.instant("m", std::numeric_limits<std::int64_t>::min()));
  CHECK(engine.instant("m @ 9000000000000000", 0));
  CHECK(engine.instant("m @ -9000000000000000 offset 290y", 0));
  CHECK(engine.instant("m offset -290y", 0));
  CHECK(engine.instant("sum_over_time(m[290y] offset 290y)", 0));
}
