#include "ingest/grpc_services.hpp"

#include <google/protobuf/arena.h>

#include <array>

#include "daemon/base/compression.hpp"
#include "ingest/grpc_push.hpp"
#include "ingest/limits.hpp"
#include "ingest/otlp.hpp"
#include "plumbline/v1/ingest.pb.h"

namespace plumbline::ingest {
namespace {

class OtlpCall final : public GrpcCall {
 public:
  OtlpCall(OtlpSignal signal, Sink& sink, const Clock& clock, const OtlpOptions& options)
      : signal_(signal), sink_(sink), clock_(clock), options_(options) {}
  bool client_streaming() const override { return false; }
  Status message(std::string_view bytes) override {
    PLUMBLINE_TRY(receipt_, export_otlp(signal_, OtlpEncoding::protobuf, bytes, sink_, clock_, options_));
    return {};
  }
  std::string reply() override { return otlp_answer(signal_, OtlpEncoding::protobuf, receipt_); }

 private:
  const OtlpSignal signal_;
  Sink& sink_;
  const Clock& clock_;
  const OtlpOptions& options_;
  Receipt receipt_;
};

template <class Request>
class PushCall final : public GrpcCall {
 public:
  PushCall(bool streaming, Sink& sink, const Clock& clock) : streaming_(streaming), sink_(sink), clock_(clock) {}
  bool client_streaming() const override { return streaming_; }
  Status message(std::string_view bytes) override {
    Decoded decoded;
    {
      google::protobuf::Arena arena;
      auto* request = google::protobuf::Arena::CreateMessage<Request>(&arena);
      PLUMBLINE_CHECK_OK(decode_otlp(OtlpEncoding::protobuf, bytes, *request));
      decoded = translate_push(*request, clock_.now_ns());
    }
    PLUMBLINE_TRY(Receipt receipt, sink_.accept("grpc", std::move(decoded)));
    accepted_ += receipt.samples + receipt.rows + receipt.labels;
    for (const Rejection& r : receipt.rejections) refused_.add(r);
    return {};
  }
  std::string reply() override {
    v1::PushReply reply;
    reply.set_accepted(accepted_);
    reply.set_refused(refused_.count());
    for (Rejection& r : refused_.take()) {
      if (static_cast<std::size_t>(reply.refusals_size()) >= limit::refusals_named_max) break;
      v1::Refusal& out = *reply.add_refusals();
      out.set_reason(r.reason);
      out.set_message(r.message);
      out.set_count(r.count);
    }
    return reply.SerializeAsString();
  }

 private:
  const bool streaming_;
  Sink& sink_;
  const Clock& clock_;
  std::uint64_t accepted_ = 0;
  Rejections refused_;
};

}  // namespace

Result<std::string> inflate_message(std::string bytes, std::size_t bytes_max) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  if (bytes.size() >= 2 && at(0) == 0x1f && at(1) == 0x8b) return gunzip(bytes, bytes_max);
  // RFC 1950: the header's two bytes are a multiple of 31.
  if (bytes.size() >= 2 && at(0) == 0x78 && (at(0) * 256 + at(1)) % 31 == 0) return inflate(bytes, bytes_max);
  return bytes;
}

GrpcServices::GrpcServices(Sink& sink, const Clock& clock, Limits limits, OtlpOptions otlp)
    : sink_(sink), clock_(clock), limits_(limits), otlp_(std::move(otlp)) {}

std::unique_ptr<GrpcCall> GrpcServices::open(std::string_view method) const {
  constexpr std::array<std::pair<std::string_view, OtlpSignal>, 3> exports{
      {{"/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", OtlpSignal::metrics},
       {"/opentelemetry.proto.collector.logs.v1.LogsService/Export", OtlpSignal::logs},
       {"/opentelemetry.proto.collector.trace.v1.TraceService/Export", OtlpSignal::traces}}};
  for (const auto& [name, signal] : exports)
    if (method == name) return std::make_unique<OtlpCall>(signal, sink_, clock_, otlp_);

  constexpr std::string_view service = "/plumbline.v1.IngestService/";
  if (!method.starts_with(service)) return nullptr;
  std::string_view name = method.substr(service.size());
  const bool streaming = name.ends_with("Stream");
  if (streaming) name.remove_suffix(std::string_view("Stream").size());
  if (name == "PushMetrics") return std::make_unique<PushCall<v1::PushMetricsRequest>>(streaming, sink_, clock_);
  if (name == "PushLogs") return std::make_unique<PushCall<v1::PushLogsRequest>>(streaming, sink_, clock_);
  if (name == "PushInferences") return std::make_unique<PushCall<v1::PushInferencesRequest>>(streaming, sink_, clock_);
  if (name == "PushLabels") return std::make_unique<PushCall<v1::PushLabelsRequest>>(streaming, sink_, clock_);
  return nullptr;
}

}  // namespace plumbline::ingest
