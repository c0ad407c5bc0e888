#include <catch2/catch.hpp>

#include "query/query.hpp"
#include "query/traces/traces.hpp"
#include "tests/query/route_call.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;
using namespace plumbline::query;
using test::call;

namespace {
constexpr std::int64_t t0 = 1'700'000'000'000'000'000;
struct Fixture {
  test::ManualClock clock{t0 / 1'000'000};
  test::MemoryStore store;
  http::Routes routes = jaeger_routes(store, clock);
  Fixture() {
    storage::WriteBatch batch;
    const std::string trace = "0000000000000000a1b2c3d4e5f60718";
    batch.events.push_back({model::EventKind::span,
                            model::Labels::of({{"service_name", "gateway"}, {"span_name", "POST /predict"}}),
                            {{t0 - 2'000'000, {{"trace_id", trace}, {"span_id", std::string("00f067aa0ba902b7")}, {"kind", std::int64_t{2}}, {"duration_ns", std::int64_t{1'500'000}},
                                               {"status_code", std::int64_t{2}}, {"status_message", std::string("boom")}, {"attr.http.status_code", std::int64_t{500}},
                                               {"attr.ratio", 0.5}, {"attr.cached", false}, {"resource.service.name", std::string("gateway")}, {"resource.host", std::string("h1")},
                                               {"events", std::string(R"([{"time_ns":"1699999999999000000","name":"retry","attributes":{"n":2}}])")}}}}});
    batch.events.push_back({model::EventKind::span,
                            model::Labels::of({{"service_name", "model"}, {"span_name", "infer"}}),
                            {{t0 - 1'000'000, {{"trace_id", trace}, {"span_id", std::string("b9c7c989f97918e1")}, {"parent_span_id", std::string("00f067aa0ba902b7")}, {"duration_ns", std::int64_t{200'000}}}}}});
    REQUIRE(store.write(std::move(batch)));
  }
};
}  // namespace

TEST_CASE_METHOD(Fixture, "a trace in Jaeger's v1 JSON, byte for byte, by padded and unpadded id") {
  const std::string expected =
      R"({"data":[{"traceID":"0000000000000000a1b2c3d4e5f60718","spans":[)"
      R"({"traceID":"0000000000000000a1b2c3d4e5f60718","spanID":"00f067aa0ba902b7","operationName":"POST /predict","references":[],"startTime":1699999999998000,"duration":1500,)"
      R"("tags":[{"key":"http.status_code","type":"int64","value":500},{"key":"ratio","type":"float64","value":0.5},{"key":"cached","type":"bool","value":false},{"key":"span.kind","type":"string","value":"server"},{"key":"otel.status_code","type":"string","value":"ERROR"},{"key":"error","type":"bool","value":true},{"key":"otel.status_description","type":"string","value":"boom"}],)"
      R"("logs":[{"timestamp":1699999999999000,"fields":[{"key":"event","type":"string","value":"retry"},{"key":"n","type":"int64","value":2}]}],"processID":"p1","warnings":null},)"
      R"({"traceID":"0000000000000000a1b2c3d4e5f60718","spanID":"b9c7c989f97918e1","operationName":"infer","references":[{"refType":"CHILD_OF","traceID":"0000000000000000a1b2c3d4e5f60718","spanID":"00f067aa0ba902b7"}],"startTime":1699999999999000,"duration":200,"tags":[],"logs":[],"processID":"p2","warnings":null}],)"
      R"("processes":{"p1":{"serviceName":"gateway","tags":[{"key":"host","type":"string","value":"h1"}]},"p2":{"serviceName":"model","tags":[]}},"warnings":null}],"total":0,"limit":0,"offset":0,"errors":null})";
  CHECK(call(routes, "GET", "/jaeger/api/traces/0000000000000000a1b2c3d4e5f60718").body == expected);
  CHECK(call(routes, "GET", "/jaeger/api/traces/A1B2C3D4E5F60718").body == expected);
}

TEST_CASE_METHOD(Fixture, "unknown and malformed trace ids") {
  const auto missing = call(routes, "GET", "/jaeger/api/traces/ffff");
  CHECK(missing.status == 404);
  CHECK(missing.body == R"({"data":null,"total":0,"limit":0,"offset":0,"errors":[{"code":404,"msg":"trace not found"}]})");
  CHECK(call(routes, "GET", "/jaeger/api/traces/xyz").status == 400);
}

TEST_CASE_METHOD(Fixture, "services, operations and search") {
  CHECK(call(routes, "GET", "/jaeger/api/services").body ==
        R"({"data":["gateway","model"],"total":2,"limit":0,"offset":0,"errors":null})");
  CHECK(call(routes, "GET", "/jaeger/api/services/model/operations").body ==
        R"({"data":["infer"],"total":1,"limit":0,"offset":0,"errors":null})");
  const auto found = [&](http::Pairs query) {
    query.emplace_back("service", "gateway");
    const auto answer = call(routes, "GET", "/jaeger/api/traces", std::move(query));
    CHECK(answer.status == 200);
    return answer.body.find("\"spanID\":\"b9c7c989f97918e1\"") != std::string::npos;  // the whole trace comes
  };
  CHECK(found({}));
  CHECK(found({{"operation", "POST /predict"}, {"minDuration", "1.5ms"}, {"tags", R"({"http.status_code":"500","error":"true"})"}}));
  CHECK_FALSE(found({{"operation", "infer"}}));
  CHECK_FALSE(found({{"minDuration", "1501us"}}));
  CHECK_FALSE(found({{"tags", R"({"http.status_code":"200"})"}}));
  CHECK_FALSE(found({{"end", "1699999000000000"}}));
  CHECK(call(routes, "GET", "/jaeger/api/traces").status == 400);
  CHECK(call(routes, "GET", "/jaeger/api/traces", {{"service", "x"}, {"tags", "nope"}}).status == 400);
  CHECK(call(routes, "GET", "/jaeger/api/traces", {{"service", "x"}, {"limit", "0"}}).status == 400);
}
