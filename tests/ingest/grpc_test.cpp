// The listener with real gRPC clients on a free port.
#include <catch2/catch.hpp>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <thread>

#include "daemon/base/compression.hpp"
#include "ingest/grpc_services.hpp"
#include "opentelemetry/proto/collector/logs/v1/logs_service.grpc.pb.h"
#include "opentelemetry/proto/collector/metrics/v1/metrics_service.grpc.pb.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.grpc.pb.h"
#include "plumbline/v1/ingest.grpc.pb.h"
#include "tests/ingest/mutation.hpp"
#include "tests/ingest/otlp_fixture.hpp"

using namespace plumbline;
using namespace plumbline::ingest;
using namespace plumbline::test;

namespace {

struct Listener : OtlpFixture {
  std::unique_ptr<GrpcServer> server;
  std::shared_ptr<grpc::Channel> channel;

  explicit Listener(Limits limits = {}) {
    auto started = GrpcServer::start("127.0.0.1:0", sink, clock, *log, registry, limits, {});
    REQUIRE(started);
    server = std::move(*started);
    channel = grpc::CreateChannel("127.0.0.1:" + std::to_string(server->port()), grpc::InsecureChannelCredentials());
  }
  MetricsRequest metrics() const {
    MetricsRequest request;
    auto& metric = *request.add_resource_metrics()->add_scope_metrics()->add_metrics();
    metric.set_name("g");
    auto& point = *metric.mutable_gauge()->add_data_points();
    point.set_time_unix_nano(now());
    point.set_as_double(4);
    return request;
  }
  grpc::Status send(const MetricsRequest& request, otlp::collector::metrics::v1::ExportMetricsServiceResponse& response,
                    bool gzip = false) {
    auto stub = otlp::collector::metrics::v1::MetricsService::NewStub(channel);
    grpc::ClientContext context;
    if (gzip) context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
    return stub->Export(&context, request, &response);
  }
};
struct SmallListener : Listener {
  SmallListener() : Listener(Limits{1u << 20, 2u << 20}) {}
};

v1::Inference inference(double age, std::string id) {
  v1::Inference record;
  record.set_model("iris");
  record.set_prediction_id(std::move(id));
  (*record.mutable_features())["age"].set_number(age);
  return record;
}

}  // namespace

TEST_CASE_METHOD(Listener, "OTLP Export over gRPC, plain and gzip, with partial success") {
  otlp::collector::metrics::v1::ExportMetricsServiceResponse response;
  MetricsRequest request = metrics();
  for (const bool gzip : {false, true}) {
    const grpc::Status status = send(request, response, gzip);
    INFO(status.error_message());
    REQUIRE(status.ok());
    CHECK(!response.has_partial_success());
  }
  CHECK(series().at("g") == 4);
  auto& sum = *request.mutable_resource_metrics(0)->mutable_scope_metrics(0)->add_metrics()->mutable_sum();
  sum.set_aggregation_temporality(otlp::metrics::v1::AGGREGATION_TEMPORALITY_DELTA);
  sum.add_data_points();
  REQUIRE(send(request, response).ok());
  CHECK(response.partial_success().rejected_data_points() == 1);

  LogsRequest logs;
  logs.add_resource_logs()->add_scope_logs()->add_log_records()->mutable_body()->set_string_value("hello");
  grpc::ClientContext logs_context;
  otlp::collector::logs::v1::ExportLogsServiceResponse logs_response;
  REQUIRE(otlp::collector::logs::v1::LogsService::NewStub(channel)->Export(&logs_context, logs, &logs_response).ok());
  CHECK(events(model::EventKind::log).size() == 1);

  TraceRequest traces;
  auto& span = *traces.add_resource_spans()->add_scope_spans()->add_spans();
  span.set_trace_id(std::string(16, 'x'));
  span.set_span_id(std::string(8, 'y'));
  span.set_start_time_unix_nano(now());
  grpc::ClientContext trace_context;
  otlp::collector::trace::v1::ExportTraceServiceResponse trace_response;
  REQUIRE(otlp::collector::trace::v1::TraceService::NewStub(channel)->Export(&trace_context, traces, &trace_response).ok());
  CHECK(events(model::EventKind::span).size() == 1);
}

TEST_CASE_METHOD(Listener, "IngestService, unary") {
  auto stub = v1::IngestService::NewStub(channel);
  v1::PushReply reply;
  {
    v1::PushMetricsRequest request;
    auto& series = *request.add_series();
    (*series.mutable_labels())["__name__"] = "m";
    auto& sample = *series.add_samples();
    sample.set_time_ms(clock.now_ms());
    sample.set_value(2);
    (*request.add_series()->mutable_labels())["job"] = "nameless";
    grpc::ClientContext context;
    REQUIRE(stub->PushMetrics(&context, request, &reply).ok());
    CHECK(reply.accepted() == 1);
    CHECK(reply.refused() == 1);
    REQUIRE(reply.refusals_size() == 1);
    CHECK(reply.refusals(0).reason() == "missing_name");
    CHECK(reply.refusals(0).message().starts_with("series[1]: "));
  }
  {
    v1::PushLogsRequest request;
    auto& stream = *request.add_streams();
    (*stream.mutable_labels())["service_name"] = "api";
    auto& entry = *stream.add_entries();
    entry.set_line("hello");
    (*entry.mutable_fields())["user"] = "u1";
    grpc::ClientContext context;
    REQUIRE(stub->PushLogs(&context, request, &reply).ok());
    CHECK(reply.accepted() == 1);
    const auto rows = events(model::EventKind::log);
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].text("line") == "hello");
    CHECK(rows[0].text("user") == "u1");
    CHECK(rows[0].time_ns == clock.now_ns());
  }
  {
    v1::PushInferencesRequest request;
    *request.add_records() = inference(3, "p1");
    auto& wrong = *request.add_records();
    wrong = inference(0, "p2");
    (*wrong.mutable_features())["age"].set_text("old");
    request.add_records();  // no model
    grpc::ClientContext context;
    REQUIRE(stub->PushInferences(&context, request, &reply).ok());
    CHECK(reply.accepted() == 1);
    CHECK(reply.refused() == 2);
  }
  {
    v1::PushLabelsRequest request;
    auto& label = *request.add_labels();
    label.set_model("iris");
    label.set_prediction_id("p1");
    label.mutable_label()->set_text("setosa");
    grpc::ClientContext context;
    REQUIRE(stub->PushLabels(&context, request, &reply).ok());
    CHECK(reply.accepted() == 1);
    const std::vector<std::string> ids{"p1"};
    const auto stored = store.late_labels("iris", ids);
    REQUIRE((stored && (*stored)[0]));
    CHECK(std::get<std::string>((*stored)[0]->label) == "setosa");
  }
}

TEST_CASE_METHOD(Listener, "IngestService, client-streaming: totals over all messages") {
  auto stub = v1::IngestService::NewStub(channel);
  grpc::ClientContext context;
  v1::PushReply reply;
  auto writer = stub->PushInferencesStream(&context, &reply);
  for (int i = 0; i < 50; ++i) {
    v1::PushInferencesRequest request;
    *request.add_records() = inference(i, "p" + std::to_string(i));
    if (i == 30) request.add_records();
    REQUIRE(writer->Write(request));
  }
  REQUIRE(writer->WritesDone());
  REQUIRE(writer->Finish().ok());
  CHECK(reply.accepted() == 50);
  CHECK(reply.refused() == 1);
  CHECK(events(model::EventKind::inference).size() == 50);

  grpc::ClientContext empty_context;
  auto empty = stub->PushLabelsStream(&empty_context, &reply);
  REQUIRE(empty->WritesDone());
  REQUIRE(empty->Finish().ok());
  CHECK(reply.accepted() == 0);
}

TEST_CASE_METHOD(Listener, "many clients at once") {
  std::vector<std::thread> clients;
  std::atomic<int> good{0};
  for (int c = 0; c < 4; ++c)
    clients.emplace_back([&, c] {
      auto stub = v1::IngestService::NewStub(channel);
      for (int i = 0; i < 50; ++i) {
        v1::PushInferencesRequest request;
        *request.add_records() = inference(i, std::to_string(c) + "-" + std::to_string(i));
        grpc::ClientContext context;
        v1::PushReply reply;
        if (stub->PushInferences(&context, request, &reply).ok() && reply.accepted() == 1) ++good;
      }
    });
  for (auto& t : clients) t.join();
  CHECK(good == 200);
}

TEST_CASE_METHOD(Listener, "an unknown method, damaged bytes and a store in trouble have their own codes") {
  grpc::GenericStub generic(channel);
  const auto call = [&](const std::string& method, const std::string& bytes) {
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer request(&slice, 1);
    auto reader = generic.PrepareUnaryCall(&context, method, request, &queue);
    reader->StartCall();
    grpc::ByteBuffer response;
    grpc::Status status;
    reader->Finish(&response, &status, &queue);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    return status;
  };
  CHECK(call("/plumbline.v1.IngestService/PushNothing", "").error_code() == grpc::StatusCode::UNIMPLEMENTED);
  CHECK(call("/foreign.Service/Call", "").error_code() == grpc::StatusCode::UNIMPLEMENTED);
  const grpc::Status damaged = call("/plumbline.v1.IngestService/PushMetrics", "\x0a\xff");
  CHECK(damaged.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(damaged.error_message().find("plumbline.v1.PushMetricsRequest") != std::string::npos);
  store.fail_writes(Error{Code::unavailable, "disk full"});
  otlp::collector::metrics::v1::ExportMetricsServiceResponse response;
  CHECK(send(metrics(), response).error_code() == grpc::StatusCode::UNAVAILABLE);
}

TEST_CASE_METHOD(SmallListener, "a message is bounded as sent and as inflated") {
  otlp::collector::metrics::v1::ExportMetricsServiceResponse response;
  MetricsRequest request = metrics();
  request.mutable_resource_metrics(0)->set_schema_url(std::string(1'500'000, 'x'));
  CHECK(send(request, response).error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
  CHECK(send(request, response, true).ok());  // 1.5 MB inflated from a few KB
  request.mutable_resource_metrics(0)->set_schema_url(std::string(50'000'000, 'x'));
  const grpc::Status bomb = send(request, response, true);
  CHECK(bomb.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
  INFO(bomb.error_message());
  CHECK(send(metrics(), response).ok());
}

TEST_CASE_METHOD(OtlpFixture, "the listener is for this machine, one port has one owner, and it stops in order") {
  const auto start = [&](const std::string& address) {
    return GrpcServer::start(address, sink, clock, *log, registry, {}, {});
  };
  const auto open = start("0.0.0.0:0");
  REQUIRE(!open);
  CHECK(open.error().code == Code::unsupported);
  auto first = start("127.0.0.1:0");
  REQUIRE(first);
  const auto second = start("127.0.0.1:" + std::to_string((*first)->port()));
  REQUIRE(!second);
  CHECK(second.error().code == Code::io);

  // A stream that is open when the listener stops is cancelled after the grace.
  auto channel = grpc::CreateChannel("127.0.0.1:" + std::to_string((*first)->port()), grpc::InsecureChannelCredentials());
  auto stub = v1::IngestService::NewStub(channel);
  grpc::ClientContext context;
  v1::PushReply reply;
  auto writer = stub->PushLabelsStream(&context, &reply);
  REQUIRE(writer->Write(v1::PushLabelsRequest()));
  (*first)->stop(Millis(20));
  (*first)->stop(Millis(20));
  writer->WritesDone();
  CHECK(!writer->Finish().ok());
}

TEST_CASE_METHOD(OtlpFixture, "the services survive damaged bytes") {
  v1::PushInferencesRequest request;
  for (int i = 0; i < 5; ++i) *request.add_records() = inference(i, "p");
  const std::string seed = request.SerializeAsString();
  const GrpcServices services(sink, clock, {}, {});
  Mutator mutate(fuzz_seed());
  for (int i = 0; i < 5'000; ++i) {
    const auto call = services.open("/plumbline.v1.IngestService/PushInferences");
    REQUIRE(call);
    const Status status = call->message(mutate(seed));
    if (!status) REQUIRE(status.error().code == Code::invalid_input);
  }
  CHECK(inflate_message(gzip("abc"), 10).value() == "abc");
  CHECK(inflate_message(gzip(std::string(100, 'x')), 10).error().code == Code::too_large);
  CHECK(inflate_message("abc", 10).value() == "abc");
}
