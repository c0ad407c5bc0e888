// The HTTP shapes that Grafana and promtool read.
#include <catch2/catch.hpp>

#include "query/query.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;

namespace {

struct Api {
  test::MemoryStore store;
  test::ManualClock clock{60'000};
  query::Engine engine{store, clock, {}};
  http::Routes routes = query::prometheus_routes(engine, store, clock, {"0.1.0", "abc"});

  Api() {
    storage::WriteBatch batch;
    batch.series.push_back({model::Labels::of({{"__name__", "up"}, {"job", "a"}}), {{0, 1}, {60'000, 1}}});
    batch.series.push_back({model::Labels::of({{"__name__", "up"}, {"job", "b"}}), {{0, 0}, {60'000, 0.25}}});
    batch.series.push_back({model::Labels::of({{"__name__", "my.metric"}, {"la bel", "\"x\""}}), {{60'000, 1e-9}}});
    batch.metadata.push_back({"up", "gauge", "Whether it is up.", ""});
    REQUIRE(store.write(std::move(batch)));
  }
  http::Response call(std::string path, http::Pairs query, const std::string& method = "GET",
                      const std::string& pattern = "", http::Pairs values = {}) {
    for (const auto& r : routes)
      if (r.method == method && r.pattern == (pattern.empty() ? path : pattern)) {
        http::Request request;
        request.method = method;
        request.path = path;
        request.query = std::move(query);
        request.path_values = std::move(values);
        return r.handler(request);
      }
    FAIL("no route " << path);
    return {};
  }
};

}  // namespace

TEST_CASE_METHOD(Api, "query answers every type") {
  CHECK(call("/api/v1/query", {{"query", "up"}, {"time", "60.080"}}).body ==
        R"({"status":"success","data":{"resultType":"vector","result":[)"
        R"({"metric":{"__name__":"up","job":"a"},"value":[60.080,"1"]},)"
        R"({"metric":{"__name__":"up","job":"b"},"value":[60.080,"0.25"]}]}})");
  CHECK(call("/api/v1/query", {{"query", "1/0"}}, "POST").body ==
        R"({"status":"success","data":{"resultType":"scalar","result":[60,"+Inf"]}})");
  CHECK(call("/api/v1/query", {{"query", "\"a\""}}).body ==
        R"({"status":"success","data":{"resultType":"string","result":[60,"a"]}})");
  CHECK(call("/api/v1/query", {{"query", "nothing"}}).body ==
        R"({"status":"success","data":{"resultType":"vector","result":[]}})");
  CHECK(call("/api/v1/query", {{"query", "up{job=\"b\"}[2m]"}}).body ==
        R"({"status":"success","data":{"resultType":"matrix","result":[)"
        R"({"metric":{"__name__":"up","job":"b"},"values":[[0,"0"],[60,"0.25"]]}]}})");
  CHECK(call("/api/v1/query", {{"query", "{\"my.metric\"}"}}).body.find(R"("la bel":"\"x\""},"value":[60,"1e-09"])") !=
        std::string::npos);
  CHECK(call("/api/v1/query", {{"query", "up"}, {"limit", "1"}}).body.find(
            R"("warnings":["results truncated due to limit"])") != std::string::npos);
  CHECK(call("/api/v1/query", {{"query", "rate(up[2m])"}}).body.find(
            R"("infos":["PromQL info: metric might not be a counter)") != std::string::npos);
  CHECK(call("/api/v1/query", {{"query", "up"}, {"time", "1970-01-01T00:01:00Z"}}).status == 200);
}

TEST_CASE_METHOD(Api, "query_range answers a matrix") {
  CHECK(call("/api/v1/query_range", {{"query", "sum(up)"}, {"start", "0"}, {"end", "60"}, {"step", "30s"}}).body ==
        R"({"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[0,"1"],[30,"1"],[60,"1.25"]]}]}})");
  CHECK(call("/api/v1/query_range", {{"query", "1"}, {"start", "0"}, {"end", "1"}, {"step", "0.5"}}).body ==
        R"({"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[0,"1"],[0.500,"1"],[1,"1"]]}]}})");
}

TEST_CASE_METHOD(Api, "errors have Prometheus' words and codes") {
  const auto error = [&](const std::string& path, http::Pairs query) {
    const http::Response r = call(path, std::move(query));
    return std::to_string(r.status) + " " + r.body;
  };
  const auto bad = [](const std::string& text) {
    return R"(400 {"status":"error","errorType":"bad_data","error":")" + text + "\"}";
  };
  CHECK(error("/api/v1/query", {{"query", "up"}, {"time", "x"}}) ==
        bad(R"(invalid parameter \"time\": cannot parse \"x\" to a valid timestamp)"));
  CHECK(error("/api/v1/query", {{"query", "sum(up"}}) ==
        bad(R"(invalid parameter \"query\": 1:7: parse error: unclosed left parenthesis)"));
  CHECK(error("/api/v1/query", {}) ==
        bad(R"(invalid parameter \"query\": unknown position: parse error: no expression found in input)"));
  CHECK(error("/api/v1/query_range", {{"query", "up"}, {"start", "2"}, {"end", "1"}, {"step", "1"}}) ==
        bad(R"(invalid parameter \"end\": end timestamp must not be before start time)"));
  CHECK(error("/api/v1/query_range", {{"query", "up"}, {"start", "0"}, {"end", "1"}, {"step", "0"}}) ==
        bad(R"(invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer)"));
  CHECK(error("/api/v1/query_range", {{"query", "up"}, {"start", "0"}, {"end", "11001"}, {"step", "1"}}) ==
        bad("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"));
  CHECK(error("/api/v1/series", {}) == bad("no match[] parameter provided"));
  CHECK(error("/api/v1/series", {{"match[]", "{a=~\".*\"}"}}) ==
        bad(R"(invalid parameter \"match[]\": match[] must contain at least one non-empty matcher)"));
  CHECK(error("/api/v1/query", {{"query", "up + on() up"}}).starts_with(
      R"(422 {"status":"error","errorType":"execution","error":"found duplicate series for the match group {} on the right)"));
  CHECK(error("/api/v1/query", {{"query", "start_timestamp(up)"}}).starts_with(
      R"(422 {"status":"error","errorType":"execution","error":"function \"start_timestamp\" is not supported)"));
}

TEST_CASE_METHOD(Api, "metadata of series") {
  CHECK(call("/api/v1/labels", {}).body == R"({"status":"success","data":["__name__","job","la bel"]})");
  CHECK(call("/api/v1/labels", {{"match[]", "up"}}, "POST").body == R"({"status":"success","data":["__name__","job"]})");
  CHECK(call("/api/v1/label/job/values", {}, "GET", "/api/v1/label/{name}/values", {{"name", "job"}}).body ==
        R"({"status":"success","data":["a","b"]})");
  CHECK(call("/api/v1/label/U__la_20_bel/values", {}, "GET", "/api/v1/label/{name}/values", {{"name", "U__la_20_bel"}}).body ==
        R"({"status":"success","data":["\"x\""]})");
  CHECK(call("/api/v1/label/none/values", {}, "GET", "/api/v1/label/{name}/values", {{"name", "none"}}).body ==
        R"({"status":"success","data":[]})");
  CHECK(call("/api/v1/series", {{"match[]", "up"}, {"limit", "1"}}).body ==
        R"({"status":"success","data":[{"__name__":"up","job":"a"}],"warnings":["results truncated due to limit"]})");
  CHECK(call("/api/v1/metadata", {}).body ==
        R"({"status":"success","data":{"up":[{"type":"gauge","help":"Whether it is up.","unit":""}]}})");
  CHECK(call("/api/v1/metadata", {{"metric", "none"}}).body == R"({"status":"success","data":{}})");
  CHECK(call("/api/v1/format_query", {{"query", "sum(up)by(job)"}}).body ==
        R"x({"status":"success","data":"sum by (job) (up)"})x");
  CHECK(call("/api/v1/status/buildinfo", {}).body.find(R"("version":"0.1.0","revision":"abc")") != std::string::npos);
}
