// What is told of a query: stats=, the slow-query log, the counter, the plan; and how it ends before its time.
#include <catch2/catch.hpp>

#include <map>

#include <fmt/format.h>

#include "daemon/base/text.hpp"
#include "query/query.hpp"
#include "tests/query/counting_reader.hpp"
#include "tests/query/route_call.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;

namespace {

// m{i="0"}, m{i="1"}: a sample every 10 s from 0 on, value = seconds.
void fill(test::MemoryStore& store, int samples) {
  storage::WriteBatch batch;
  for (int s = 0; s < 2; ++s) {
    storage::SeriesSamples out;
    out.labels = model::Labels::of({{"__name__", "m"}, {"i", std::to_string(s)}});
    for (int k = 0; k < samples; ++k) out.samples.push_back({k * 10'000, static_cast<double>(k * 10)});
    batch.series.push_back(std::move(out));
  }
  REQUIRE(store.write(std::move(batch)));
}

struct LinesLog final : Log {
  std::vector<std::map<std::string, std::string>> lines;
  void write(LogLevel level, std::string_view message, LogFields fields) override {
    std::map<std::string, std::string> line{{"msg", std::string(message)}, {"level", level == LogLevel::warn ? "warn" : "other"}};
    for (const LogField& f : fields) line[std::string(f.key)] = f.value;
    lines.push_back(std::move(line));
  }
};

struct Fixture {
  test::MemoryStore store;
  test::ManualClock clock{600'000};
  LinesLog log;
  Registry registry;
  query::Engine engine{store, clock, {}};
  http::Routes routes = query::prometheus_routes(engine, store, clock, {"1", "x"}, {&log, &registry, Millis(10'000)});
  http::Routes plan = query::plan_routes(engine, store, clock);

  explicit Fixture(int samples = 61) { fill(store, samples); }
  query::QueryStats stats(std::string_view expression, std::int64_t start_s, std::int64_t end_s, std::int64_t step_s) const {
    query::QueryStats out;
    out.count_steps = true;
    INFO(expression);
    REQUIRE(engine.range(expression, start_s * 1000, end_s * 1000, step_s * 1000, &out));
    return out;
  }
  http::Response ask(http::Pairs parameters, Millis waited = Millis(0), std::stop_token gone = {}) const {
    http::Request request;
    request.method = "GET";
    request.path = "/api/v1/query";
    request.query = std::move(parameters);
    request.waited = waited;
    request.gone = std::move(gone);
    return routes.at(0).handler(request);
  }
  std::uint64_t count(const std::string& result) {
    return registry.counter("plumbline_queries_total", "PromQL queries over HTTP, by result", {{"result", result}}).value();
  }
};

using Steps = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("samples are counted at each step as Prometheus counts them", "[stats]") {
  const Fixture f;
  CHECK(f.stats("m", 0, 20, 10).samples_per_step == Steps{2, 2, 2});
  CHECK(f.stats("m", 590, 1010, 210).samples_per_step == Steps{2, 2, 0});  // the last is beyond the lookback
  CHECK(f.stats("m + m", 0, 10, 10).samples_per_step == Steps{4, 4});      // two selectors, though read once
  CHECK(f.stats("sum_over_time(m[30s])", 0, 40, 20).samples_per_step == Steps{2, 6, 6});
  CHECK(f.stats("sum(rate(m{i=\"0\"}[1m] offset 10s))", 60, 80, 10).samples_per_step == Steps{6, 6, 6});
  // The same at each step: counted at each, evaluated once.
  CHECK(f.stats("m @ 20", 0, 20, 10).samples_per_step == Steps{2, 2, 2});
  CHECK(f.stats("sum_over_time(m[30s] @ 100)", 0, 10, 10).samples_per_step == Steps{6, 6});
  // The points of a subquery count, not what they are made of.
  CHECK(f.stats("max_over_time(sum_over_time(m[1m])[30s:10s])", 60, 70, 10).samples_per_step == Steps{6, 6});
  CHECK(f.stats("m smoothed", 0, 10, 10).samples_per_step == Steps{2, 2});
  CHECK(f.stats("sum(increase(m[30s] anchored))", 60, 60, 10).samples_per_step == Steps{6});
  CHECK(f.stats("absent(m)", 0, 10, 10).samples_per_step == Steps{2, 2});
  CHECK(f.stats("1 + 1", 0, 10, 10).samples_per_step == Steps{0, 0});
  CHECK(f.stats("vector(scalar(m{i=\"0\"}))", 0, 10, 10).samples_per_step == Steps{1, 1});

  const query::QueryStats sum = f.stats("sum(m)", 0, 600, 10);
  CHECK(sum.samples == 2 * 61);
  REQUIRE(sum.selectors.size() == 1);
  CHECK(sum.selectors[0].selector == "{__name__=\"m\"}");
  CHECK(sum.selectors[0].series == 2);
  CHECK(sum.selectors[0].samples == 2 * 61);
  CHECK_FALSE(sum.selectors[0].summaries);
  // The samples of one series, then its column and the group.
  CHECK(sum.peak >= 61 + 61);
  CHECK(sum.peak <= 3 * 61);
}

TEST_CASE("stale markers do not count", "[stats]") {
  Fixture f;
  storage::WriteBatch batch;
  batch.series.push_back({model::Labels::of({{"__name__", "gone"}}), {{0, 1}, {10'000, model::stale_nan}, {20'000, 2}}});
  REQUIRE(f.store.write(std::move(batch)));
  CHECK(f.stats("gone", 0, 20, 10).samples_per_step == Steps{1, 0, 1});
  CHECK(f.stats("count_over_time(gone[30s])", 0, 20, 10).samples_per_step == Steps{1, 1, 2});
}

TEST_CASE("what summaries answer counts the same", "[stats]") {
  const Fixture f(6 * 360);  // six hours
  const query::QueryStats long_window = f.stats("sum_over_time(m[5h])", 6 * 3600 - 10, 6 * 3600 - 10, 60);
  CHECK(long_window.samples_per_step == Steps{2 * 5 * 360});
  REQUIRE(long_window.selectors.size() == 1);
  CHECK(long_window.selectors[0].summaries);
  CHECK(long_window.selectors[0].series == 2);
  CHECK(long_window.selectors[0].samples == 0);
  // A subquery of the same window does not use them.
  CHECK(f.stats("sum_over_time(m[5h:10s])", 6 * 3600 - 10, 6 * 3600 - 10, 60).samples_per_step == Steps{2 * 5 * 360});
}

TEST_CASE("stats= has upstream's shape", "[stats][api]") {
  const Fixture f;
  const std::string timings =
      R"("timings":{"evalTotalTime":0,"resultSortTime":0,"queryPreparationTime":0,"innerEvalTime":0,"execQueueTime":1.5,"execTotalTime":1.5})";
  const std::string begin = R"x({"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[600,"1200"]}],"stats":{)x";
  const http::Pairs query{{"query", "sum(m)"}, {"time", "600"}};
  const auto with = [&](std::string stats) {
    http::Pairs all = query;
    all.emplace_back("stats", std::move(stats));
    return f.ask(all, Millis(1'500)).body;
  };
  const query::QueryStats known = f.stats("sum(m)", 600, 600, 1);
  const std::string samples = fmt::format(R"("totalQueryableSamples":2,"peakSamples":{}}}}}}}}})", known.peak);
  CHECK(with("all") == begin + timings + R"(,"samples":{"totalQueryableSamplesPerStep":[[600,2]],)" + samples);
  CHECK(with("true") == begin + timings + R"(,"samples":{)" + samples);
  CHECK(with("").find("stats") == std::string::npos);
  CHECK(test::call(f.routes, "POST", "/api/v1/query_range", {{"query", "m"}, {"start", "0"}, {"end", "1"}, {"step", "0.5"}, {"stats", "all"}})
            .body.find(R"("totalQueryableSamplesPerStep":[[0,2],[0.500,2],[1,2]],"totalQueryableSamples":6)") != std::string::npos);
}

TEST_CASE("a query ends when its client goes", "[stats][stop]") {
  Fixture f;
  std::stop_source gone;
  CHECK(f.ask({{"query", "m"}}, Millis(0), gone.get_token()).status == 200);
  gone.request_stop();
  const http::Response r = f.ask({{"query", "m"}}, Millis(0), gone.get_token());
  CHECK(r.status == 499);
  CHECK(r.body == R"({"status":"error","errorType":"canceled","error":"query was canceled in query execution"})");
  CHECK(f.count("ok") == 1);
  CHECK(f.count("cancelled") == 1);

  // In the middle: the client goes while the first of two selectors is read; the second never is.
  class Leaving final : public test::CountingReader {
   public:
    using CountingReader::CountingReader;
    Status select(const storage::SeriesQuery& q, const storage::SeriesVisitor& visit) const override {
      source.request_stop();
      return CountingReader::select(q, visit);
    }
    mutable std::stop_source source;
  };
  const Leaving reader(f.store);
  query::EngineOptions options;
  options.stop = reader.source.get_token();
  query::QueryStats stats;
  const auto cut = query::Engine(reader, f.clock, options).instant("m{i=\"0\"} or m{i=\"1\"}", 600'000, &stats);
  REQUIRE_FALSE(cut);
  CHECK(cut.error().code == Code::cancelled);
  CHECK(reader.ranges.size() == 1);
  CHECK(stats.selectors.size() == 1);  // told even so
}

TEST_CASE("waiting for a turn is part of the time limit", "[stats][stop]") {
  Fixture f;
  const http::Response late = f.ask({{"query", "m"}}, Millis(120'000));
  CHECK(late.status == 503);
  CHECK(late.body == R"({"status":"error","errorType":"timeout","error":"query timed out in query queue"})");
  CHECK(f.ask({{"query", "m"}, {"timeout", "1s"}}, Millis(1'001)).status == 503);
  CHECK(f.ask({{"query", "m"}, {"timeout", "1s"}}, Millis(999)).status == 200);
  CHECK(f.count("waited_too_long") == 2);
  CHECK(f.count("ok") == 1);
}

TEST_CASE("slow queries are logged with what they read", "[stats][log]") {
  Fixture f;
  REQUIRE(f.ask({{"query", "sum(m)"}}).status == 200);
  CHECK(f.log.lines.empty());

  const test::HastyClock clock;  // a second passes whenever somebody looks
  const query::Engine engine(f.store, clock, {});
  const http::Routes routes = query::prometheus_routes(engine, f.store, clock, {"1", "x"}, {&f.log, &f.registry, Millis(1'000)});
  REQUIRE(test::call(routes, "GET", "/api/v1/query_range", {{"query", "sum(m) + 1"}, {"start", "60"}, {"end", "120"}, {"step", "30"}}).status == 200);
  REQUIRE(f.log.lines.size() == 1);
  auto line = f.log.lines[0];
  CHECK(line["level"] == "warn");
  CHECK(line["msg"] == "slow query");
  CHECK(line["query"] == "sum(m) + 1");
  CHECK(line["start"] == "60");
  CHECK(line["end"] == "120");
  CHECK(line["step_ms"] == "30000");
  CHECK(line["result"] == "ok");
  CHECK(line["series"] == "2");
  CHECK(line["samples"] == "26");
  CHECK(line["read"] == "{__name__=\"m\"} -239.999..120 samples=26 series=2");
  CHECK(std::stod(line["seconds"]) > 1);

  // One that fails is told, too; a long one in part, and never in the middle of a letter.
  f.log.lines.clear();
  std::string wide = "sum(m";
  while (wide.size() < 4'000) wide += " or m{a=\"ä\"}";
  wide += ")";
  test::call(routes, "GET", "/api/v1/query", {{"query", wide}, {"timeout", "3s"}});
  REQUIRE(f.log.lines.size() == 1);
  CHECK(f.log.lines[0]["result"] == "timeout");
  CHECK(f.log.lines[0]["query"].size() <= 1'027);
  CHECK(f.log.lines[0]["query"].ends_with("..."));
  CHECK(valid_utf8(f.log.lines[0]["query"]));

  f.log.lines.clear();
  const http::Routes quiet = query::prometheus_routes(engine, f.store, clock, {"1", "x"}, {&f.log, &f.registry, Millis(0)});
  REQUIRE(test::call(quiet, "GET", "/api/v1/query", {{"query", "sum(m)"}, {"time", "60"}}).status == 200);
  CHECK(f.log.lines.empty());
}

TEST_CASE("a plan tells what would be read and how", "[plan]") {
  const Fixture f;
  const std::string matchers = R"("matchers":[{"name":"__name__","type":"=","value":"m"}])";
  const http::Response r = test::call(f.plan, "POST", "/api/v1/plan",
                                      {{"query", "sum by (i) (rate(m[1m])) / (m @ 100)"}, {"start", "300"}, {"end", "600"}, {"step", "60"}});
  CHECK(r.body ==
        R"x({"status":"success","data":{"start":300,"end":600,"step":60,"seriesRead":2,"seriesMax":300000,"samplesRead":122,"samplesMax":50000000,)x"
        R"x("plan":{"node":"binary","expr":"sum by (i) (rate(m[1m])) / (m @ 100)","steps":6,"constant":false,"fused":false,"children":[)x"
        R"x({"node":"aggregation","expr":"sum by (i) (rate(m[1m]))","steps":6,"constant":false,"fused":false,"children":[)x"
        R"x({"node":"call","expr":"rate(m[1m])","steps":6,"constant":false,"fused":false,"children":[)x"
        R"x({"node":"range selector","expr":"m[1m]","steps":6,"constant":false,"fused":false,"read":{)x" +
            matchers +
            R"x(,"start":-199.999,"end":600,"series":2,"samples":122,"from":"samples","shared":false},"children":[]}]}]},)x"
            R"x({"node":"selector","expr":"m @ 100","steps":1,"constant":true,"fused":false,"read":{)x" +
            matchers + R"x(,"start":-199.999,"end":600,"series":2,"samples":122,"from":"samples","shared":true},"children":[]}]}}})x");

  const auto ask = [&](const std::string& query) { return test::call(f.plan, "GET", "/api/v1/plan", {{"query", query}, {"time", "600"}}).body; };
  CHECK(ask("max_over_time(m[1m:10s])").find(R"("node":"subquery","expr":"m[1m:10s]","steps":6)") != std::string::npos);
  const auto fused = [&](const std::string& query, const std::string& node) {
    const std::string body = ask(query), begin = "\"expr\":" + json_quote(node) + R"(,"steps":1,"constant":false,"fused":)";
    INFO(body);
    REQUIRE(body.find(begin) != std::string::npos);
    return body.compare(body.find(begin) + begin.size(), 4, "true") == 0;
  };
  CHECK(fused("sum(m)", "m"));
  CHECK(fused("sum(rate(m[1m]))", "m[1m]"));
  CHECK_FALSE(fused("m - (m offset 1m)", "m"));      // one reading for both
  CHECK_FALSE(fused("m smoothed", "m smoothed"));
  CHECK_FALSE(fused("rate(m[1m] anchored)", "m[1m] anchored"));
  CHECK_FALSE(fused("m[1m]", "m[1m]"));
  CHECK_FALSE(fused("absent_over_time(m[1m])", "m[1m]"));
  CHECK(fused("info(m, {a=\"b\"})", "m"));
  CHECK(ask("m[5m]").find(R"("node":"range selector")") != std::string::npos);
  CHECK(ask("none").find(R"("series":0,"samples":0)") != std::string::npos);
  CHECK(ask("sum(m") == R"x({"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:6: parse error: unclosed left parenthesis"})x");
}

TEST_CASE("a plan cuts a long expression between letters", "[plan]") {
  const Fixture f;
  std::string wide;  // in two alignments, so that a cut after any number of bytes meets the middle of a letter in one of them
  for (const char* begin : {"m{a=\"", "mm{a=\""}) {
    wide = begin;
    for (int i = 0; i < 200; ++i) wide += "\u00e4";
    wide += "\"}";
    const std::string body = test::call(f.plan, "GET", "/api/v1/plan", {{"query", wide}, {"time", "600"}}).body;
    CHECK(valid_utf8(body));
    const auto start = body.find(R"("expr":")") + 8;
    const std::string expr = body.substr(start, body.find(R"(",)", start) - start);
    INFO(expr);
    CHECK(expr.ends_with("\u00e4..."));
  }
}

TEST_CASE("a plan says when summaries are enough, and reads no samples itself", "[plan]") {
  Fixture f(6 * 360);
  const test::CountingReader reader(f.store);
  const query::Engine engine(reader, f.clock, {});
  const auto plan = engine.plan("sum(increase(m[5h]))", 6 * 3'600'000, 6 * 3'600'000, 0);
  REQUIRE(plan);
  const query::PlanNode& rate = plan->children.at(0);
  REQUIRE(rate.children.at(0).read);
  CHECK(rate.children.at(0).read->summaries);
  CHECK(rate.children.at(0).read->samples == 2 * 1799);
  CHECK_FALSE(rate.children.at(0).fused);
  CHECK(reader.ranges.empty());

  // Read by another node before: what is in memory is used.
  const auto both = engine.plan("m - increase(m[5h])", 6 * 3'600'000, 6 * 3'600'000, 0);
  REQUIRE(both);
  CHECK(both->children.at(1).children.at(0).read->shared);

  query::EngineOptions options;
  options.series_max = 1;
  const auto many = query::Engine(reader, f.clock, options).plan("m", 600'000, 600'000, 0);
  REQUIRE_FALSE(many);
  CHECK(many.error().code == Code::over_limit);
}

TEST_CASE("a plan ends while it looks series up", "[plan]") {
  // Windows of native histograms, whose series are looked up.
  struct Histograms final : test::CountingReader {
    using CountingReader::CountingReader;
    Result<bool> windows(const storage::SeriesQuery&, std::span<const model::TimeRange>, const storage::WindowVisitor&) const override {
      return false;
    }
    Result<std::vector<model::Labels>> series(const std::vector<model::Matchers>& s, model::TimeRange r, std::size_t n,
                                              const storage::GoOn& go_on) const override {
      for (int i = 0; i < 4; ++i) {
        if (++asked == gone_after) gone.request_stop();
        PLUMBLINE_CHECK_OK(go_on());
      }
      return CountingReader::series(s, r, n, {});
    }
    mutable std::stop_source gone;
    mutable int asked = 0;
    int gone_after = 0;
  };
  Fixture f;
  Histograms reader(f.store);
  query::EngineOptions options;
  options.stop = reader.gone.get_token();
  const query::Engine engine(reader, f.clock, options);
  const auto plan = engine.plan("m", 600'000, 600'000, 0);
  REQUIRE(plan);
  CHECK(plan->read->series == 2);
  CHECK_FALSE(plan->read->samples);
  reader.gone_after = 6;
  const auto ended = engine.plan("m", 600'000, 600'000, 0);
  REQUIRE_FALSE(ended);
  CHECK(ended.error().code == Code::cancelled);
  CHECK(reader.asked == 6);
}
