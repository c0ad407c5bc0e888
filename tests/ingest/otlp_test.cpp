// OTLP's translators and its HTTP door, with the generated classes as the encoder.
#include <catch2/catch.hpp>

#include "daemon/base/compression.hpp"
#include "tests/ingest/mutation.hpp"
#include "tests/ingest/otlp_fixture.hpp"

using namespace plumbline;
using namespace plumbline::ingest;
using namespace plumbline::test;
namespace pbm = opentelemetry::proto::metrics::v1;

namespace {

struct Door : OtlpFixture {
  http::Routes routes = otlp_routes(sink, clock, Limits{}, OtlpOptions{{"cloud.region"}});

  http::Response post(std::string_view path, std::string body, std::string type = "application/x-protobuf",
                      std::string encoding = "") {
    for (const http::Route& r : routes)
      if (r.pattern == path) {
        http::Request message;
        message.method = "POST";
        message.path = path;
        message.headers = {{"content-type", std::move(type)}};
        if (!encoding.empty()) message.headers.emplace_back("content-encoding", std::move(encoding));
        message.body = std::move(body);
        return r.handler(message);
      }
    FAIL("no route");
    return {};
  }

  MetricsRequest request;
  pbm::ScopeMetrics& scope() {
    if (request.resource_metrics_size() == 0) {
      auto& resource = *request.add_resource_metrics()->mutable_resource();
      attribute(resource, "service.name", "api");
      attribute(resource, "service.namespace", "shop");
      attribute(resource, "service.instance.id", "i-1");
      attribute(resource, "cloud.region", "eu");
      request.mutable_resource_metrics(0)->add_scope_metrics();
    }
    return *request.mutable_resource_metrics(0)->mutable_scope_metrics(0);
  }
  pbm::Metric& metric(std::string name, std::string unit = "") {
    auto& m = *scope().add_metrics();
    m.set_name(std::move(name));
    m.set_unit(std::move(unit));
    m.set_description("what it is");
    return m;
  }
  pbm::NumberDataPoint& gauge(std::string name, double value) {
    auto& point = *metric(std::move(name)).mutable_gauge()->add_data_points();
    point.set_time_unix_nano(now());
    point.set_as_double(value);
    return point;
  }
  MetricsRequest& with_delta() {
    auto& sum = *metric("d").mutable_sum();
    sum.set_aggregation_temporality(pbm::AGGREGATION_TEMPORALITY_DELTA);
    sum.add_data_points()->set_as_int(1);
    sum.add_data_points()->set_as_int(2);
    return request;
  }
};

const std::string identity = R"(cloud_region="eu", instance="i-1", job="shop/api")";

}  // namespace

TEST_CASE_METHOD(Door, "gauges and sums become series with job, instance and promoted attributes") {
  attribute(gauge("temperature", 21.5), "room.name", "lab");
  auto& sum = *metric("requests", "1").mutable_sum();
  sum.set_aggregation_temporality(pbm::AGGREGATION_TEMPORALITY_CUMULATIVE);
  sum.set_is_monotonic(true);
  auto& point = *sum.add_data_points();
  point.set_time_unix_nano(now());
  point.set_as_int(9007199254740993);
  const auto response = post("/v1/metrics", request.SerializeAsString());
  CHECK(response.status == 200);
  CHECK(response.body.empty());
  const auto all = series();
  CHECK(all.at("temperature{" + identity + R"(, room_name="lab"})") == 21.5);
  CHECK(all.at("requests_total{" + identity + "}") == 9007199254740992.0);
  CHECK(all.at("target_info{" + identity + "}") == 1);
  const auto metadata = store.metadata("requests_total");
  REQUIRE((metadata && metadata->size() == 1));
  CHECK((*metadata)[0].type == "counter");
  CHECK((*metadata)[0].help == "what it is");
}

TEST_CASE_METHOD(Door, "explicit histograms become buckets, sum and count") {
  auto& histogram = *metric("latency", "s").mutable_histogram();
  histogram.set_aggregation_temporality(pbm::AGGREGATION_TEMPORALITY_CUMULATIVE);
  auto& point = *histogram.add_data_points();
  point.set_time_unix_nano(now());
  point.set_count(10);
  point.set_sum(4.5);
  for (double b : {0.1, 1.0, 2.5}) point.add_explicit_bounds(b);
  for (int c : {1, 2, 3, 4}) point.add_bucket_counts(static_cast<std::uint64_t>(c));
  REQUIRE(post("/v1/metrics", request.SerializeAsString()).status == 200);
  const auto all = series();
  const auto bucket = [&](const std::string& le) {
    return all.at("latency_seconds_bucket{" + identity + ", le=\"" + le + "\"}");
  };
  CHECK(bucket("0.1") == 1);
  CHECK(bucket("1") == 3);
  CHECK(bucket("2.5") == 6);
  CHECK(bucket("+Inf") == 10);
  CHECK(all.at("latency_seconds_sum{" + identity + "}") == 4.5);
  CHECK(all.at("latency_seconds_count{" + identity + "}") == 10);
}

TEST_CASE_METHOD(Door, "exemplars go to the bucket that counts their value, with the ids of their span") {
  auto& histogram = *metric("latency", "s").mutable_histogram();
  histogram.set_aggregation_temporality(pbm::AGGREGATION_TEMPORALITY_CUMULATIVE);
  auto& point = *histogram.add_data_points();
  point.set_time_unix_nano(now());
  point.set_count(3);
  for (double b : {0.1, 1.0}) point.add_explicit_bounds(b);
  for (int c : {1, 1, 1}) point.add_bucket_counts(static_cast<std::uint64_t>(c));
  const auto add = [&](double value, std::string attribute_value) {
    auto& e = *point.add_exemplars();
    e.set_time_unix_nano(now());
    e.set_as_double(value);
    e.set_trace_id(std::string(16, '\x1f'));
    e.set_span_id(std::string(8, '\x02'));
    auto& kv = *e.add_filtered_attributes();
    kv.set_key("http.target");
    kv.mutable_value()->set_string_value(std::move(attribute_value));
  };
  add(7, "/x");
  add(1, std::string(500, 'y'));  // goes without the attribute: the ids lead to the span, which has it
  add(std::nan(""), "/z");
  REQUIRE(post("/v1/metrics", request.SerializeAsString()).body == "");
  std::map<std::string, std::vector<Event>> by_series;
  for (Event& e : events(model::EventKind::exemplar)) by_series[e.stream].push_back(e);
  REQUIRE(by_series.size() == 2);
  const auto& one = by_series.at("latency_seconds_bucket{" + identity + ", le=\"1\"}");
  REQUIRE(one.size() == 1);
  CHECK(one[0].number("value") == 1);
  CHECK(one[0].text("trace_id") == "1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f");
  CHECK(one[0].text("span_id") == "0202020202020202");
  CHECK(one[0].text("exemplar.http_target") == "(absent)");
  const auto& rest = by_series.at("latency_seconds_bucket{" + identity + ", le=\"+Inf\"}");
  REQUIRE(rest.size() == 2);
  CHECK(rest[0].text("exemplar.http_target") == "/x");
}

TEST_CASE_METHOD(Door, "summaries become quantiles; no recorded value becomes a stale marker") {
  auto& summary = *metric("rpc").mutable_summary()->add_data_points();
  summary.set_time_unix_nano(now());
  summary.set_count(3);
  summary.set_sum(6);
  auto& q = *summary.add_quantile_values();
  q.set_quantile(0.99);
  q.set_value(2);
  auto& gone = gauge("gone", 0);
  gone.clear_value();
  gone.set_flags(1);
  REQUIRE(post("/v1/metrics", request.SerializeAsString()).status == 200);
  const auto all = series();
  CHECK(all.at("rpc{" + identity + R"(, quantile="0.99"})") == 2);
  CHECK(all.at("rpc_count{" + identity + "}") == 3);
  CHECK(model::is_stale(all.at("gone{" + identity + "}")));
}

TEST_CASE_METHOD(Door, "attributes that escape to one label are joined; reserved labels win") {
  auto& point = gauge("g", 1);
  attribute(point, "a.b", "dot");
  attribute(point, "a-b", "dash");
  attribute(point, "job", "mine");
  attribute(point, "__name__", "evil");
  REQUIRE(post("/v1/metrics", request.SerializeAsString()).status == 200);
  CHECK(series().count(R"(g{a_b="dash;dot", )" + identity + "}") == 1);
}

TEST_CASE_METHOD(Door, "what cannot be stored is a partial success, in the request's encoding") {
  gauge("good", 1);
  with_delta();
  auto& exponential = *metric("e").mutable_exponential_histogram();
  exponential.set_aggregation_temporality(pbm::AGGREGATION_TEMPORALITY_CUMULATIVE);
  auto& coarse = *exponential.add_data_points();
  coarse.set_time_unix_nano(now());
  coarse.set_scale(-5);
  gauge("no time", 1).clear_time_unix_nano();
  gauge("bad utf8", 1);
  attribute(*scope().mutable_metrics(scope().metrics_size() - 1)->mutable_gauge()->mutable_data_points(0), "k", "\xff");
  auto& histogram = *metric("h").mutable_histogram();
  histogram.set_aggregation_temporality(pbm::AGGREGATION_TEMPORALITY_CUMULATIVE);
  auto& point = *histogram.add_data_points();
  point.set_time_unix_nano(now());
  point.add_bucket_counts(1);
  point.add_explicit_bounds(1);
  const auto response = post("/v1/metrics", request.SerializeAsString());
  REQUIRE(response.status == 200);
  otlp::collector::metrics::v1::ExportMetricsServiceResponse answer;
  REQUIRE(answer.ParseFromString(response.body));
  CHECK(answer.partial_success().rejected_data_points() == 6);
  const std::string message = answer.partial_success().error_message();
  INFO(message);
  CHECK(message.find("delta temporality is not supported yet") != std::string::npos);
  CHECK(message.find("its scale is -5; the coarsest that can be stored is -4") != std::string::npos);
  CHECK(message.find("resourceMetrics[0].scopeMetrics[0].metrics[1]") != std::string::npos);
  CHECK(series().count("good{" + identity + "}") == 1);
  CHECK(registry.render().find("reason=\"unsupported_delta\"} 2") != std::string::npos);
  CHECK(registry.render().find("reason=\"invalid_utf8\"} 1") != std::string::npos);
  CHECK(registry.render().find("reason=\"bad_histogram\"} 2") != std::string::npos);
}

TEST_CASE_METHOD(Door, "exponential histograms become native ones") {
  auto& metric_data = *metric("e").mutable_exponential_histogram();
  metric_data.set_aggregation_temporality(pbm::AGGREGATION_TEMPORALITY_CUMULATIVE);
  auto& point = *metric_data.add_data_points();
  point.set_time_unix_nano(now());
  point.set_scale(2);
  point.set_count(47);
  point.set_sum(12.5);
  point.set_zero_count(2);
  // The specification's example: 10 in bucket 3, nothing in two, 20, 5 and 2; and a gap of four on the other side.
  point.mutable_positive()->set_offset(3);
  for (const unsigned n : {10u, 0u, 0u, 20u, 5u, 2u}) point.mutable_positive()->add_bucket_counts(n);
  point.mutable_negative()->set_offset(-2);
  for (const unsigned n : {3u, 0u, 0u, 0u, 0u, 5u}) point.mutable_negative()->add_bucket_counts(n);
  auto& fine = *metric_data.add_data_points();
  fine.set_time_unix_nano(now() + 1'000'000'000);
  fine.set_scale(10);
  fine.set_count(15);
  fine.set_zero_threshold(0.25);
  fine.mutable_positive()->set_offset(-1);
  for (const unsigned n : {1u, 2u, 3u, 4u, 5u}) fine.mutable_positive()->add_bucket_counts(n);  // -1 | 0 1 2 3 of four each
  auto& gone = *metric_data.add_data_points();
  gone.set_time_unix_nano(now() + 2'000'000'000);
  gone.set_flags(1);
  REQUIRE(post("/v1/metrics", request.SerializeAsString()).status == 200);
  std::vector<model::HistogramSample> found;
  REQUIRE(store.select({{model::Matcher::equal("__name__", "e")}, {}}, [&](const model::Labels& l, const storage::SeriesPoints& points) {
    CHECK(l.str() == "e{" + identity + "}");
    CHECK(points.samples.empty());
    found.assign(points.histograms.begin(), points.histograms.end());
    return true;
  }));
  REQUIRE(found.size() == 3);
  const model::Histogram& h = found[0].h;
  CHECK(h.layout.schema == 2);
  CHECK(h.layout.zero_threshold == 1e-128);
  CHECK((h.layout.positive_spans == std::vector<model::BucketSpan>{{4, 6}}));
  CHECK(h.positive == std::vector<double>{10, 0, 0, 20, 5, 2});
  CHECK((h.layout.negative_spans == std::vector<model::BucketSpan>{{-1, 1}, {4, 1}}));
  CHECK(h.negative == std::vector<double>{3, 5});
  CHECK(h.zero_count == 2);
  CHECK(h.count == 47);
  CHECK(h.sum == 12.5);
  CHECK(h.is_integer);
  CHECK(h.reset == model::ResetHint::unknown);
  CHECK(found[1].h.layout.schema == 8);
  CHECK(found[1].h.layout.zero_threshold == 0.25);
  CHECK((found[1].h.layout.positive_spans == std::vector<model::BucketSpan>{{0, 2}}));
  CHECK(found[1].h.positive == std::vector<double>{1, 14});
  CHECK(found[2].h.is_stale());
}

TEST_CASE_METHOD(Door, "JSON asks, JSON answers") {
  const std::string body = R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"d","sum":
      {"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[{"asInt":"5","timeUnixNano":"1700000000000000000"}]}}]}]}]})";
  const auto response = post("/v1/metrics", body, "application/json; charset=utf-8");
  CHECK(response.status == 200);
  CHECK(response.headers[0].second == "application/json");
  CHECK(response.body.starts_with(R"({"partialSuccess":{"rejectedDataPoints":"1","errorMessage":")"));
  CHECK(post("/v1/metrics", "{}", "application/json").body == "{}");
}

TEST_CASE_METHOD(Door, "gzip, wrong types, bombs and damage") {
  gauge("g", 1);
  const std::string body = request.SerializeAsString();
  CHECK(post("/v1/metrics", gzip(body), "application/x-protobuf", "gzip").status == 200);
  CHECK(post("/v1/metrics", body, "text/plain").status == 415);
  CHECK(post("/v1/metrics", body, "application/x-protobuf", "br").status == 415);
  CHECK(post("/v1/metrics", gzip(body).substr(0, 20), "application/x-protobuf", "gzip").status == 400);
  CHECK(post("/v1/metrics", gzip(std::string(65u << 20, 'x')), "application/x-protobuf", "gzip").status == 413);
  const auto cut = post("/v1/metrics", body.substr(0, body.size() - 2));
  CHECK(cut.status == 400);
  CHECK(cut.body.find("ExportMetricsServiceRequest") != std::string::npos);
  CHECK(cut.headers[0].second == "application/x-protobuf");
  store.fail_writes(Error{Code::unavailable, "disk full"});
  const auto full = post("/v1/metrics", body);
  CHECK(full.status == 503);
  CHECK(full.headers.back().first == "Retry-After");
}

TEST_CASE_METHOD(Door, "nesting is bounded in protobuf and in JSON") {
  LogsRequest logs;
  auto* value = logs.add_resource_logs()->add_scope_logs()->add_log_records()->mutable_body();
  for (int i = 0; i < 5000; ++i) value = value->mutable_array_value()->add_values();
  CHECK(post("/v1/logs", logs.SerializeAsString()).status == 400);
  std::string deep = R"({"resourceLogs":)";
  for (int i = 0; i < 100'000; ++i) deep += '[';
  CHECK(post("/v1/logs", deep, "application/json").status == 400);
}

TEST_CASE_METHOD(Door, "log records become rows as Loki maps them") {
  LogsRequest logs;
  auto& resource = *logs.add_resource_logs();
  attribute(*resource.mutable_resource(), "service.name", "api");
  attribute(*resource.mutable_resource(), "k8s.pod.name", "pod-1");
  attribute(*resource.mutable_resource(), "host.name", "h1");
  auto& scope = *resource.add_scope_logs();
  scope.mutable_scope()->set_name("my.lib");
  auto& record = *scope.add_log_records();
  record.set_time_unix_nano(now());
  record.set_severity_number(otlp::logs::v1::SEVERITY_NUMBER_ERROR2);
  record.set_severity_text("Error");
  record.set_trace_id(std::string("\x5b\x8e\xff\xf7\x98\x03\x81\x03\xd2\x69\xb6\x33\x81\x3f\xc6\x0c", 16));
  record.set_span_id(std::string("\xee\xe1\x9b\x7e\xc3\xc1\xb1\x74", 8));
  record.mutable_body()->set_string_value("it failed");
  attribute(record, "http.method", "GET");
  auto& nested = *record.add_attributes();
  nested.set_key("user");
  add_value(*nested.mutable_value()->mutable_kvlist_value(), "id").mutable_value()->set_int_value(7);
  auto& plain = *scope.add_log_records();  // no time, map body, no level
  add_value(*plain.mutable_body()->mutable_kvlist_value(), "a").mutable_value()->set_bool_value(true);
  auto& bad = *scope.add_log_records();
  bad.set_trace_id("short");
  const auto response = post("/otlp/v1/logs", logs.SerializeAsString());
  REQUIRE(response.status == 200);
  otlp::collector::logs::v1::ExportLogsServiceResponse answer;
  REQUIRE(answer.ParseFromString(response.body));
  CHECK(answer.partial_success().rejected_log_records() == 1);
  CHECK(answer.partial_success().error_message().find("logRecords[2]") != std::string::npos);

  auto rows = events(model::EventKind::log);
  REQUIRE(rows.size() == 2);
  if (rows[0].text("line") != "it failed") std::swap(rows[0], rows[1]);
  const auto& row = rows[0];
  CHECK(row.stream == R"({k8s_pod_name="pod-1", service_name="api"})");
  CHECK(row.time_ns == clock.now_ns());
  CHECK(row.text("line") == "it failed");
  CHECK(row.text("trace_id") == "5b8efff798038103d269b633813fc60c");
  CHECK(row.text("span_id") == "eee19b7ec3c1b174");
  CHECK(row.text("severity_text") == "Error");
  CHECK(row.text("severity_number") == "18");
  CHECK(row.text("detected_level") == "error");
  CHECK(row.text("scope_name") == "my.lib");
  CHECK(row.text("http_method") == "GET");
  CHECK(row.text("user_id") == "7");
  CHECK(row.text("host_name") == "h1");
  CHECK(rows[1].text("line") == R"({"a":true})");
  CHECK(rows[1].time_ns == clock.now_ns());
}

TEST_CASE_METHOD(Door, "ml.inference events become inference records") {
  LogsRequest logs;
  auto& scope = *logs.add_resource_logs()->add_scope_logs();
  auto& record = *scope.add_log_records();
  record.set_event_name("ml.inference");
  record.set_time_unix_nano(now());
  record.set_trace_id(std::string(16, '\x11'));
  attribute(record, "model", "iris");
  attribute(record, "version", "3");
  attribute(record, "prediction_id", "p1");
  auto& features = *record.add_attributes();
  features.set_key("features");
  auto& map = *features.mutable_value()->mutable_kvlist_value();
  add_value(map, "petal").mutable_value()->set_double_value(1.5);
  add_value(map, "count").mutable_value()->set_int_value(3);
  add_value(map, "color").mutable_value()->set_string_value("red");
  auto& list = *add_value(map, "embedding").mutable_value()->mutable_array_value();
  for (double v : {1.0, 2.0}) list.add_values()->set_double_value(v);
  attribute(record, "segment.country", "DE");
  attribute(record, "prediction", "setosa");
  auto& score = *record.add_attributes();
  score.set_key("score");
  add_value(*score.mutable_value()->mutable_kvlist_value(), "setosa").mutable_value()->set_double_value(0.9);
  auto& flat = *scope.add_log_records();  // the older form: event.name and flat keys
  attribute(flat, "event.name", "ml.inference");
  attribute(flat, "model", "iris");
  auto& petal = *flat.add_attributes();
  petal.set_key("features.petal");
  petal.mutable_value()->set_double_value(2.5);
  auto& wrong = *scope.add_log_records();
  wrong.set_event_name("ml.inference");
  attribute(wrong, "model", "iris");
  attribute(wrong, "features.petal", "a word");
  auto& nameless = *scope.add_log_records();
  nameless.set_event_name("ml.inference");
  const auto response = post("/v1/logs", logs.SerializeAsString());
  REQUIRE(response.status == 200);
  otlp::collector::logs::v1::ExportLogsServiceResponse answer;
  REQUIRE(answer.ParseFromString(response.body));
  INFO(answer.partial_success().error_message());
  CHECK(answer.partial_success().rejected_log_records() == 2);
  CHECK(answer.partial_success().error_message().find("row 3: model \"iris\": feature \"petal\" is a number, got a string") != std::string::npos);

  auto rows = events(model::EventKind::inference);
  REQUIRE(rows.size() == 2);
  if (rows[0].stream != R"({model="iris", version="3"})") std::swap(rows[0], rows[1]);
  CHECK(rows[0].stream == R"({model="iris", version="3"})");
  CHECK(rows[0].number("feature.petal") == 1.5);
  CHECK(rows[0].number("feature.count") == 3);
  CHECK(rows[0].text("feature.color") == "red");
  CHECK(std::get<model::List>(rows[0].fields.at("feature.embedding")) == model::List{1, 2});
  CHECK(rows[0].text("segment.country") == "DE");
  CHECK(rows[0].text("prediction") == "setosa");
  CHECK(rows[0].number("score.setosa") == 0.9);
  CHECK(rows[0].text("trace_id") == "11111111111111111111111111111111");
  CHECK(rows[1].number("feature.petal") == 2.5);
}

TEST_CASE_METHOD(Door, "spans become rows; a span with a bad id is refused alone") {
  TraceRequest traces;
  auto& resource = *traces.add_resource_spans();
  attribute(*resource.mutable_resource(), "service.name", "api");
  auto& scope = *resource.add_scope_spans();
  scope.mutable_scope()->set_name("lib");
  auto& span = *scope.add_spans();
  span.set_trace_id(std::string(16, '\xab'));
  span.set_span_id(std::string(8, '\xcd'));
  span.set_parent_span_id(std::string(8, '\x01'));
  span.set_name("GET /");
  span.set_kind(otlp::trace::v1::Span::SPAN_KIND_SERVER);
  span.set_start_time_unix_nano(now());
  span.set_end_time_unix_nano(now() + 1500);
  span.mutable_status()->set_code(otlp::trace::v1::Status::STATUS_CODE_ERROR);
  span.mutable_status()->set_message("boom");
  auto& code = *span.add_attributes();
  code.set_key("http.status_code");
  code.mutable_value()->set_int_value(500);
  auto& event = *span.add_events();
  event.set_name("exception");
  event.set_time_unix_nano(now());
  attribute(event, "type", "E");
  scope.add_spans()->set_name("no ids");
  const auto response = post("/v1/traces", traces.SerializeAsString());
  REQUIRE(response.status == 200);
  otlp::collector::trace::v1::ExportTraceServiceResponse answer;
  REQUIRE(answer.ParseFromString(response.body));
  CHECK(answer.partial_success().rejected_spans() == 1);
  CHECK(answer.partial_success().error_message().find("spans[1] \"no ids\"") != std::string::npos);
  const auto rows = events(model::EventKind::span);
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].stream == R"({service_name="api", span_name="GET /"})");
  CHECK(rows[0].text("trace_id") == "abababababababababababababababab");
  CHECK(rows[0].text("parent_span_id") == "0101010101010101");
  CHECK(rows[0].integer("kind") == 2);
  CHECK(rows[0].integer("duration_ns") == 1500);
  CHECK(rows[0].integer("status_code") == 2);
  CHECK(rows[0].integer("attr.http.status_code") == 500);
  CHECK(rows[0].text("resource.service.name") == "api");
  CHECK(rows[0].text("scope.name") == "lib");
  CHECK(rows[0].text("events") == R"([{"time_ns":")" + std::to_string(now()) + R"(","name":"exception","attributes":{"type":"E"}}])");
}

TEST_CASE_METHOD(Door, "a resource repeated on every row cannot become more than the budget") {
  LogsRequest logs;
  auto& resource = *logs.add_resource_logs();
  attribute(*resource.mutable_resource(), "big", std::string(60'000, 'x'));
  auto& scope = *resource.add_scope_logs();
  for (int i = 0; i < 5000; ++i) scope.add_log_records()->set_time_unix_nano(now());
  const Decoded decoded = translate_logs(logs, clock.now_ns());
  std::uint64_t refused = 0;
  for (const Rejection& r : decoded.rejections)
    if (r.reason == "batch_too_large") refused += r.count;
  CHECK(refused > 100);
  CHECK(decoded.batch.events[0].rows.size() + refused == 5000);
}

TEST_CASE_METHOD(Door, "rows of a resource that is too large to be copied into each are refused unbuilt") {
  LogsRequest logs;
  auto& resource = *logs.add_resource_logs();
  attribute(*resource.mutable_resource(), "big", std::string(1'000'000, 'x'));
  auto& scope = *resource.add_scope_logs();
  for (int i = 0; i < 100'000; ++i) scope.add_log_records()->set_time_unix_nano(now());
  const Decoded decoded = translate_logs(logs, clock.now_ns());
  CHECK(decoded.batch.empty());
  std::uint64_t refused = 0;
  for (const Rejection& r : decoded.rejections)
    if (r.reason == "resource_too_large") refused += r.count;
  CHECK(refused == 100'000);
}

TEST_CASE_METHOD(Door, "OTLP protobuf survives damaged bytes") {
  gauge("g", 1);
  with_delta();
  auto& histogram = *metric("h").mutable_histogram();
  histogram.set_aggregation_temporality(pbm::AGGREGATION_TEMPORALITY_CUMULATIVE);
  auto& point = *histogram.add_data_points();
  point.set_time_unix_nano(now());
  point.add_bucket_counts(1), point.add_bucket_counts(2), point.add_explicit_bounds(1);
  LogsRequest logs;
  auto& record = *logs.add_resource_logs()->add_scope_logs()->add_log_records();
  record.set_event_name("ml.inference");
  record.set_trace_id(std::string(16, 'x'));
  attribute(record, "model", "m");
  attribute(record, "features.a", "b");
  TraceRequest traces;
  auto& span = *traces.add_resource_spans()->add_scope_spans()->add_spans();
  span.set_trace_id(std::string(16, 'x'));
  span.set_span_id(std::string(8, 'y'));
  span.set_start_time_unix_nano(now());
  attribute(*span.add_events(), "k", "v");
  const std::string seeds[] = {request.SerializeAsString(), logs.SerializeAsString(), traces.SerializeAsString()};
  Mutator mutate(fuzz_seed());
  for (int i = 0; i < 6'000; ++i) {
    const OtlpSignal signals[] = {OtlpSignal::metrics, OtlpSignal::logs, OtlpSignal::traces};
    const auto result = export_otlp(signals[i % 3], OtlpEncoding::protobuf, mutate(seeds[i % 3]), sink, clock, {});
    if (!result) REQUIRE(result.error().code == Code::invalid_input);
  }
}
