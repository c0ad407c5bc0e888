// Answers kept for the next range query: the same as evaluated anew, whatever was written, late or deleted in between.
#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <random>
#include <thread>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "query/api/result_cache.hpp"
#include "query/promql/ast.hpp"
#include "tests/query/counting_reader.hpp"
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

bool same(double a, double b) { return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b) || (std::isnan(a) && std::isnan(b)); }

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

// The same over HTTP, with the cache and without it: the bodies are equal, annotations and errors among them.
struct Comparison {
  Fixture& f;
  Engine engine{*f.store, f.clock, {}};
  http::Routes routes = prometheus_routes(engine, *f.store, f.clock, {"1", "x"}, {f.log.get(), &f.registry, Millis(0)}, 1 << 20);
  std::size_t answered = 0;

  std::string body(const std::string& text, std::int64_t start, std::int64_t end, std::int64_t step, bool cached) {
    const auto seconds = [](std::int64_t ms) { return fmt::format("{}.{:03}", ms / 1000, ms % 1000); };
    http::Pairs query{{"query", text}, {"start", seconds(start)}, {"end", seconds(end)}, {"step", seconds(step)}};
    if (!cached) query.emplace_back("nocache", "1");
    const http::Response response = test::call(routes, "GET", "/api/v1/query_range", query);
    if (cached) answered += response.status == 200;
    return response.body;
  }
  void check(const std::string& text, std::int64_t start, std::int64_t end, std::int64_t step) {
    INFO(text << " from " << start << " to " << end);
    const std::string kept = body(text, start, end, step, true), anew = body(text, start, end, step, false);
    const auto differ = std::ranges::mismatch(kept, anew);
    const auto at = static_cast<std::size_t>(differ.in1 - kept.begin()), from = at - std::min<std::size_t>(at, 60);
    INFO("kept " << kept.substr(from, 160) << "\nanew " << anew.substr(from, 160));
    CHECK(kept == anew);
  }
};

model::Histogram histogram_of(test::ExpressionGenerator& g) {
  model::Histogram h;
  h.layout.schema = static_cast<int>(g.below(2));
  h.layout.zero_threshold = 0.001;
  h.layout.positive_spans = {{0, 2}};
  h.positive = {static_cast<double>(g.below(9)), static_cast<double>(g.below(9))};
  h.zero_count = 1;
  h.count = 1 + h.positive[0] + h.positive[1];
  h.sum = static_cast<double>(g.below(100)) / 7;
  return h;
}

}  // namespace

TEST_CASE("kept answers are those of evaluating anew to the last byte, whatever happens in between", "[cache]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  test::ExpressionGenerator g(seed);
  Fixture f;
  Comparison compare{f};
  const std::int64_t step = 15'000;
  const std::int64_t begin = f.clock.now_ms() / step * step - 3'600'000;
  std::int64_t now = begin + 1'800'000;
  std::vector<model::Labels> series;
  static const char* const names[] = {"a_total", "b_total", "g", "h_bucket"};
  const auto add = [&](const std::string& name, const std::string& x, const std::string& y, const std::string& z) {
    series.push_back(model::Labels::of({{"__name__", name}, {"x", x}, {"y", y}, {"z", z}, {"le", name[0] == 'h' ? x : ""}}));
  };
  for (const char* name : names)
    for (const char* x : {"1", "2", "3"}) add(name, x, x[0] == '2' ? "q" : "p", "");
  std::vector<std::string> texts{"sum by (x) (rate(a_total[1m]))", "a_total", "max_over_time(rate(b_total[1m])[5m:1m])", "topk(1, a_total)",
                                 "a_total offset 1m / on (x, z) group_left b_total", "absent(a_total{x=\"3\"})", "avg_over_time(a_total[2m])",
                                 "sum_over_time(a_total[5m])", "sum(max by (y) (a_total))", "topk(1, count by (y) (g))", "bottomk(2, group by (z) (g))",
                                 "avg(abs(a_total or on (z) b_total))", "quantile(0.4, g)", "stddev(sum by (y) (avg_over_time(g[90s])))",
                                 "label_replace(a_total, \"z\", \"\", \"z\", \".*\")", "label_join(g, \"x\", \"-\", \"y\")", "-(a_total or b_total)",
                                 "label_replace(sum by (x) (g), \"w\", \"$1\", \"x\", \"(.*)\")", "sum by (y) (g)", "avg by (y) (g)", "avg(b_total)",
                                 "sum_over_time(g[2m])", "count_values(\"v\", round(a_total, 50))", "sum(sum_over_time(sum by (z) (a_total)[3m:30s]))",
                                 "quantile_over_time(0.3, round(a_total - 60, 60)[3m:15s])", "increase(a_total[4h])", "sum_over_time(b_total[5h])",
                                 "max_over_time(b_total[4h])", "rate(b_total[2m] anchored)", "histogram_quantile(0.9, sum by (le, y) (rate(h_bucket[2m])))"};
  for (int round = 0; round < 400; ++round) {
    INFO("round " << round);
    // Usual traffic, and what is not usual.
    storage::WriteBatch batch;
    for (const model::Labels& labels : series) {
      if (g.below(8) == 0) continue;
      if (labels.metric() == "g" && labels.get("x") == "3" && round % 50 < 20)
        batch.histograms.push_back({labels, {{now, histogram_of(g)}}});
      else
        batch.series.push_back({labels, {{now, g.below(30) == 0 ? -0.0 : static_cast<double>(g.below(1000)) / 7}}});
    }
    REQUIRE(f.store->write(std::move(batch)));
    now += step;
    f.clock.advance(Millis(step));  // or what is written soon is too new
    const model::Labels& some = series[g.below(series.size())];
    switch (g.below(14)) {
      case 0: f.write(some, {{begin + static_cast<std::int64_t>(g.below(static_cast<std::size_t>(now - begin))), 7.7}}); break;
      case 1: f.write(some, {{now - step * static_cast<std::int64_t>(g.below(40)), model::stale_nan}}); break;
      case 2: {
        const std::int64_t from = now - static_cast<std::int64_t>(g.below(600'000));
        REQUIRE(f.store->erase({{model::Matcher::equal("x", std::to_string(1 + g.below(3)))}}, {from, from + 60'000}));
        break;
      }
      case 3: REQUIRE(f.store->seal()); break;
      case 4:
        if (texts.size() < 80) texts.push_back(g.vector(1 + static_cast<int>(g.below(2))));
        break;
      case 5:
        if (series.size() < 40) add(names[g.below(4)], std::to_string(1 + g.below(3)), g.below(2) == 0 ? "p" : "q", std::to_string(g.below(30)));
        break;
      case 6:
        if (series.size() > 14) series.erase(series.begin() + static_cast<std::ptrdiff_t>(g.below(series.size())));
        break;
      default: break;
    }
    for (int i = 0; i < 4; ++i) {
      const std::int64_t steps = 1 + static_cast<std::int64_t>(g.below(60));
      const std::int64_t end = now - step * static_cast<std::int64_t>(g.below(10)) + (g.below(20) == 0 ? 1 : 0);
      compare.check(texts[g.below(texts.size())], end - steps * step, end, step);
    }
  }
  CHECK(compare.answered > 500);
  CHECK(f.count("hits_total") > 200);
  CHECK(f.count("steps_total") > 2000);
}

TEST_CASE("sums over many series stay the same to the last byte while more of them come", "[cache]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  test::ExpressionGenerator g(seed);
  Fixture f;
  Comparison compare{f};
  const std::int64_t step = 15'000;
  std::int64_t now = f.clock.now_ms() / step * step - 1'800'000;
  std::size_t count = 400;  // cut in two parts; beyond 512 in four
  for (int round = 0; round < 60; ++round) {
    INFO("round " << round << ", " << count << " series");
    storage::WriteBatch batch;
    for (std::size_t i = 0; i < count; ++i)
      batch.series.push_back({model::Labels::of({{"__name__", "m"}, {"g", std::to_string(i % 3)}, {"i", std::to_string(i)}}),
                              {{now, static_cast<double>(g.below(100'000)) / 7}}});
    REQUIRE(f.store->write(std::move(batch)));
    if (g.below(10) == 0) REQUIRE(f.store->seal());
    for (const char* text : {"sum(m)", "avg by (g) (rate(m[1m]))", "sum by (g) (avg_over_time(m[1m]))", "avg(m) + sum(m)"})
      compare.check(text, now - 20 * step, now, step);
    now += step;
    count += g.below(7);
  }
  CHECK(count > 512);
  CHECK(f.count("hits_total") > 170);  // of the rate, which has an info, nothing is known
}

TEST_CASE("an answer that is cut into another number of parts is not joined to what is known", "[cache]") {
  struct Cut final : test::CountingReader {
    using CountingReader::CountingReader;
    std::int64_t changed_since(std::uint64_t, std::string_view) const override { return std::numeric_limits<std::int64_t>::max(); }
    std::size_t parts_of(const model::Matchers&) const override {
      ++resolved;
      return parts;
    }
    std::size_t parts = 2;
    mutable int resolved = 0;
  };
  const test::MemoryStore store;
  Cut reader(store);
  ResultCache cache(reader, 1 << 20, nullptr);
  const model::Labels labels = model::Labels::of({{"a", "b"}});
  using Asked = std::vector<std::pair<std::int64_t, std::int64_t>>;
  Asked evaluated;
  double value = 0;  // of all steps of one evaluation
  std::size_t cut = 2;
  const auto ask = [&](std::string_view text, std::int64_t end) {
    evaluated.clear();
    reader.resolved = 0;
    const auto answer = cache.answer({text, 0, end, 1, 300'000}, [&](std::int64_t from, std::int64_t to) {
      evaluated.emplace_back(from, to);
      ++value;
      MatrixSeries series{labels, {}};
      for (std::int64_t t = from; t <= to; ++t) series.samples.push_back({t, value});
      return Result<Answer>(Answer{Matrix{std::move(series)}, {}, {}, from, {{R"({__name__="m"})", cut}}});
    });
    REQUIRE(answer);
    std::vector<double> values;
    for (const model::Sample& s : std::get<Matrix>(answer->value).at(0).samples) values.push_back(s.v);
    return values;
  };
  using Values = std::vector<double>;
  CHECK(ask("sum(m)", 2) == Values{1, 1, 1});
  CHECK(ask("sum(m)", 3) == Values{1, 1, 1, 2});
  CHECK(evaluated == Asked{{3, 3}});
  CHECK(reader.resolved == 0);  // the evaluation told
  CHECK(ask("sum(m)", 3) == Values{1, 1, 1, 2});
  CHECK(evaluated.empty());
  CHECK(reader.resolved == 1);
  cut = reader.parts = 4;
  CHECK(ask("sum(m)", 4) == Values{4, 4, 4, 4, 4});
  CHECK(evaluated == Asked{{4, 4}, {0, 4}});
  CHECK(ask("sum(m)", 5) == Values{4, 4, 4, 4, 4, 5});  // what was evaluated anew is known
  cut = reader.parts = 8;
  CHECK(ask("sum(m)", 5) == Values{6, 6, 6, 6, 6, 6});
  CHECK(evaluated == Asked{{0, 5}});
  // Read twice, and not alike: it stands for neither.
  cut = parts_mixed;
  CHECK(ask("avg(m)", 1) == Values{7, 7});
  CHECK(ask("avg(m)", 2) == Values{8, 8, 8});
  // What is not added up does not depend on parts.
  CHECK(ask("max(m)", 1) == Values{9, 9});
  cut = 2;
  CHECK(ask("max(m)", 2) == Values{9, 9, 10});
  CHECK(ask("max(m)", 2) == Values{9, 9, 10});
  CHECK(reader.resolved == 0);
}

TEST_CASE("what ends in an error is neither known nor unknown", "[cache]") {
  const test::MemoryStore store;
  Registry registry;
  struct Steady final : test::CountingReader {
    using CountingReader::CountingReader;
    std::int64_t changed_since(std::uint64_t, std::string_view) const override { return std::numeric_limits<std::int64_t>::max(); }
  };
  const Steady reader(store);
  ResultCache cache(reader, 1 << 20, &registry);
  std::optional<Code> error;
  const auto ask = [&](std::int64_t end) {
    return cache.answer({"m", 0, end, 1, 300'000}, [&](std::int64_t from, std::int64_t) -> Result<Answer> {
      if (error) return fail(*error, "so it ends");
      return Answer{Matrix{{model::Labels::of({{"a", "b"}}), {{from, 1}}}}, {}, {}, from, {}};
    });
  };
  const auto count = [&](const std::string& what) { return registry.counter("plumbline_query_result_cache_" + what + "_total", "").value(); };
  REQUIRE(ask(2));
  CHECK(count("misses") == 1);
  for (const Code code : {Code::timeout, Code::cancelled, Code::over_limit, Code::execution}) {
    error = code;
    CHECK(ask(3).error().code == code);
  }
  CHECK((count("hits") == 0 && count("misses") == 1 && count("steps") == 0));
  error.reset();
  REQUIRE(ask(3));
  CHECK((count("hits") == 1 && count("misses") == 1 && count("steps") == 3));
}

TEST_CASE("a kept sum joins to the last bit with new steps, and is added up anew when its parts change", "[cache]") {
  Fixture f;
  Comparison compare{f};
  std::mt19937_64 random(1);  // the same numbers each time
  const std::int64_t step = 15'000;
  std::int64_t now = f.clock.now_ms() / step * step - 1'800'000;
  // Of all sizes, and each there with the other sign, too: sums are compensated, and only what cancels leaves the last bits to the order.
  const auto write = [&](std::size_t count) {
    std::vector<double> sizes;
    for (int i = 0; i < 250; ++i) sizes.push_back(std::ldexp(static_cast<double>(random() % 1'000'003) / 7, static_cast<int>(random() % 80)));
    storage::WriteBatch batch;
    for (std::size_t i = 0; i < count; ++i)
      batch.series.push_back({model::Labels::of({{"__name__", "m_total"}, {"g", std::to_string(i % 3)}, {"i", std::to_string(i)}}),
                              {{now, i / 250 % 2 == 0 ? sizes[i % 250] : -sizes[i % 250] + static_cast<double>(random() % 100) / 7}}});
    REQUIRE(f.store->write(std::move(batch)));
  };
  for (int i = 0; i < 40; ++i, now += step) write(500);  // in two parts
  const std::vector<std::string> texts{"sum(m_total)", "sum by (g) (m_total)", "avg(m_total)", "sum(sum_over_time(m_total[1m]))", "avg by (g) (rate(m_total[2m]))", "sum(avg_over_time(m_total[100s]))"};
  const auto start = [&] { return now - 30 * step; };
  for (const std::string& text : texts) compare.check(text, start(), now - step, step);
  REQUIRE(f.count("hits_total") == 0);
  for (int i = 0; i < 4; ++i, now += step) {
    write(500);
    for (const std::string& text : texts) compare.check(text, start(), now, step);
  }
  CHECK(f.count("hits_total") == 4 * texts.size());
  CHECK(f.count("steps_total") == 4 * texts.size() * 30);
  // Four parts: a sum that was known has other last bits now, though nothing of its steps has changed.
  const std::string known = compare.body("sum(m_total)", start(), now - step, step, true);
  write(520);
  for (const std::string& text : texts) compare.check(text, start(), now, step);
  CHECK(compare.body("sum(m_total)", start(), now - step, step, false) != known);
  CHECK(f.count("steps_total") == (4 * texts.size() + 1) * 30);
}

TEST_CASE("columns that come in another order are joined as if all steps were evaluated together", "[cache]") {
  Fixture f;
  Comparison compare{f};
  const std::int64_t step = 60'000, now = f.clock.now_ms() / step * step, start = now - 30 * step;
  const auto series = [](const char* x, const char* y) { return model::Labels::of({{"__name__", "g"}, {"x", x}, {"y", y}}); };
  const auto put = [&](const char* x, const char* y, std::int64_t from, std::int64_t to, double v) {
    std::vector<model::Sample> samples;
    for (std::int64_t t = from; t <= to; t += step) samples.push_back({t, v});
    f.write(series(x, y), std::move(samples));
  };
  // The group `b` comes first as long as x="1" is read, and behind `a` where it is not. The groups are equal, so that whichever comes first
  // is the one that topk takes.
  put("1", "b", start, start + 5 * step, 7);
  put("2", "a", start, now - step, 7);
  put("3", "b", start, now - step, 7);
  const std::vector<std::string> texts{"topk(1, max by (y) (g))", "bottomk(1, sum by (y) (g > 1))", "limitk(1, max by (y) (g))",
                                       "topk(1, max by (y) (max_over_time(g[1m])))", "sort(g)", "g", "max by (x) (g)", "g or on (x) (g + 1)"};
  for (const std::string& text : texts) compare.check(text, start, now - step, step);
  // And new series before, between and behind those that are known.
  for (const auto& [x, y] : {std::pair{"2", "a"}, {"3", "b"}, {"0", "c"}, {"1", "a"}, {"25", "b"}, {"4", "a"}}) put(x, y, now, now, 7);
  for (const std::string& text : texts) compare.check(text, start, now, step);
  CHECK(f.count("hits_total") == texts.size());
  CHECK(f.count("steps_total") == 30 * texts.size());
}

TEST_CASE("a sender of old samples costs the answers of its own metric alone", "[cache]") {
  Fixture f;
  ResultCache cache(*f.store, 1 << 20, nullptr);
  const std::int64_t now = f.clock.now_ms() / 60'000 * 60'000, start = now - 3'600'000;
  const auto labels = [](const char* name) { return model::Labels::of({{"__name__", name}}); };
  for (const char* name : {"m", "other"}) f.write(labels(name), {{start, 1}, {now - 60'000, 2}});
  std::size_t steps = 0;
  const auto ask = [&](const char* text) {
    REQUIRE(f.ask(cache, text, start, now, 60'000, &steps));
    return steps;
  };
  for (const char* text : {"m", "other", "m + other"}) CHECK(ask(text) == 61);
  for (int i = 0; i < 1000; ++i) f.write(labels("other"), {{start + 1'800'000 + i, 3}});
  CHECK(ask("m") == 0);
  CHECK(ask("other") == 31);
  CHECK(ask("m + other") == 31);
  REQUIRE(f.store->erase({{model::Matcher::equal("__name__", "other")}}, {start, start + 3'000'000}));
  CHECK(ask("m") == 0);
  CHECK(ask("other") == 61);
  f.write(labels("m"), {{now, 4}});  // usual traffic: of which metric it is does not matter
  CHECK(ask("m") == 1);
}

TEST_CASE("errors that only the whole range has are not missed", "[cache]") {
  Fixture f;
  Comparison compare{f};
  const std::int64_t step = 60'000, now = f.clock.now_ms() / step * step, start = now - 20 * step;
  // Two series one after the other, which become one without their x, and by a bare minus.
  const auto series = [](const char* name, const char* x) { return model::Labels::of({{"__name__", name}, {"x", x}}); };
  f.write(series("m", "1"), {{start, 1}, {start + step, 1}, {start + 2 * step, model::stale_nan}});
  f.write(series("n", "1"), {{start, 1}, {start + step, 1}, {start + 2 * step, model::stale_nan}});
  const std::vector<std::string> texts{"label_replace(m, \"x\", \"\", \"x\", \".*\")", "label_join(m, \"x\", \"\")", "-(m or on (x) n)",
                                       "rate((m or on (x) n)[2m:1m])", "sum(-(m or on (x) n))"};
  for (const std::string& text : texts) compare.check(text, start, now - step, step);
  f.write(series("m", "2"), {{now, 1}});
  f.write(series("n", "2"), {{now, 1}});
  f.write(series("n", "1"), {{now, 1}});
  for (const std::string& text : texts) compare.check(text, start, now, step);
  CHECK(compare.body(texts[0], start, now, step, true).find("same labelset") != std::string::npos);
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
                          "rate(m[5m] anchored)", "max_over_time(m[5m:1m] offset 5m)", "m offset (5m + 1m)", "-m", "-(sum(m) or n * 2)", "max_over_time(m[3h])",
                          "sum_over_time(m[3h])", "increase(m[30m:1m])", "label_replace(sum by (b) (m), \"a\", \"$1\", \"b\", \"(.*)\")",
                          "label_join(label_replace(sum by (b) (m), \"a\", \"\", \"b\", \"\"), \"c\", \"\", \"a\")", "histogram_quantiles(m, \"q\", 0.5, 0.9)",
                          "label_replace(topk(1, max without (a) (m)), \"a\", \"\", \"b\", \"\")", "last_over_time((m or n)[5m:1m])"})
    CHECK(keeps(yes));
  for (const char* no : {"m @ 100", "m @ start()", "rate(m[5m] @ end())", "m offset -1m", "m smoothed", "rate(m[5m] smoothed)", "end()", "m + start()",
                         "m * range()", "{job=\"a\"}", "rate({__name__=~\"a|b\"}[5m])", "info(m)", "max_over_time(m[5m:1m] offset -5m)",
                         "rate(m[range()])", "rate(m[step()])", "1 + (m @ 3)", "max_over_time((m offset -1m)[5m:1m])", "sum(m) > bool scalar(m @ 1)",
                         "label_replace(m, \"a\", \"$1\", \"b\", \"(.*)\")", "label_join(sum by (a) (m), \"a\", \"\", \"b\")", "-(m or n)", "rate((m or n)[5m:1m])",
                         "sum(-(m or sum(n)))", "label_replace(max without (b) (m), \"a\", \"\", \"b\", \"\")", "rate(m[4h])", "sum(increase(m[1d]))",
                         "avg_over_time(m[4h])", "min(min_over_time(m[4h]))", "-(m * on (a) group_left (__name__) (n or on (a) o))", "sum_over_time(m[1w])", "histogram_quantiles(m, \"q\", time())",
                         "label_replace(label_replace(sum(m), \"a\", \"\", \"b\", \"\"), \"a\", \"\", \"b\", \"\")", "-count_values(\"__name__\", m)"})
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
