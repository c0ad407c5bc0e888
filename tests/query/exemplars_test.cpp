// Exemplars and the status of the store over HTTP, on a real store.
#include <catch2/catch.hpp>

#include "query/query.hpp"
#include "tests/query/route_call.hpp"
#include "tests/storage/store_fixture.hpp"

using namespace plumbline;

namespace {

struct Fixture : test::StoreFixture {
  http::Routes routes;
  std::int64_t now = 0;

  Fixture() {
    open();
    now = clock.now_ms();
    routes = query::exemplar_routes(*store);
  }
  void write(const model::Labels& series, std::int64_t ms, double value, std::string trace_id) {
    storage::WriteBatch batch;
    model::Row row{ms * 1'000'000, {{"value", value}, {"exemplar.user", std::string("7")}, {"trace_id", std::move(trace_id)}}};
    batch.events.push_back({model::EventKind::exemplar, series, {std::move(row)}});
    REQUIRE(store->write(std::move(batch)));
  }
  std::string ask(http::Pairs query) {
    const http::Response response = test::call(routes, "POST", "/api/v1/query_exemplars", std::move(query));
    CHECK(response.status == 200);
    return response.body;
  }
  std::string told(std::int64_t ms, std::string_view value, std::string_view id) const {
    return R"({"labels":{"trace_id":")" + std::string(id) + R"(","user":"7"},"value":")" + std::string(value) +
           R"(","timestamp":)" + std::to_string(ms / 1000) + "." + std::to_string(1000 + ms % 1000).substr(1) + "}";
  }
};

std::string success(std::string_view data) { return R"({"status":"success","data":)" + std::string(data) + "}"; }

}  // namespace

TEST_CASE_METHOD(Fixture, "query_exemplars finds those of every series that the expression selects") {
  const model::Labels a = model::Labels::of({{"__name__", "a_bucket"}, {"le", "1"}}), b = model::Labels::of({{"__name__", "b"}});
  const std::int64_t t = now / 1000 * 1000 - 4999;
  write(a, t + 10, 0.5, "y");
  write(a, t, 0.25, "x");
  write(b, t, 2, "z");
  write(model::Labels::of({{"__name__", "c"}}), t, 2, "never asked for");
  // Repeated by the sender: kept once in a head, and told once whatever lies in sealed blocks.
  write(a, t, 0.25, "x");
  CHECK(store->stats().head_rows == 4);
  const std::string series_a = R"({"seriesLabels":{"__name__":"a_bucket","le":"1"},"exemplars":[)" + told(t, "0.25", "x") + "," +
                               told(t + 10, "0.5", "y") + "]}";
  const std::string series_b = R"({"seriesLabels":{"__name__":"b"},"exemplars":[)" + told(t, "2", "z") + "]}";
  const http::Pairs both{{"query", "histogram_quantile(0.9, rate(a_bucket[5m])) / on() group_left() (b > a_bucket)"}};
  const auto check = [&] {
    CHECK(ask(both) == success("[" + series_a + "," + series_b + "]"));
    CHECK(ask({{"query", "b"}, {"start", std::to_string(t / 1000 + 1)}}) == success("[]"));
    CHECK(ask({{"query", "1 + 1"}}) == success("[]"));
  };
  check();
  REQUIRE(store->seal());
  check();
  write(a, t, 0.25, "x");
  check();
  reopen();
  routes = query::exemplar_routes(*store);
  check();
}

TEST_CASE_METHOD(Fixture, "a trace leads to its exemplars by the id index") {
  const model::Labels a = model::Labels::of({{"__name__", "a"}});
  for (int i = 0; i < 50; ++i) write(a, now - i, i, "trace" + std::to_string(i));
  REQUIRE(store->seal());
  storage::EventQuery query;
  query.kind = model::EventKind::exemplar;
  query.id = {"trace_id", "trace17"};
  std::vector<double> found;
  REQUIRE(store->scan(query, [&](const storage::RowBlock& block) {
    for (const model::Value& v : block.find("value")->values) found.push_back(std::get<double>(v));
    return true;
  }));
  CHECK(found == std::vector<double>{17});
}

TEST_CASE_METHOD(Fixture, "query_exemplars refuses what upstream refuses") {
  const auto refused = [&](http::Pairs query) {
    const http::Response response = test::call(routes, "GET", "/api/v1/query_exemplars", std::move(query));
    CHECK(response.status == 400);
    return response.body;
  };
  CHECK(refused({{"query", "a{"}}).find(R"("errorType":"bad_data")") != std::string::npos);
  CHECK(refused({{"query", "a"}, {"start", "2"}, {"end", "1"}}).find("end timestamp must not be before start") !=
        std::string::npos);
}

TEST_CASE_METHOD(Fixture, "status/tsdb names who makes the index large") {
  storage::WriteBatch batch;
  for (int i = 0; i < 20; ++i)
    batch.series.push_back({model::Labels::of({{"__name__", i < 15 ? "big" : "small"}, {"pod", "p" + std::to_string(i)}}), {{now, 1}}});
  REQUIRE(store->write(std::move(batch)));
  routes = query::tsdb_status_routes(*store);
  const std::string body = test::call(routes, "GET", "/api/v1/status/tsdb", {{"limit", "1"}}).body;
  INFO(body);
  const auto says = [&](const std::string& text) { return body.find(text) != std::string::npos; };
  const std::string time = std::to_string(now);
  CHECK(says(R"("headStats":{"numSeries":20,"numLabelPairs":22,"chunkCount":20,"minTime":)" + time + R"(,"maxTime":)" + time + "}"));
  CHECK(says(R"("seriesCountByMetricName":[{"name":"big","value":15}])"));
  CHECK(says(R"("labelValueCountByLabelName":[{"name":"pod","value":20}])"));
  CHECK(says(R"("memoryInBytesByLabelName":[{"name":"pod","value":)"));
  CHECK(says(R"("seriesCountByLabelValuePair":[{"name":"__name__=big","value":15}])"));
  for (const char* limit : {"0", "10001", "x"})
    CHECK(test::call(routes, "GET", "/api/v1/status/tsdb", {{"limit", limit}}).status == 400);
}
