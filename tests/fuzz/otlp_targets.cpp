// OTLP in both encodings and signals, and the gRPC methods.
#include "ingest/grpc_services.hpp"
#include "ingest/otlp.hpp"
#include "opentelemetry/proto/collector/logs/v1/logs_service.pb.h"
#include "opentelemetry/proto/collector/metrics/v1/metrics_service.pb.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"
#include "plumbline/v1/ingest.pb.h"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/support.hpp"

namespace plumbline::fuzz {
namespace {

using namespace ingest;
namespace collector = opentelemetry::proto::collector;
using MetricsRequest = collector::metrics::v1::ExportMetricsServiceRequest;
using LogsRequest = collector::logs::v1::ExportLogsServiceRequest;
using TracesRequest = collector::trace::v1::ExportTraceServiceRequest;

constexpr std::int64_t now_ns = 1'700'000'000'000'000'000;

Decoded translate(const MetricsRequest& r) { return translate_metrics(r, {{"service.name"}}); }
Decoded translate(const LogsRequest& r) { return translate_logs(r, now_ns); }
Decoded translate(const TracesRequest& r) { return translate_traces(r); }

template <class Request, OtlpEncoding encoding>
void otlp(std::string_view bytes) {
  Request request;
  if (!decode_otlp(encoding, bytes, request)) return;
  const Decoded decoded = translate(request);
  for (const Rejection& r : decoded.rejections) PLUMBLINE_CHECK(!r.reason.empty() && r.count > 0, "a refusal says why");
}

const std::string_view methods[] = {
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",     "/plumbline.v1.IngestService/PushMetrics",
    "/plumbline.v1.IngestService/PushLogs",                            "/plumbline.v1.IngestService/PushInferences",
    "/plumbline.v1.IngestService/PushLabels",                          "/x.Y/Z"};

void grpc(std::string_view bytes) {
  static test::ManualClock clock;
  static const auto log = make_null_log();
  static Registry registry;
  test::MemoryStore store;
  Sink sink(store, store, clock, *log, registry);
  const GrpcServices services(sink, clock, {1 << 20, 4 << 20}, {});
  Input in(bytes);
  const auto call = services.open(methods[in.byte() % std::size(methods)]);
  if (!call) return;
  if (call->message(in.piece()) && call->client_streaming()) (void)call->message(in.rest());
  (void)call->reply();
}

void describe(auto& resource) {
  auto& service = *resource.add_attributes();
  service.set_key("service.name");
  service.mutable_value()->set_string_value("api");
  auto& nested = *resource.add_attributes();
  nested.set_key("k8s");
  auto& pod = *nested.mutable_value()->mutable_kvlist_value()->add_values();
  pod.set_key("pod");
  pod.mutable_value()->mutable_array_value()->add_values()->set_int_value(7);
}

MetricsRequest metrics_request() {
  MetricsRequest request;
  auto& resource = *request.add_resource_metrics();
  describe(*resource.mutable_resource());
  auto& scope = *resource.add_scope_metrics();
  scope.mutable_scope()->set_name("lib");
  auto& sum = *scope.add_metrics();
  sum.set_name("http.requests");
  sum.set_unit("1");
  sum.mutable_sum()->set_is_monotonic(true);
  sum.mutable_sum()->set_aggregation_temporality(opentelemetry::proto::metrics::v1::AGGREGATION_TEMPORALITY_CUMULATIVE);
  auto& point = *sum.mutable_sum()->add_data_points();
  point.set_time_unix_nano(now_ns);
  point.set_as_int(5);
  auto& histogram = *scope.add_metrics();
  histogram.set_name("latency");
  histogram.mutable_histogram()->set_aggregation_temporality(
      opentelemetry::proto::metrics::v1::AGGREGATION_TEMPORALITY_CUMULATIVE);
  auto& h = *histogram.mutable_histogram()->add_data_points();
  h.set_time_unix_nano(now_ns);
  h.set_count(3);
  h.set_sum(1.5);
  for (const double b : {0.1, 1.0}) h.add_explicit_bounds(b);
  for (const std::uint64_t c : {1, 1, 1}) h.add_bucket_counts(c);
  auto& exponential = *scope.add_metrics();
  exponential.set_name("e");
  auto& e = *exponential.mutable_exponential_histogram()->add_data_points();
  e.set_time_unix_nano(now_ns);
  e.set_scale(3);
  e.set_count(2);
  e.mutable_positive()->set_offset(-2);
  e.mutable_positive()->add_bucket_counts(2);
  return request;
}

LogsRequest logs_request() {
  LogsRequest request;
  auto& resource = *request.add_resource_logs();
  describe(*resource.mutable_resource());
  auto& record = *resource.add_scope_logs()->add_log_records();
  record.set_time_unix_nano(now_ns);
  record.set_severity_number(opentelemetry::proto::logs::v1::SEVERITY_NUMBER_WARN);
  record.mutable_body()->set_string_value("boom");
  record.set_trace_id(std::string(16, '\x12'));
  record.set_span_id(std::string(8, '\x34'));
  return request;
}

TracesRequest traces_request() {
  TracesRequest request;
  auto& resource = *request.add_resource_spans();
  describe(*resource.mutable_resource());
  auto& span = *resource.add_scope_spans()->add_spans();
  span.set_trace_id(std::string(16, '\x12'));
  span.set_span_id(std::string(8, '\x34'));
  span.set_name("GET /");
  span.set_start_time_unix_nano(now_ns);
  span.set_end_time_unix_nano(now_ns + 5);
  auto& event = *span.add_events();
  event.set_name("retry");
  event.set_time_unix_nano(now_ns + 1);
  span.add_links()->set_trace_id(std::string(16, '\x56'));
  return request;
}

const std::string metrics_text =
    R"({"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},"scopeMetrics":[{"scope":{},)"
    R"("metrics":[{"name":"m","gauge":{"dataPoints":[{"timeUnixNano":"1700000000000000000","asDouble":1.5}]}}]}]}]})";
const std::string logs_text =
    R"({"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1700000000000000000","severityNumber":13,)"
    R"("body":{"kvlistValue":{"values":[{"key":"a","value":{"bytesValue":"AQI="}}]}},"traceId":"12121212121212121212121212121212"}]}]}]})";
const std::string traces_text =
    R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"12121212121212121212121212121212","spanId":"3434343434343434",)"
    R"("name":"x","kind":"SPAN_KIND_SERVER","startTimeUnixNano":1700000000000000000,"endTimeUnixNano":"1700000000000000005",)"
    R"("events":[{"name":"e"}],"status":{"code":2}}]}]}]})";

std::vector<std::string> grpc_seeds() {
  const auto call = [](char method, const std::string& message) { return std::string(1, method) + piece(message); };
  v1::PushMetricsRequest metrics;
  auto& series = *metrics.add_series();
  (*series.mutable_labels())["__name__"] = "up";
  series.add_samples()->set_value(1.5);
  metrics.add_metadata()->set_metric("up");
  v1::PushLogsRequest logs;
  auto& stream = *logs.add_streams();
  (*stream.mutable_labels())["app"] = "api";
  auto& entry = *stream.add_entries();
  entry.set_line("boom");
  (*entry.mutable_fields())["trace_id"] = "12121212121212121212121212121212";
  v1::PushInferencesRequest inferences;
  auto& record = *inferences.add_records();
  record.set_model("m");
  (*record.mutable_features())["age"].set_number(31);
  v1::PushLabelsRequest labels;
  auto& label = *labels.add_labels();
  label.set_model("m");
  label.set_prediction_id("p");
  label.mutable_label()->set_text("x");
  return {call(0, metrics_request().SerializeAsString()), call(1, logs_request().SerializeAsString()),
          call(2, traces_request().SerializeAsString()),  call(3, metrics.SerializeAsString()),
          call(4, logs.SerializeAsString()),              call(5, inferences.SerializeAsString()),
          call(6, labels.SerializeAsString())};
}

}  // namespace

Targets otlp_targets() {
  return {
      {"otlp_metrics", otlp<MetricsRequest, OtlpEncoding::protobuf>,
       [] { return std::vector<std::string>{metrics_request().SerializeAsString()}; }},
      {"otlp_logs", otlp<LogsRequest, OtlpEncoding::protobuf>,
       [] { return std::vector<std::string>{logs_request().SerializeAsString()}; }},
      {"otlp_traces", otlp<TracesRequest, OtlpEncoding::protobuf>,
       [] { return std::vector<std::string>{traces_request().SerializeAsString()}; }},
      {"otlp_metrics_json", otlp<MetricsRequest, OtlpEncoding::json>, [] { return std::vector<std::string>{metrics_text}; }},
      {"otlp_logs_json", otlp<LogsRequest, OtlpEncoding::json>, [] { return std::vector<std::string>{logs_text}; }},
      {"otlp_traces_json", otlp<TracesRequest, OtlpEncoding::json>, [] { return std::vector<std::string>{traces_text}; }},
      {"grpc", grpc, grpc_seeds},
  };
}

}  // namespace plumbline::fuzz
