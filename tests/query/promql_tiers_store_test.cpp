// PromQL over a store whose samples have gone and whose downsampled days are left, against what the samples said.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include <catch2/catch.hpp>

#include "query/query.hpp"
#include "route_call.hpp"
#include "tests/support/support.hpp"
#include "tests/support/upkeep.hpp"

using namespace plumbline;
using namespace plumbline::query;
using std::chrono::hours;
using std::chrono::minutes;

namespace {

constexpr std::int64_t hour = 3'600'000, day = 24 * hour, five_minutes = 300'000;

// Two days of samples, of which buckets of 5 minutes and 1 hour are made; `copy` has the samples for as long as the test lasts.
struct Fixture {
  std::uint64_t seed = std::random_device{}();
  std::mt19937_64 random{seed};
  test::TempDir directory;
  test::ManualClock clock;
  std::unique_ptr<Log> log = make_null_log();
  Registry registry;
  std::unique_ptr<storage::Store> store;
  test::MemoryStore copy;
  std::int64_t begin = 0;
  std::map<std::string, std::vector<Sample>> written;

  Fixture() {
    storage::Options options;
    options.path = directory.path("store");
    options.journal_sync.policy = storage::SyncPolicy::never;
    options.retention_series = hours(24 * 4);
    options.downsample_5m_retention = hours(24 * 20);
    options.downsample_1h_retention = hours(24 * 40);
    auto opened = storage::Store::open(options, clock, *log, registry);
    REQUIRE(opened);
    store = std::move(*opened);
    REQUIRE(store->maintain());
    clock.advance(minutes(11));
    begin = (clock.now_ms() / day - 2) * day;
    double counter = 0;
    for (std::int64_t t = begin; t <= begin + 2 * day; t += 30'000) {
      counter = random() % 300 == 0 ? 0 : counter + static_cast<double>(random() % 100);
      written["requests_total"].push_back({t, counter});
      if (random() % 3 != 0) written["level"].push_back({t, static_cast<double>(random() % 100'000) / 100 - 300});
      written["late_total"].push_back({t + static_cast<std::int64_t>(random() % 1000), counter / 7});
    }
    storage::WriteBatch batch;
    for (const auto& [name, samples] : written)
      for (const char* instance : {"a", "b"})
        batch.series.push_back({Labels::of({{"__name__", name}, {"instance", instance}}), samples});
    REQUIRE(copy.write(batch));
    const auto receipt = store->write(std::move(batch));
    REQUIRE(receipt);
    REQUIRE(receipt->refusals.empty());
    REQUIRE(store->seal());
    settle();
    REQUIRE(store->tiers().any);
  }
  ~Fixture() { CHECK(store->close()); }
  void settle() { test::settle(*store, registry); }
  void pass_days(int days) { test::pass_days(*store, registry, clock, days); }
  Answer range(const storage::Reader& reader, const std::string& text, std::int64_t start, std::int64_t end, std::int64_t step, Millis resolution) {
    EngineOptions options;
    options.resolution_max = resolution;
    INFO("seed " << seed << ", " << text);
    auto answer = Engine(reader, clock, options).range(text, start, end, step);
    REQUIRE(answer);
    return std::move(*answer);
  }
  // The answer from buckets, point by point against one from the samples that were written.
  void compare(const std::string& function, const std::string& name, std::int64_t window, std::int64_t step, Millis resolution) {
    const std::string text = function + "(" + name + "[" + std::to_string(window / 1000) + "s])";
    // Windows that begin at the first sample and end at the last of the two days.
    const std::int64_t start = begin + window, end = begin + 2 * day;
    const Matrix got = std::get<Matrix>(range(*store, text, start, end, step, resolution).value);
    const Matrix exact = std::get<Matrix>(range(copy, text, start, end, step, Millis(0)).value);
    INFO("seed " << seed << ", " << text << " every " << step / 1000 << " s, buckets of " << resolution.count() / 1000 << " s");
    REQUIRE(got.size() == 2);
    REQUIRE(exact.size() == 2);
    for (std::size_t s = 0; s < 2; ++s) {
      CHECK(got[s].labels == exact[s].labels);
      REQUIRE(got[s].samples.size() == static_cast<std::size_t>((end - start) / step) + 1);
      REQUIRE(exact[s].samples.size() == got[s].samples.size());
      for (std::size_t i = 0; i < got[s].samples.size(); ++i) {
        const Sample &point = got[s].samples[i], &expected = exact[s].samples[i];
        REQUIRE(point.t == expected.t);
        double sum = 0, magnitude = 0, count = 0, most = -std::numeric_limits<double>::infinity();
        const std::vector<Sample>& samples = written.at(name);
        for (auto at = std::ranges::upper_bound(samples, point.t - window, {}, &Sample::t); at != samples.end() && at->t <= point.t; ++at) {
          const Sample& sample = *at;
          sum += sample.v, magnitude += std::fabs(sample.v), ++count, most = std::max(most, sample.v);
        }
        // A sum whose parts cancel is as exact as the parts are.
        if (function == "sum_over_time") CHECK(std::fabs(point.v - sum) <= 1e-12 * magnitude);
        if (function == "count_over_time") CHECK(point.v == count);
        if (function == "max_over_time") CHECK(point.v == most);
        if (function == "rate") CHECK(point.v == Approx(expected.v).epsilon(1e-12));
      }
    }
  }
  void compare_all() {
    for (const char* name : {"requests_total", "level", "late_total"})
      for (const char* function : {"sum_over_time", "count_over_time", "max_over_time", "rate"}) {
        compare(function, name, 2 * hour, hour, hours(1));
        compare(function, name, 6 * hour, 3 * hour, hours(1));
        compare(function, name, 2 * hour, 4 * five_minutes, minutes(5));
        compare(function, name, 2 * five_minutes, 6 * five_minutes, minutes(5));
        compare(function, name, 4 * hour, 4 * hour, Millis(-1));  // a fifth: buckets of 5 minutes
      }
  }
};

}  // namespace

TEST_CASE("range functions over downsampled days of a store are those of the samples that were there", "[tiers]") {
  Fixture f;
  f.compare_all();  // while the samples are there
  CHECK(f.range(*f.store, "sum_over_time(level[2h])", f.begin + day, f.begin + 2 * day, hour, hours(1)).infos.empty());
  f.pass_days(7);
  REQUIRE(f.store->tiers().samples_since >= f.begin + 2 * day);
  f.compare_all();
  // Aggregations over them, and a plain selector, which has nothing.
  const auto sum = [&](const storage::Reader& reader, Millis resolution) {
    return std::get<Matrix>(f.range(reader, "sum(max_over_time(level[2h]))", f.begin + day, f.begin + day + 3 * hour, hour, resolution).value);
  };
  const Matrix got = sum(*f.store, hours(1)), exact = sum(f.copy, Millis(0));
  REQUIRE(got.size() == 1);
  REQUIRE(exact.size() == 1);
  CHECK(got[0].samples == exact[0].samples);
  const Answer told = f.range(*f.store, "sum_over_time(level[2h])", f.begin + day, f.begin + 2 * day, hour, hours(1));
  REQUIRE(told.infos.size() == 1);
  CHECK(told.infos[0].find("is read as those of at most 1h here") != std::string::npos);
  const Answer plain = f.range(*f.store, "level", f.begin + day, f.begin + day + 3 * hour, hour, hours(1));
  CHECK(std::get<Matrix>(plain.value).empty());
  REQUIRE(plain.infos.size() == 1);
  CHECK(plain.infos[0].find("is read as samples here") != std::string::npos);
}

TEST_CASE("days of a store whose samples are gone are empty without max_source_resolution, and a warning says so", "[tiers]") {
  Fixture f;
  const Engine engine(*f.store, f.clock, {});
  const http::Routes routes = prometheus_routes(engine, *f.store, f.clock, {}, {nullptr, &f.registry, Millis(0)}, 1 << 20);
  const auto ask = [&](const std::string& text, std::int64_t start, std::int64_t end, const std::string& resolution) {
    http::Pairs query{{"query", text}, {"start", std::to_string(start / 1000)}, {"end", std::to_string(end / 1000)}, {"step", "3600"}};
    if (!resolution.empty()) query.emplace_back("max_source_resolution", resolution);
    const http::Response response = test::call(routes, "GET", "/api/v1/query_range", query);
    REQUIRE(response.status == 200);
    return response.body;
  };
  const auto has = [](const std::string& body, std::string_view text) { return body.find(text) != std::string::npos; };
  constexpr std::string_view empty = R"("result":[])", warning = R"("warnings":["PromQL warning: the samples before )";
  const std::int64_t from = f.begin + 2 * hour, to = f.begin + day;
  const std::string rate = "rate(requests_total[2h])", sum = "sum(rate(requests_total[2h]))";
  for (const std::string& text : {rate, sum, std::string("level")}) {
    INFO(text);
    const std::string body = ask(text, from, to, "");
    CHECK_FALSE(has(body, empty));
    CHECK_FALSE(has(body, warning));
    CHECK(ask(text, from, to, "") == body);  // kept
  }
  CHECK(f.registry.counter("plumbline_query_result_cache_hits_total", "").value() == 3);
  f.pass_days(7);
  for (const std::string& text : {rate, sum, std::string("level")}) {
    INFO(text);
    for (int i = 0; i < 2; ++i) {  // evaluated, and kept
      const std::string body = ask(text, from, to, "");
      CHECK(has(body, empty));
      CHECK(has(body, warning));
      CHECK(has(body, "max_source_resolution=5m"));
    }
    CHECK_FALSE(has(ask(text, from, to, "0s"), warning));
  }
  CHECK(f.registry.counter("plumbline_query_result_cache_hits_total", "").value() == 9);  // the same answers without it
  for (const char* resolution : {"1h", "5m"}) {
    const std::string body = ask(rate, from, to, resolution);
    CHECK_FALSE(has(body, empty));
    CHECK_FALSE(has(body, warning));
    CHECK(has(body, R"("infos":["PromQL info: of the time before )"));
  }
  // What is asked of the days whose samples are there has neither.
  const std::int64_t now = f.clock.now_ms() / 1000 * 1000;
  CHECK(ask(sum, now - 3 * hour, now, "") == R"({"status":"success","data":{"resultType":"matrix","result":[]}})");
}
