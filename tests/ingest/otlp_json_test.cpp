// OTLP/JSON: the specification's shapes, its quirks, and errors that name their path.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "tests/ingest/mutation.hpp"
#include "tests/ingest/otlp_fixture.hpp"

using namespace plumbline;
using namespace plumbline::ingest;
using namespace plumbline::test;

namespace {

std::string error_of(std::string_view text) {
  MetricsRequest request;
  const Status status = decode_otlp_json(text, request);
  return status ? "" : status.error().message;
}

std::string point(std::string_view fields) {
  return R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[{)" + std::string(fields) +
         "}]}}]}]}]}";
}
double number_in(std::string_view fields) {
  MetricsRequest request;
  const Status status = decode_otlp_json(point(fields), request);
  INFO((status ? "" : status.error().message));
  REQUIRE(status);
  return request.resource_metrics(0).scope_metrics(0).metrics(0).gauge().data_points(0).as_double();
}

}  // namespace

TEST_CASE_METHOD(OtlpFixture, "a log record in the specification's form") {
  const std::string text = R"({"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"my.service"}}]},
    "scopeLogs":[{"scope":{"name":"my.library","attributes":[{"key":"my.scope.attribute","value":{"stringValue":"some"}}]},
      "logRecords":[{"timeUnixNano":"1700000000300000000","observedTimeUnixNano":"1700000000300000000","severityNumber":10,
        "severityText":"Information","traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174",
        "body":{"stringValue":"Example log record"},"unknownKey":{"a":[1]},
        "attributes":[{"key":"int.attribute","value":{"intValue":"10"}},{"key":"bytes","value":{"bytesValue":"AQID"}},
          {"key":"map.attribute","value":{"kvlistValue":{"values":[{"key":"some","value":{"doubleValue":1.5}}]}}},
          {"key":"list","value":{"arrayValue":{"values":[{"stringValue":"x"},{"boolValue":true},{}]}}}]}]}]}]})";
  const auto receipt = export_otlp(OtlpSignal::logs, OtlpEncoding::json, text, sink, clock, {});
  REQUIRE(receipt);
  CHECK(receipt->refused() == 0);
  const auto rows = events(model::EventKind::log);
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].time_ns == 1'700'000'000'300'000'000);
  CHECK(rows[0].text("line") == "Example log record");
  CHECK(rows[0].text("trace_id") == "5b8efff798038103d269b633813fc60c");
  CHECK(rows[0].text("detected_level") == "info");
  CHECK(rows[0].text("int_attribute") == "10");
  CHECK(rows[0].text("bytes") == "AQID");
  CHECK(rows[0].text("map_attribute_some") == "1.5");
  CHECK(rows[0].text("list") == R"(["x",true,null])");
  CHECK(rows[0].text("my_scope_attribute") == "some");
}

TEST_CASE("numbers come as JSON numbers, decimal strings and words") {
  CHECK(number_in(R"("asDouble":1.5)") == 1.5);
  CHECK(number_in(R"("asDouble":3)") == 3);
  CHECK(number_in(R"("asDouble":"2.5")") == 2.5);
  CHECK(std::isnan(number_in(R"("asDouble":"NaN")")));
  CHECK(number_in(R"("asDouble":"-Infinity")") == -std::numeric_limits<double>::infinity());

  MetricsRequest request;
  REQUIRE(decode_otlp_json(point(R"("asInt":"-9223372036854775808","timeUnixNano":18446744073709551615,"flags":1e0)"), request));
  const auto& p = request.resource_metrics(0).scope_metrics(0).metrics(0).gauge().data_points(0);
  CHECK(p.as_int() == std::numeric_limits<std::int64_t>::min());
  CHECK(p.time_unix_nano() == std::numeric_limits<std::uint64_t>::max());
  CHECK(p.flags() == 1);
}

TEST_CASE("enums come as numbers and, leniently, as names; newer numbers stay unknown") {
  const auto temporality = [](std::string_view value) {
    MetricsRequest request;
    REQUIRE(decode_otlp_json(R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"sum":{"aggregationTemporality":)" +
                                 std::string(value) + "}}]}]}]}", request));
    return static_cast<int>(request.resource_metrics(0).scope_metrics(0).metrics(0).sum().aggregation_temporality());
  };
  CHECK(temporality("2") == 2);
  CHECK(temporality(R"("2")") == 2);
  CHECK(temporality(R"("AGGREGATION_TEMPORALITY_DELTA")") == 1);
  CHECK(temporality("77") == 0);
}

TEST_CASE("null and snake_case keys are ignored") {
  MetricsRequest request;
  REQUIRE(decode_otlp_json(R"({"resource_metrics":[{}],"resourceMetrics":null,"x":1})", request));
  CHECK(request.resource_metrics_size() == 0);
}

TEST_CASE("errors name the path") {
  CHECK(error_of(R"({"resourceMetrics":{}})") == "resourceMetrics: wants an array, got an object");
  CHECK(error_of(R"({"resourceMetrics":[7]})") == "resourceMetrics[0]: wants an object, got a number");
  CHECK(error_of(point(R"("timeUnixNano":"soon")")) ==
        "resourceMetrics[0].scopeMetrics[0].metrics[0].gauge.dataPoints[0].timeUnixNano: wants an integer from 0 to "
        "18446744073709551615, got \"soon\"");
  CHECK(error_of(point(R"("timeUnixNano":-1)")).find("dataPoints[0].timeUnixNano: wants an integer") != std::string::npos);
  CHECK(error_of(point(R"("asDouble":true)")).find("asDouble: wants a number, got a bool") != std::string::npos);
  CHECK(error_of(point(R"("attributes":[{"key":"b","value":{"bytesValue":"***"}}])")).find("bytesValue: wants base64") !=
        std::string::npos);
  CHECK(error_of("[]").find("wants an object") != std::string::npos);
  CHECK(error_of("").find("not JSON") != std::string::npos);
  CHECK(error_of("{").find("not JSON") != std::string::npos);
  CHECK(error_of("{} x").find("not JSON") != std::string::npos);
  CHECK(error_of("{}  \n").empty());
  CHECK(error_of(std::string(17u << 20, ' ')).find("the limit is 16777216") != std::string::npos);
}

TEST_CASE_METHOD(OtlpFixture, "a bad id or a bad string costs its row, not its batch") {
  const std::string text = R"({"resourceSpans":[{"scopeSpans":[{"spans":[
    {"traceId":"not hex","spanId":"EEE19B7EC3C1B174","name":"a","startTimeUnixNano":"1700000000000000000"},
    {"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","name":")" "\xff" R"(","startTimeUnixNano":"1700000000000000000"},
    {"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","name":"c","startTimeUnixNano":"1700000000000000000"}]}]}]})";
  const auto receipt = export_otlp(OtlpSignal::traces, OtlpEncoding::json, text, sink, clock, {});
  REQUIRE(receipt);
  CHECK(receipt->rows == 1);
  CHECK(receipt->refused() == 2);
}

TEST_CASE_METHOD(OtlpFixture, "OTLP/JSON survives damaged text") {
  const std::string seed = point(R"("asInt":"5","timeUnixNano":"1700000000000000000","attributes":[{"key":"a","value":{"kvlistValue":
      {"values":[{"key":"x","value":{"arrayValue":{"values":[{"intValue":"1"},{"bytesValue":"AQID"}]}}}]}}}])");
  Mutator mutate(fuzz_seed());
  for (int i = 0; i < 6'000; ++i) {
    const auto result = export_otlp(OtlpSignal::metrics, OtlpEncoding::json, mutate(seed), sink, clock, {});
    if (!result) REQUIRE(result.error().code == Code::invalid_input);
  }
}
