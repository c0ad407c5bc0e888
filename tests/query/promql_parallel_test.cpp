// Reading in parts on several threads, and windows that slide: the same answers as one thread and as each window by itself.
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <new>
#include <optional>
#include <random>
#include <thread>

#include <catch2/catch.hpp>

#include "query/promql/range_functions.hpp"
#include "query/promql/sliding.hpp"
#include "query/promql/workers.hpp"
#include "query/query.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;
using namespace plumbline::query;
using model::Sample;

TEST_CASE("workers run every task once, whoever else runs some") {
  Workers workers(3);
  std::vector<std::thread> callers;
  std::array<std::array<std::atomic<int>, 500>, 4> ran{};
  for (std::size_t caller = 0; caller < ran.size(); ++caller)
    callers.emplace_back([&, caller] {
      for (int round = 0; round < 5; ++round)
        workers.run(100, [&, round](std::size_t i) { ++ran[caller][static_cast<std::size_t>(round) * 100 + i]; });
    });
  for (std::thread& t : callers) t.join();
  for (const auto& caller : ran)
    for (const std::atomic<int>& n : caller) CHECK(n == 1);
  workers.run(0, [](std::size_t) { FAIL("there is no task"); });
  std::atomic<int> after = 0;
  CHECK_THROWS_AS(workers.run(100,
                              [&](std::size_t i) {
                                ++after;
                                if (i % 10 == 3) throw std::bad_alloc();
                              }),
                  std::bad_alloc);
  CHECK(after == 100);
}

TEST_CASE("a sliding window answers as each window by itself") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const auto one_of = [&](std::initializer_list<double> values) { return values.begin()[random() % values.size()]; };
  for (int round = 0; round < 200; ++round) {
    std::vector<Sample> samples(1 + random() % 300);
    const bool odd = round % 2 == 1;  // with what breaks sums and orders
    std::int64_t t = static_cast<std::int64_t>(random() % 10'000'000) - 5'000'000;
    for (Sample& s : samples)
      s = {t += 1 + static_cast<std::int64_t>(random() % 30'000), odd && random() % 20 == 0
                                                                      ? one_of({NAN, INFINITY, -INFINITY, 1e308, -1e308, -0.0, 0})
                                                                      : static_cast<double>(random() % 50) / one_of({1, 3, 1e-6})};
    const std::int64_t range = 1 + static_cast<std::int64_t>(random() % (random() % 2 == 0 ? 100'000 : 3'000'000));
    for (const promql::Fn fn : {promql::Fn::sum_over_time, promql::Fn::avg_over_time, promql::Fn::min_over_time, promql::Fn::max_over_time,
                                promql::Fn::ts_of_min_over_time, promql::Fn::ts_of_max_over_time, promql::Fn::quantile_over_time}) {
      REQUIRE(promql::Sliding::supports(fn));
      // The second one begins later, with other samples before it, and knows nothing of the first's windows.
      promql::Sliding sliding(fn, samples, range);
      std::optional<promql::Sliding> second;
      std::size_t second_from = 0;
      const double q = one_of({0, 0.5, 0.99, 1});
      for (std::int64_t end = samples.front().t; end < samples.back().t + range;
           end += static_cast<std::int64_t>(random() % (random() % 10 == 0 ? 1'000'000 : 60'000))) {
        const auto low = static_cast<std::size_t>(std::ranges::upper_bound(samples, end - range, {}, &Sample::t) - samples.begin());
        const auto high = static_cast<std::size_t>(std::ranges::upper_bound(samples, end, {}, &Sample::t) - samples.begin());
        if (low == high) continue;
        promql::Window w;
        w.samples = std::span(samples).subspan(low, high - low);
        w.p1 = q;
        double direct = 0, slid = 0, again = 0;
        REQUIRE(promql::evaluate_window(fn, w, direct));
        const bool can = sliding.at(low, high, end, q, slid);
        if (!second || random() % 30 == 0) {
          second_from = low - random() % (low + 1);
          second.emplace(fn, std::span(samples).subspan(second_from), range);
        }
        REQUIRE(second->at(low - second_from, high - second_from, end, q, again) == can);
        if (can) CHECK((std::bit_cast<std::uint64_t>(again) == std::bit_cast<std::uint64_t>(slid) || std::isnan(slid)));
        if (!can) {
          const bool sums = fn == promql::Fn::sum_over_time || fn == promql::Fn::avg_over_time;
          CHECK(sums);
          continue;
        }
        INFO("fn " << static_cast<int>(fn) << " window [" << low << ", " << high << ") of " << samples.size());
        if (std::isnan(direct)) CHECK(std::isnan(slid));
        else if (std::isfinite(direct)) CHECK(std::fabs(slid - direct) <= 1e-15 * std::fabs(direct));
        else CHECK(slid == direct);
      }
    }
  }
}

TEST_CASE("several threads answer as one does, on sealed and unsealed series") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  test::TempDir directory;
  test::ManualClock clock;
  const std::unique_ptr<Log> log = make_null_log();
  Registry registry;
  storage::Options options;
  options.path = directory.path("store");
  auto opened = storage::Store::open(options, clock, *log, registry);
  REQUIRE(opened);
  storage::Store& store = **opened;
  const std::int64_t end = clock.now_ms();
  for (const std::int64_t from : {end - 3'600'000, end - 1'800'000}) {
    storage::WriteBatch batch;
    for (int i = 0; i < 700; ++i) {
      storage::SeriesSamples s;
      s.labels = model::Labels::of({{"__name__", i % 2 == 0 ? "requests_total" : "level"}, {"i", std::to_string(i)}, {"g", std::to_string(i % 7)}});
      double v = 0;
      for (std::int64_t t = from; t < from + 1'800'000; t += 15'000) {
        v += static_cast<double>(random() % 20) / 8;
        s.samples.push_back({t + i, random() % 50 == 0 ? model::stale_nan : v});
      }
      batch.series.push_back(std::move(s));
    }
    REQUIRE(store.write(std::move(batch)));
    if (from < end - 1'800'000) REQUIRE(store.seal());
  }
  const Engine alone(store, clock, {});
  EngineOptions shared;
  shared.workers = make_workers(3);
  const Engine together(store, clock, shared);
  for (const char* text :
       {"sum by (g) (rate(requests_total[5m]))", "level", "level offset 10m", "avg_over_time(level[10m])", "quantile_over_time(0.9, level[7m])",
        "topk(3, level)", "max_over_time(rate(requests_total[2m])[10m:1m])", "rate(requests_total[5m]) / rate(requests_total[10m])",
        "count({__name__=~\".+\"})", "increase({i=~\"1.*\"}[5m])", "last_over_time(level[1m] @ end())"}) {
    INFO(text);
    const auto a = alone.range(text, end - 3'500'000, end, 60'000), b = together.range(text, end - 3'500'000, end, 60'000);
    REQUIRE(a);
    REQUIRE(b);
    const auto &x = std::get<Matrix>(a->value), &y = std::get<Matrix>(b->value);
    REQUIRE(x.size() == y.size());
    REQUIRE(!x.empty());
    CHECK(a->infos == b->infos);
    for (std::size_t i = 0; i < x.size(); ++i) {
      CHECK(x[i].labels == y[i].labels);
      CHECK(x[i].samples == y[i].samples);
    }
  }
  shared.series_max = 100;
  CHECK(Engine(store, clock, shared).instant("level", end).error().code == Code::over_limit);
  shared.series_max = 1'000'000;
  shared.samples_max = 100;
  CHECK(Engine(store, clock, shared).instant("rate(level[5m])", end).error().code == Code::over_limit);
  CHECK(Engine(store, clock, shared).instant("sum(rate(level[5m]))", end));  // holds one series at a time and thread
  shared.samples_max = 10;
  CHECK(Engine(store, clock, shared).instant("sum(rate(level[5m]))", end).error().code == Code::over_limit);
  REQUIRE(store.close());
}

TEST_CASE("groups brought together from parts are those of one part, histograms among them") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  test::TempDir directory;
  test::ManualClock clock;
  const std::unique_ptr<Log> log = make_null_log();
  Registry registry;
  storage::Options options;
  options.path = directory.path("store");
  auto opened = storage::Store::open(options, clock, *log, registry);
  REQUIRE(opened);
  storage::Store& store = **opened;
  test::MemoryStore whole;  // does not cut a read into parts
  const std::int64_t end = clock.now_ms();
  storage::WriteBatch batch;
  for (int i = 0; i < 900; ++i) {
    // Two series of one group, wherever they come to lie; and histograms beside floats in some groups.
    const std::string group = i == 17 || i == 611 ? "rare" : i % 194 == 5 ? "histograms" : std::to_string(i % 7);
    const model::Labels labels = model::Labels::of({{"__name__", "m_total"}, {"i", std::to_string(i)}, {"g", group}});
    storage::SeriesSamples floats{labels, {}};
    storage::SeriesHistograms histograms{labels, {}};
    for (std::int64_t t = end - 600'000; t <= end; t += 15'000) {
      if (random() % 10 == 0) continue;
      if (i % 97 != 5) {
        floats.samples.push_back({t, static_cast<double>(random() % 100'000) / 7});
        continue;
      }
      model::Histogram h;
      h.layout = {static_cast<int>(random() % 3), 0.001, {{0, 2}}, {}, {}};
      h.positive = {static_cast<double>(random() % 9), static_cast<double>(random() % 9)};
      h.count = h.positive[0] + h.positive[1];
      h.sum = h.count / 3;
      histograms.samples.push_back({t, h});
    }
    if (!floats.samples.empty()) batch.series.push_back(std::move(floats));
    if (!histograms.samples.empty()) batch.histograms.push_back(std::move(histograms));
  }
  storage::WriteBatch copy = batch;
  REQUIRE(whole.write(std::move(copy)));
  REQUIRE(store.write(std::move(batch)));
  EngineOptions shared;
  shared.workers = make_workers(3);
  const Engine parts(store, clock, shared), one(whole, clock, {});
  int filled = 0;
  for (const char* text : {"sum by (g) (m_total)", "avg by (g) (m_total)", "min by (g) (m_total)", "max(m_total)", "count by (g) (m_total)", "group by (g) (m_total)",
                           "stddev by (g) (m_total)", "sum without (i) (rate(m_total[5m]))", "avg(increase(m_total[2m]))", "sum(m_total)",
                           "count by (i) (m_total)", "histogram_count(sum by (g) (m_total{i=~\".*(5|2)\"}))", "rate(m_total[9m])"}) {
    INFO(text);
    for (const bool instant : {true, false}) {
      const auto a = instant ? parts.instant(text, end) : parts.range(text, end - 500'000, end, 30'000);
      const auto b = instant ? one.instant(text, end) : one.range(text, end - 500'000, end, 30'000);
      REQUIRE(a);
      REQUIRE(b);
      CHECK(a->warnings == b->warnings);
      CHECK(a->infos == b->infos);
      const auto near = [](double x, double y) { return x == y || std::fabs(x - y) <= 1e-12 * std::fabs(y); };
      if (instant) {
        const auto &x = std::get<Vector>(a->value), &y = std::get<Vector>(b->value);
        REQUIRE(x.size() == y.size());
        filled += !x.empty();
        for (std::size_t i = 0; i < x.size(); ++i) {
          REQUIRE(x[i].labels == y[i].labels);
          REQUIRE((x[i].histogram != nullptr) == (y[i].histogram != nullptr));
          if (x[i].histogram) CHECK(model::same_bits(*x[i].histogram, *y[i].histogram));
          else CHECK(near(x[i].v, y[i].v));
        }
        continue;
      }
      const auto &x = std::get<Matrix>(a->value), &y = std::get<Matrix>(b->value);
      REQUIRE(x.size() == y.size());
      filled += !x.empty();
      for (std::size_t i = 0; i < x.size(); ++i) {
        REQUIRE(x[i].labels == y[i].labels);
        REQUIRE(x[i].samples.size() == y[i].samples.size());
        for (std::size_t p = 0; p < x[i].samples.size(); ++p)
          CHECK((x[i].samples[p].t == y[i].samples[p].t && near(x[i].samples[p].v, y[i].samples[p].v)));
        REQUIRE(x[i].histograms.size() == y[i].histograms.size());
        for (std::size_t p = 0; p < x[i].histograms.size(); ++p) CHECK(model::same_bits(x[i].histograms[p].h, y[i].histograms[p].h));
      }
    }
  }
  CHECK(filled == 22);  // floats and histograms in one group have no sum and no average
  REQUIRE(store.close());
}

TEST_CASE("a range too long for what a query may hold is read a series at a time, also when summaries do not do") {
  test::TempDir directory;
  test::ManualClock clock;
  const std::unique_ptr<Log> log = make_null_log();
  Registry registry;
  storage::Options options;
  options.path = directory.path("store");
  auto opened = storage::Store::open(options, clock, *log, registry);
  REQUIRE(opened);
  storage::Store& store = **opened;
  const std::int64_t end = clock.now_ms();
  storage::WriteBatch batch;
  for (int i = 0; i < 20; ++i) {
    storage::SeriesSamples s{model::Labels::of({{"__name__", "m_total"}, {"i", std::to_string(i)}}), {}};
    for (std::int64_t t = end - 6 * 3'600'000; t <= end; t += 60'000) s.samples.push_back({t, i == 3 && t == end - 3'600'000 ? NAN : static_cast<double>(t - end)});
    batch.series.push_back(std::move(s));
  }
  REQUIRE(store.write(std::move(batch)));
  EngineOptions few;
  few.samples_max = 2000;  // five series of twenty
  const Engine engine(store, clock, few);
  for (const char* text : {"sum_over_time(m_total[6h])", "sum(avg_over_time(m_total[6h]))", "rate(m_total[6h])"}) CHECK(engine.instant(text, end));
  CHECK(engine.instant("sum_over_time(m_total[6h]) + sum_over_time(m_total[5h])", end).error().code == Code::over_limit);
  REQUIRE(store.close());
}
