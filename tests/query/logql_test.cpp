#include <catch2/catch.hpp>

#include "query/logql/logql.hpp"
#include "query/query.hpp"
#include "tests/query/route_call.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;
using namespace plumbline::query;
using test::call;

namespace {

constexpr std::int64_t second = 1'000'000'000;
constexpr std::int64_t t0 = 1'700'000'000 * second;

struct Fixture {
  test::ManualClock clock{t0 / 1'000'000};
  test::MemoryStore store;
  http::Routes routes = loki_routes(store, clock);
  Fixture() {
    storage::WriteBatch batch;
    model::StreamRows api{model::EventKind::log, model::Labels::of({{"app", "api"}, {"env", "prod"}}), {}};
    for (int i = 0; i < 10; ++i)
      api.rows.push_back({t0 - (10 - i) * second,
                          {{"line", std::string(i % 2 == 0 ? "GET ok " : "POST error ") + std::to_string(i)},
                           {"level", std::string(i % 2 == 0 ? "info" : "error")},
                           {"status", std::string(std::to_string(200 + i))}}});
    model::StreamRows web{model::EventKind::log, model::Labels::of({{"app", "web"}}), {{t0 - 5 * second, {{"line", std::string("panic")}}}}};
    batch.events.push_back(std::move(api));
    batch.events.push_back(std::move(web));
    REQUIRE(store.write(std::move(batch)));
  }
  std::vector<std::string> lines(const std::string& query, std::size_t limit = 100, bool forward = true) {
    const auto parsed = logql::parse(query);
    INFO(query << ": " << (parsed ? "" : parsed.error().message));
    REQUIRE(parsed);
    const auto entries = logql::run_logs(store, std::get<logql::LogQuery>(*parsed), {t0 - 3600 * second, t0, limit, forward});
    REQUIRE(entries);
    std::vector<std::string> out;
    for (const auto& e : *entries) out.push_back(e.line);
    return out;
  }
};

std::string refused(std::string_view query) {
  const auto parsed = logql::parse(query);
  return parsed ? "accepted" : parsed.error().message;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE_METHOD(Fixture, "LogQL line filters") {
  CHECK(lines(R"({app="api"} |= "error" != "3")") == Lines{"POST error 1", "POST error 5", "POST error 7", "POST error 9"});
  CHECK(lines(R"({app=~"a.i|web"} |= "panic" or "error 9")") == Lines{"panic", "POST error 9"});
  CHECK(lines(R"({app="api"} != "GET" or "error 1" !~ "[3-7]$")") == Lines{"POST error 9"});
  CHECK(lines(R"({app="api"} |~ "(?i)get OK [02]")") == Lines{"GET ok 0", "GET ok 2"});
  CHECK(lines("{app=\"api\"} |= `ok 4`") == Lines{"GET ok 4"});
}

TEST_CASE_METHOD(Fixture, "LogQL label filters see structured metadata") {
  CHECK(lines(R"({app="api"} | level="error" | status > 206)") == Lines{"POST error 7", "POST error 9"});
  CHECK(lines(R"({app="api"} | level=~"err.*" and (status=201 or status=203))") == Lines{"POST error 1", "POST error 3"});
  CHECK(lines(R"({app="api"} | env="prod", level!="error" | status <= 200)") == Lines{"GET ok 0"});
  CHECK(lines(R"({app=~".+"} | level="")") == Lines{"panic"});
}

TEST_CASE_METHOD(Fixture, "direction and limit") {
  CHECK(lines(R"({app="api"})", 2, false) == Lines{"POST error 9", "GET ok 8"});
  CHECK(lines(R"({app="api"})", 2, true) == Lines{"GET ok 0", "POST error 1"});
}

TEST_CASE("what LogQL has and this engine has not says so with its place") {
  CHECK(refused(R"({a="b"} | json)") == "not supported: parser stage 'json' at 1:11");
  CHECK(refused(R"({a="b"} |> "x")") == "not supported: pattern line filter '|>' at 1:9");
  CHECK(refused(R"(topk(5, rate({a="b"}[5m])))") == "not supported: function 'topk' at 1:1");
  CHECK(refused(R"(rate({a="b"}[5m]) > 1)") == "not supported: operator '>' between metrics at 1:19");
  CHECK(refused(R"({a="b"} | line_format "x")") == "not supported: stage 'line_format' at 1:11");
  CHECK(refused(R"({a="b")") == "1:7: expected ',' or '}', found the end");
  CHECK(refused(R"({a=b})") == "1:4: expected a quoted value, found \"b\"");
  CHECK(refused(R"({a="b"} |~ "(")").starts_with("1:12: "));
  CHECK(refused("{}").starts_with("1:1: a selector needs at least one condition"));
  CHECK(refused(R"({a="b"} |= )") == "1:12: expected a quoted string, found the end");
  CHECK(refused("").find("found the end") != std::string::npos);
  CHECK(refused(std::string(5000, '(')).find("nested") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "Loki's JSON: streams with metadata merged, or categorised") {
  const http::Pairs query{{"query", R"({app="api"} |= "9")"}, {"start", std::to_string(t0 - 60 * second)}, {"end", std::to_string(t0)}};
  CHECK(call(routes, "GET", "/loki/api/v1/query_range", query).body ==
        R"({"status":"success","data":{"resultType":"streams","result":[{"stream":{"app":"api","env":"prod","level":"error","status":"209"},"values":[["1699999999000000000","POST error 9"]]}],"stats":{}}})");
  CHECK(call(routes, "GET", "/loki/api/v1/query_range", query, "", "", {{"x-loki-response-encoding-flags", "categorize-labels"}}).body ==
        R"({"status":"success","data":{"resultType":"streams","encodingFlags":["categorize-labels"],"result":[{"stream":{"app":"api","env":"prod"},"values":[["1699999999000000000","POST error 9",{"structuredMetadata":{"level":"error","status":"209"}}]]}],"stats":{}}})");
}

TEST_CASE_METHOD(Fixture, "Loki's metric answers and health query") {
  CHECK(call(routes, "GET", "/loki/api/v1/query", {{"query", "vector(1)+vector(1)"}, {"time", "4000000000"}}).body ==
        R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[4000000000,"2"]}],"stats":{}}})");
  CHECK(call(routes, "GET", "/loki/api/v1/query",
             {{"query", R"(sum by (level, detected_level) (count_over_time({app="api"} | drop __error__ [1m])))"}, {"time", std::to_string(t0)}})
            .body == R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{"level":"error"},"value":[1700000000,"5"]},{"metric":{"level":"info"},"value":[1700000000,"5"]}],"stats":{}}})");
  // (t-2s, t]: two lines each step
  const auto range = call(routes, "GET", "/loki/api/v1/query_range",
                          {{"query", R"(sum(rate({app="api"}[2s])) * 2)"}, {"start", "1699999994"}, {"end", "1699999996.0"}, {"step", "1s"}});
  CHECK(range.body ==
        R"({"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1699999994,"2"],[1699999995,"2"],[1699999996,"2"]]}],"stats":{}}})");
  CHECK(call(routes, "GET", "/loki/api/v1/query", {{"query", R"(sum(bytes_over_time({app="web"}[1m])))"}, {"time", std::to_string(t0)}})
            .body.find(R"("5"])") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "Loki's labels, values, series and errors") {
  CHECK(call(routes, "GET", "/loki/api/v1/labels").body == R"({"status":"success","data":["app","env"]})");
  CHECK(call(routes, "GET", "/loki/api/v1/label/app/values").body == R"({"status":"success","data":["api","web"]})");
  CHECK(call(routes, "GET", "/loki/api/v1/label/app/values", {{"query", R"({env="prod"})"}}).body == R"({"status":"success","data":["api"]})");
  CHECK(call(routes, "POST", "/loki/api/v1/series", {{"match[]", R"({app="web"})"}}).body == R"({"status":"success","data":[{"app":"web"}]})");
  CHECK(call(routes, "GET", "/loki/api/v1/query_range", {{"query", R"({a="b"} | json)"}}).status == 400);
  CHECK(call(routes, "GET", "/loki/api/v1/query", {{"query", R"({a="b"})"}}).status == 400);
  CHECK(call(routes, "GET", "/loki/api/v1/query_range", {{"query", R"({a="b"})"}, {"limit", "5001"}}).status == 400);
  CHECK(call(routes, "GET", "/loki/api/v1/query_range", {{"query", R"({a="b"})"}, {"direction", "up"}}).status == 400);
  CHECK(call(routes, "GET", "/loki/api/v1/query_range").status == 400);
}
