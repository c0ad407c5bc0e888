// Answers kept for the next range query: the same as evaluated anew, whatever was written, late or deleted in between.
#include <cmath>
#include <map>
#include <random>
#include <thread>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "query/api/result_cache.hpp"
#include "query/promql/ast.hpp"
#include "tests/query/random_expressions.hpp"
#include "tests/query/route_call.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;
using namespace plumbline::query;

namespace {

struct Fixture {
  test::TempDir directory;
  test::ManualClock clock;
  std::unique_ptr<Log> log = make_null_log();
  Registry registry;
  std::unique_ptr<storage::Store> store;
  Fixture() {
    storage::Options options;
    options.path = directory.path("store");
    auto opened = storage::Store::open(options, clock, *log, registry);
    REQUIRE(opened);
    store = std::move(*opened);
  }
  ~Fixture() { CHECK(store->close()); }
  void write(const model::Labels& labels, std::vector<model::Sample> samples) {
    storage::WriteBatch batch;
    batch.series.push_back({labels, std::move(samples)});
    REQUIRE(store->write(std::move(batch)));
  }
  std::uint64_t count(const char* name) { return registry.counter(std::string("plumbline_query_result_cache_") + name, "").value(); }
  // Through the cache, and how many steps were evaluated for it.
  Result<Answer> ask(ResultCache& cache, std::string_view text, std::int64_t start, std::int64_t end, std::int64_t step, std::size_t* steps = nullptr) {
    const Engine engine(*store, clock, {});
    std::size_t evaluated = 0;
    const auto answer = cache.answer({text, start, end, step, 300'000}, [&](std::int64_t from, std::int64_t to) {
      evaluated += static_cast<std::size_t>((to - from) / step) + 1;
      return engine.range(text, from, to, step);
    });
    if (steps != nullptr) *steps = evaluated;
    return answer;
  }
};

// Sums that slide and parts that are added up may differ in their last bits.
bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)) || std::fabs(a - b) <= 1e-12 * std::max(std::fabs(a), std::fabs(b)); }

std::string difference(const Answer& a, const Answer& b) {
  const auto &x = std::get<Matrix>(a.value), &y = std::get<Matrix>(b.value);
  if (x.size() != y.size()) return fmt::format("{} series and {}", x.size(), y.size());
  for (std::size_t s = 0; s < x.size(); ++s) {
    if (x[s].labels != y[s].labels) return x[s].labels.str() + " and " + y[s].labels.str();
    if (x[s].samples.size() != y[s].samples.size())
      return fmt::format("{}: {} points and {}", x[s].labels.str(), x[s].samples.size(), y[s].samples.size());
    for (std::size_t i = 0; i < x[s].samples.size(); ++i)
      if (x[s].samples[i].t != y[s].samples[i].t || !same(x[s].samples[i].v, y[s].samples[i].v))
        return fmt::format("{} at {}: {} and at {}: {}", x[s].labels.str(), x[s].samples[i].t, x[s].samples[i].v, y[s].samples[i].t, y[s].samples[i].v);
  }
  if (a.warnings != b.warnings || a.infos != b.infos) return "other annotations";
  return "";
}

}  // namespace

TEST_CASE("kept answers are those of evaluating anew, whatever happens in between", "[cache]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  test::ExpressionGenerator g(seed);
  Fixture f;
  const Engine engine(*f.store, f.clock, {});
  ResultCache cache(*f.store, 1 << 20, &f.registry);
  const std::int64_t step = 15'000;
  const std::int64_t begin = f.clock.now_ms() / step * step - 3'600'000;
  std::int64_t now = begin + 1'800'000;
  std::vector<model::Labels> series;
  for (const char* name : {"a_total", "b_total", "g", "h_bucket"})
    for (const char* x : {"1", "2", "3"})
      series.push_back(model::Labels::of({{"__name__", name}, {"x", x}, {"y", x[0] == '2' ? "q" : "p"}, {"le", name[0] == 'h' ? x : ""}}));
  std::vector<std::string> texts{"sum by (x) (rate(a_total[1m]))", "a_total", "max_over_time(rate(b_total[1m])[5m:1m])", "topk(1, a_total)",
                                 "a_total offset 1m / on (x) group_left b_total", "absent(a_total{x=\"3\"})", "avg_over_time(a_total[2m])"};
  std::size_t compared = 0;
  for (int round = 0; round < 400; ++round) {
    // Usual traffic, and what is not usual.
    for (const model::Labels& labels : series)
      if (g.below(8) != 0) f.write(labels, {{now, static_cast<double>(g.below(1000)) / 8}});
    now += step;
    switch (g.below(12)) {
      case 0: f.write(series[g.below(series.size())], {{begin + static_cast<std::int64_t>(g.below(static_cast<std::size_t>(now - begin))), 7}}); break;
      case 1: f.write(series[g.below(series.size())], {{now - step * static_cast<std::int64_t>(g.below(40)), model::stale_nan}}); break;
      case 2: {
        const std::int64_t from = now - static_cast<std::int64_t>(g.below(600'000));
        REQUIRE(f.store->erase({{model::Matcher::equal("x", std::to_string(1 + g.below(3)))}}, {from, from + 60'000}));
        break;
      }
      case 3: REQUIRE(f.store->seal()); break;
      case 4:
        if (texts.size() < 60) texts.push_back(g.vector(1));
        break;
      default: break;
    }
    for (int i = 0; i < 4; ++i) {
      const std::string& text = texts[g.below(texts.size())];
      const std::int64_t steps = 1 + static_cast<std::int64_t>(g.below(60));
      const std::int64_t end = now - step * static_cast<std::int64_t>(g.below(10)) + (g.below(20) == 0 ? 1 : 0), start = end - steps * step;
      const auto kept = f.ask(cache, text, start, end, step), anew = engine.range(text, start, end, step);
      INFO("round " << round << " " << text << " from " << start << " to " << end);
      REQUIRE(kept.has_value() == anew.has_value());
      if (!kept) {
        CHECK(kept.error().message == anew.error().message);
        continue;
      }
      ++compared;
      CHECK(difference(*kept, *anew) == "");
    }
    CHECK(cache.bytes() <= 1 << 20);
  }
  CHECK(compared > 500);
  CHECK(f.count("hits_total") > 200);
  CHECK(f.count("steps_total") > 2000);
}

TEST_CASE("only the steps that are new or changed are evaluated", "[cache]") {
  Fixture f;
  ResultCache cache(*f.store, 1 << 20, nullptr);
  const model::Labels m = model::Labels::of({{"__name__", "m"}});
  const std::int64_t t0 = f.clock.now_ms() / 60'000 * 60'000 - 6'000'000;
  const auto at = [&](std::int64_t minute) { return t0 + minute * 60'000; };
  for (std::int64_t i = 0; i <= 60; ++i) f.write(m, {{at(i), static_cast<double>(i)}});
  std::size_t steps = 0;
  const auto ask = [&](std::int64_t from, std::int64_t to) {
    const auto answer = f.ask(cache, "m", at(from), at(to), 60'000, &steps);
    REQUIRE(answer);
    return std::get<Matrix>(answer->value)[0].samples;
  };
  CHECK(ask(0, 60).size() == 61);
  CHECK(steps == 61);
  CHECK(ask(0, 60).size() == 61);
  CHECK(steps == 0);
  CHECK(ask(10, 50).front().v == 10);
  CHECK(steps == 0);
  f.write(m, {{at(61), 61}});
  CHECK(ask(1, 61).back().v == 61);
  CHECK(steps == 1);
  // A late sample changes what is at and behind it.
  f.write(m, {{at(30) + 1000, -1}});
  const auto late = ask(2, 61);
  CHECK(steps == 31);
  CHECK(late[28].v == 30);
  CHECK(late[29].v == 31);
  REQUIRE(f.store->erase({{model::Matcher::equal("__name__", "m")}}, {at(20), at(22)}));
  CHECK(ask(2, 61)[18].v == 19);
  CHECK(steps >= 42);
  REQUIRE(f.store->seal());  // changes nothing
  ask(2, 61);
  CHECK(steps == 0);
  ask(1, 61);  // what is earlier than all that is known is not put before it
  CHECK(steps == 61);
  CHECK(f.ask(cache, "m", at(1) + 1, at(61) + 1, 60'000, &steps));  // other steps
  CHECK(steps == 61);
}

TEST_CASE("what depends on more than the step is not kept", "[cache]") {
  const auto keeps = [](std::string_view text) {
    const auto e = promql::parse(text);
    REQUIRE(e);
    return promql::cacheable(**e);
  };
  for (const char* yes : {"m", "rate(m[5m])", "rate(m[5m] offset 1h)", "sum by (a) (m) / on (a) group_left n", "topk(3, m)", "time()",
                          "rate(m[5m] anchored)", "max_over_time(m[5m:1m] offset 5m)", "label_replace(m, \"a\", \"$1\", \"b\", \"(.*)\")", "m offset (5m + 1m)"})
    CHECK(keeps(yes));
  for (const char* no : {"m @ 100", "m @ start()", "rate(m[5m] @ end())", "m offset -1m", "m smoothed", "rate(m[5m] smoothed)", "end()", "m + start()",
                         "m * range()", "{job=\"a\"}", "rate({__name__=~\"a|b\"}[5m])", "info(m)", "max_over_time(m[5m:1m] offset -5m)",
                         "rate(m[range()])", "rate(m[step()])", "1 + (m @ 3)", "max_over_time((m offset -1m)[5m:1m])", "sum(m) > bool scalar(m @ 1)"})
    CHECK_FALSE(keeps(no));
  // Annotations say something of the steps they come from.
  Fixture f;
  ResultCache cache(*f.store, 1 << 20, nullptr);
  const std::int64_t now = f.clock.now_ms();
  f.write(model::Labels::of({{"__name__", "level"}}), {{now - 60'000, 1}, {now - 30'000, 2}});
  std::size_t steps = 0;
  for (int i = 0; i < 2; ++i) {
    const auto answer = f.ask(cache, "rate(level[1m])", now - 60'000, now, 30'000, &steps);
    REQUIRE(answer);
    CHECK(answer->infos.size() == 1);
    CHECK(steps == 3);
  }
}

TEST_CASE("a cache of results stays within its bytes", "[cache]") {
  Fixture f;
  ResultCache cache(*f.store, 20'000, &f.registry);
  const std::int64_t now = f.clock.now_ms();
  for (int i = 0; i < 100; ++i) f.write(model::Labels::of({{"__name__", "m"}, {"i", std::to_string(i)}}), {{now - 60'000, 1}});
  std::size_t steps = 0;
  for (int round = 0; round < 2; ++round) {
    REQUIRE(f.ask(cache, "m", now - 60'000, now, 1000, &steps));  // 61 x 100 points are too many to keep
    CHECK(steps == 61);
  }
  CHECK(cache.bytes() == 0);
  for (int i = 0; i < 50; ++i) {
    REQUIRE(f.ask(cache, fmt::format("m{{i=\"{}\"}}", i), now - 60'000, now, 1000));
    CHECK(cache.bytes() <= 20'000);
  }
  CHECK(cache.bytes() > 0);
  CHECK(f.count("evictions_total") > 10);
  REQUIRE(f.ask(cache, "m{i=\"49\"}", now - 60'000, now, 1000, &steps));
  CHECK(steps == 0);
  REQUIRE(f.ask(cache, "m{i=\"0\"}", now - 60'000, now, 1000, &steps));
  CHECK(steps == 61);
}

TEST_CASE("queries through the cache while others write", "[cache]") {
  Fixture f;
  ResultCache cache(*f.store, 1 << 20, &f.registry);
  const std::int64_t end = f.clock.now_ms() / 1000 * 1000, start = end - 100'000;
  std::vector<std::thread> threads;
  for (int w = 0; w < 2; ++w)
    threads.emplace_back([&, w] {
      std::mt19937 random(static_cast<unsigned>(w));
      for (int i = 0; i < 300; ++i) {
        storage::WriteBatch batch;
        batch.series.push_back({model::Labels::of({{"__name__", "m"}, {"w", std::to_string(w)}}),
                                {{start + static_cast<std::int64_t>(random() % 100'000), static_cast<double>(i)}}});
        if (!f.store->write(std::move(batch))) std::abort();
      }
    });
  const Engine engine(*f.store, f.clock, {});
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 200; ++n)
        if (!cache.answer({"sum(m)", start, end, 1000, 300'000}, [&](std::int64_t from, std::int64_t to) { return engine.range("sum(m)", from, to, 1000); }))
          std::abort();
    });
  for (std::thread& t : threads) t.join();
  const auto kept = f.ask(cache, "sum(m)", start, end, 1000), anew = engine.range("sum(m)", start, end, 1000);
  REQUIRE(kept);
  REQUIRE(anew);
  CHECK(difference(*kept, *anew) == "");
}

TEST_CASE("over HTTP, nocache=1 passes the cache by", "[cache]") {
  Fixture f;
  const Engine engine(*f.store, f.clock, {});
  const http::Routes routes = prometheus_routes(engine, *f.store, f.clock, {"1", "x"}, {f.log.get(), &f.registry, Millis(0)}, 1 << 20);
  const std::int64_t now = f.clock.now_ms() / 1000;
  f.write(model::Labels::of({{"__name__", "m"}}), {{now * 1000 - 60'000, 1.5}});
  const auto ask = [&](const char* name = "", const char* value = "") {
    http::Pairs query{{"query", "m"}, {"start", std::to_string(now - 60)}, {"end", std::to_string(now)}, {"step", "10"}};
    if (*name != '\0') query.emplace_back(name, value);
    return test::call(routes, "GET", "/api/v1/query_range", query).body;
  };
  const std::string first = ask();
  CHECK(f.count("misses_total") == 1);
  CHECK(ask() == first);
  CHECK(f.count("hits_total") == 1);
  CHECK(f.count("steps_total") == 7);
  CHECK(ask("nocache", "1") == first);
  CHECK(ask("stats", "all") != first);
  CHECK(f.count("hits_total") + f.count("misses_total") == 2);
  CHECK(ask("lookback_delta", "30s") != first);
  CHECK(f.count("misses_total") == 2);
}
