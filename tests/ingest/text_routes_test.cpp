#include <catch2/catch.hpp>
#include <protozero/pbf_writer.hpp>

#include "daemon/base/compression.hpp"
#include "ingest/text/routes.hpp"
#include "tests/ingest/exemplars.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;
using namespace plumbline::ingest;
using model::Labels;

namespace {

struct Doors {
  test::ManualClock clock;
  std::unique_ptr<Log> log = make_null_log();
  Registry registry;
  test::MemoryStore store;
  Sink sink{store, store, clock, *log, registry};
  http::Routes routes = text_routes(sink, clock, Limits{});

  http::Response post(std::string_view path, std::string body, std::string type, std::string encoding = "",
                      http::Pairs query = {}) {
    http::Request request;
    request.method = "POST";
    request.path = path;
    request.query = std::move(query);
    if (!type.empty()) request.headers.emplace_back("content-type", std::move(type));
    if (!encoding.empty()) request.headers.emplace_back("content-encoding", std::move(encoding));
    request.body = std::move(body);
    for (const http::Route& route : routes)
      if (route.pattern == path && route.method == "POST") return route.handler(request);
    FAIL("no route for " << path);
    return {};
  }
  std::vector<model::Sample> samples(std::string_view series) {
    std::vector<model::Sample> out;
    REQUIRE(store.select({}, [&](const Labels& labels, std::span<const model::Sample> s) {
      if (labels.str() == series) out.assign(s.begin(), s.end());
      return true;
    }));
    return out;
  }
  std::size_t rows(model::EventKind kind) {
    std::size_t n = 0;
    storage::EventQuery query;
    query.kind = kind;
    REQUIRE(store.scan(query, [&](const storage::RowBlock& block) {
      n += block.times_ns.size();
      return true;
    }));
    return n;
  }
};

bool says(const http::Response& r, std::string_view text) {
  return r.body.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("import stores an exposition", "[import]") {
  Doors doors;
  CHECK(doors
            .post("/api/v1/import/prometheus", "# TYPE a gauge\na 1\na{x=\"y\"} 2 1700000000001\n",
                  "text/plain")
            .status == 204);
  CHECK(doors.samples("a") == std::vector<model::Sample>{{doors.clock.now_ms(), 1}});
  CHECK(doors.samples("a{x=\"y\"}") == std::vector<model::Sample>{{1700000000001, 2}});
  CHECK(doors.store.metadata("a")->at(0).type == "gauge");
  CHECK(doors
            .post("/api/v1/import/prometheus", gzip("z 1\n"), "", "gzip",
                  {{"timestamp", "1699999999000"}, {"extra_label", "k=v"}, {"extra_label", "x=z"}})
            .status == 204);
  CHECK(doors.samples(R"(z{k="v", x="z"})") == std::vector<model::Sample>{{1699999999000, 1}});
  CHECK(doors
            .post("/api/v1/import/prometheus", "o_total 1 1700000000.5 # {trace_id=\"x\"} 1\n# EOF\n",
                  "application/openmetrics-text; version=1.0.0")
            .status == 204);
  CHECK(doors.samples("o_total") == std::vector<model::Sample>{{1700000000500, 1}});
  const auto exemplars = test::exemplars(doors.store);
  REQUIRE(exemplars.size() == 1);  // at its sample's time, as it has none of its own
  CHECK(exemplars[0].first == "o_total");
  CHECK(exemplars[0].second.time_ns == 1'700'000'000'500'000'000);
  CHECK(doors
            .post("/api/v1/import/prometheus", "p_total 1 # {trace_id=\"" + std::string(121, 'x') + "\"} 1\n# EOF\n",
                  "application/openmetrics-text; version=1.0.0")
            .status == 204);
  CHECK(doors.samples("p_total").size() == 1);
  CHECK(doors.registry.render().find("reason=\"exemplar_too_long\"} 1") != std::string::npos);
}

TEST_CASE("import names bad lines and keeps the good ones", "[import]") {
  Doors doors;
  const http::Response r =
      doors.post("/api/v1/import/prometheus", "a 1\nb{ 2\nc{x=\"1\",x=\"2\"} 3\nd 4\n", "text/plain");
  CHECK(r.status == 400);
  CHECK(says(r, R"("accepted":2,"refused":2)"));
  CHECK(says(r, R"({"line":2,"column":4,"reason":"syntax","message":"line 2, column 4: )"));
  CHECK(says(r, R"("line":3,"column":1,"reason":"duplicate_label")"));
  CHECK(doors.samples("d").size() == 1);
  CHECK(doors.post("/api/v1/import/prometheus", "a 1", "application/json").status == 415);
  CHECK(doors.post("/api/v1/import/prometheus", "not gzip", "text/plain", "gzip").status == 400);
  CHECK(doors.post("/api/v1/import/prometheus", "a 1", "text/plain", "", {{"timestamp", "noon"}}).status ==
        400);
  CHECK(doors.post("/api/v1/import/prometheus", "a 1", "text/plain", "", {{"extra_label", "=x"}}).status ==
        400);
  CHECK(doors.post("/api/v1/import/prometheus", "", "text/plain").status == 204);
}

TEST_CASE("a store that cannot write answers 503", "[import]") {
  Doors doors;
  doors.store.fail_writes(Error{Code::unavailable, "disk full"});
  CHECK(doors.post("/api/v1/import/prometheus", "a 1\n", "text/plain").status == 503);
  CHECK(doors.post("/api/v1/inferences", R"({"model":"m","prediction":1})", "application/json").status ==
        503);
  CHECK(doors
            .post("/loki/api/v1/push",
                  R"({"streams":[{"stream":{"a":"b"},"values":[["1700000000000000000","x"]]}]})",
                  "application/json")
            .status == 503);
}

TEST_CASE("Loki push answers as Loki does", "[loki]") {
  Doors doors;
  const std::string good =
      R"({"streams":[{"stream":{"a":"b"},"values":[["1700000000000000000","x"],["1700000000000000001","y"]]}]})";
  CHECK(doors.post("/loki/api/v1/push", good, "application/json; charset=utf-8").status == 204);
  CHECK(doors.post("/api/prom/push", gzip(good), "application/json", "gzip").status == 204);
  CHECK(doors.rows(model::EventKind::log) == 4);
  std::string message;
  {
    protozero::pbf_writer request(message);
    protozero::pbf_writer stream(request, 1);
    stream.add_string(1, "{a=\"b\"}");
    protozero::pbf_writer entry(stream, 2);
    {
      protozero::pbf_writer time(entry, 1);
      time.add_int64(1, 1700000000);
    }
    entry.add_string(2, "x");
  }
  CHECK(doors.post("/loki/api/v1/push", snappy(message), "application/x-protobuf").status == 204);
  CHECK(doors.post("/loki/api/v1/push", snappy(message), "application/x-protobuf", "snappy").status == 204);
  CHECK(doors.post("/loki/api/v1/push", gzip(snappy(message)), "application/x-protobuf", "gzip").status ==
        204);
  CHECK(doors.rows(model::EventKind::log) == 7);

  const http::Response mixed =
      doors.post("/loki/api/v1/push",
                 R"({"streams":[{"stream":{"a":"b"},"values":[[17,"x"],["1700000000000000001","y"]]}]})",
                 "application/json");
  CHECK(mixed.status == 400);
  CHECK(says(mixed, "stream 1, entry 1: the timestamp is a number"));
  CHECK(says(mixed, "(1 stored)"));
  CHECK(doors.post("/loki/api/v1/push", R"({"streams":[]})", "application/json").status == 422);
  CHECK(doors.post("/loki/api/v1/push", "{", "application/json").status == 400);
  CHECK(doors.post("/loki/api/v1/push", message, "application/x-protobuf").status == 400);
  CHECK(doors.post("/loki/api/v1/push", "x", "text/plain").status == 415);
}

TEST_CASE("inference records and late labels are answered with counts", "[inference]") {
  Doors doors;
  const http::Response good =
      doors.post("/api/v1/inferences", R"({"model":"m","features":{"a":1},"prediction_id":"p"})",
                 "application/x-ndjson");
  CHECK(good.status == 200);
  CHECK(good.body == R"({"accepted":1,"refused":0,"errors":[]})");
  const http::Response mixed = doors.post(
      "/api/v1/inferences", gzip("{\"model\":\"m\",\"features\":{\"a\":2}}\n{\"model\":\"m\",\"oops\":1}\n"),
      "application/json", "gzip");
  CHECK(mixed.status == 200);
  CHECK(
      mixed.body ==
      R"({"accepted":1,"refused":1,"errors":[{"row":2,"reason":"unknown_key","message":"row 2: unknown key \"oops\""}]})");
  // What the sink refuses is named by its row in the request, not by its place among the rows that were good.
  const http::Response late = doors.post("/api/v1/inferences",
                                         "{\"model\":\"m\",\"oops\":1}\n{\"model\":\"n\",\"features\":{\"a\":1}}\n"
                                         "{\"model\":\"m\",\"features\":{\"a\":3}}\n{\"model\":\"m\",\"features\":{\"a\":\"x\"},\"prediction_id\":\"q\"}\n",
                                         "application/x-ndjson");
  CHECK(late.body ==
        R"({"accepted":2,"refused":2,"errors":[{"row":1,"reason":"unknown_key","message":"row 1: unknown key \"oops\""},)"
        R"({"row":4,"reason":"wrong_type","message":"row 4: model \"m\" (prediction_id \"q\"): feature \"a\" is a number, got a string"}]})");
  // Both refuse for the same reason: each is counted and named once.
  const http::Response both = doors.post("/api/v1/inferences",
                                         "{\"model\":\"m\",\"features\":{\"a\":\"x\"}}\n7\n{\"model\":\"m\",\"features\":{\"a\":true}}\n",
                                         "application/x-ndjson");
  CHECK(both.body ==
        R"({"accepted":0,"refused":3,"errors":[{"row":2,"reason":"wrong_type","message":"row 2: the row is a number, an object is wanted"},)"
        R"({"row":1,"reason":"wrong_type","message":"row 1: model \"m\": feature \"a\" is a number, got a string"},)"
        R"({"row":3,"reason":"wrong_type","message":"row 3: model \"m\": feature \"a\" is a number, got a bool"}]})");
  const http::Response bad = doors.post("/api/v1/inferences", R"([{"model":"m"}])", "application/json");
  CHECK(bad.status == 400);
  CHECK(says(bad, R"("accepted":0,"refused":1)"));
  CHECK(doors.post("/api/v1/inferences", "", "application/json").status == 400);
  CHECK(doors.post("/api/v1/inferences", "a=b", "application/x-www-form-urlencoded").status == 415);
  CHECK(doors.rows(model::EventKind::inference) == 4);

  CHECK(doors
            .post("/api/v1/inferences/labels", R"([{"model":"m","prediction_id":"p","label":1}])",
                  "application/json")
            .body == R"({"accepted":1,"refused":0,"errors":[]})");
  const std::vector<std::string> ids{"p", "q"};
  const auto found = doors.store.late_labels("m", ids);
  REQUIRE(found);
  CHECK(found->at(0)->label == model::Value{1.0});
  CHECK_FALSE(found->at(1));
}

TEST_CASE("a feature that changes its type is refused by the schema and answered", "[inference]") {
  Doors doors;
  CHECK(
      doors.post("/api/v1/inferences", R"({"model":"m","features":{"age":1}})", "application/json").status ==
      200);
  const http::Response r = doors.post(
      "/api/v1/inferences",
      "{\"model\":\"m\",\"features\":{\"age\":\"old\"}}\n{\"model\":\"m\",\"features\":{\"age\":3}}",
      "application/json");
  CHECK(r.status == 200);
  CHECK(says(r, R"("accepted":1,"refused":1)"));
  CHECK(says(r, "wrong_type"));
}

TEST_CASE("at most twenty refusals are named, all are counted", "[inference]") {
  Doors doors;
  std::string body;
  for (int i = 0; i < 100; ++i) body += "{\"model\":\"m\"}\n";
  const http::Response r = doors.post("/api/v1/inferences", body, "application/x-ndjson");
  CHECK(says(r, R"("refused":100)"));
  std::size_t named = 0;
  for (std::size_t at = r.body.find("\"row\":"); at != std::string::npos;
       at = r.body.find("\"row\":", at + 1))
    ++named;
  CHECK(named == 20);
}
