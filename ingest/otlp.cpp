#include "ingest/otlp.hpp"

#include <google/protobuf/arena.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/stubs/logging.h>

#include <limits>
#include <protozero/pbf_writer.hpp>

#include "daemon/base/json_writer.hpp"
#include "ingest/exemplar.hpp"
#include "ingest/limits.hpp"
#include "opentelemetry/proto/collector/logs/v1/logs_service.pb.h"
#include "opentelemetry/proto/collector/metrics/v1/metrics_service.pb.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"

namespace plumbline::ingest {
namespace {

namespace pb = google::protobuf;

Status decode_protobuf(std::string_view bytes, pb::Message& into) {
  // protobuf writes lines about foreign bytes to stderr, which is our journal; the answer says it all.
  static const auto silent = pb::SetLogHandler(nullptr);
  static_cast<void>(silent);
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    return fail(Code::too_large, "a protobuf message may have 2 GiB");
  pb::io::CodedInputStream input(reinterpret_cast<const std::uint8_t*>(bytes.data()), static_cast<int>(bytes.size()));
  input.SetRecursionLimit(limit::nesting_max);
  if (!into.ParsePartialFromCodedStream(&input) || !input.ConsumedEntireMessage())
    return fail(Code::invalid_input, "the body is not a " + into.GetTypeName() + ": it is cut short, damaged at byte " +
                                         std::to_string(input.CurrentPosition()) + " or nested deeper than " +
                                         std::to_string(limit::nesting_max) + " messages");
  return {};
}

struct Answer {
  std::uint64_t rejected = 0;
  std::string message;
};

// Exemplars ride on points that are stored: they are counted in our meters, but are no rejected points.
Answer answer_of(const Receipt& receipt) {
  Receipt counted = receipt;
  std::erase_if(counted.rejections, is_of_exemplar);
  return {counted.refused(), counted.summary()};
}

std::string_view rejected_key(OtlpSignal signal) {
  switch (signal) {
    case OtlpSignal::metrics: return "rejectedDataPoints";
    case OtlpSignal::logs: return "rejectedLogRecords";
    case OtlpSignal::traces: return "rejectedSpans";
  }
  return {};
}

template <class Request, class Translate>
Result<Receipt> export_with(OtlpEncoding encoding, std::string_view bytes, Sink& sink, Translate translate) {
  Decoded decoded;
  {
    pb::Arena arena;
    auto* request = pb::Arena::CreateMessage<Request>(&arena);
    PLUMBLINE_CHECK_OK(decode_otlp(encoding, bytes, *request));
    decoded = translate(*request);
  }
  return sink.accept("otlp", std::move(decoded));
}

}  // namespace

Status decode_otlp(OtlpEncoding encoding, std::string_view bytes, pb::Message& into) {
  return encoding == OtlpEncoding::json ? decode_otlp_json(bytes, into) : decode_protobuf(bytes, into);
}

Result<Receipt> export_otlp(OtlpSignal signal, OtlpEncoding encoding, std::string_view bytes, Sink& sink,
                            const Clock& clock, const OtlpOptions& options) {
  switch (signal) {
    case OtlpSignal::metrics:
      return export_with<otlp_collector::metrics::v1::ExportMetricsServiceRequest>(
          encoding, bytes, sink, [&](const auto& request) { return translate_metrics(request, options); });
    case OtlpSignal::logs:
      return export_with<otlp_collector::logs::v1::ExportLogsServiceRequest>(
          encoding, bytes, sink, [&](const auto& request) { return translate_logs(request, clock.now_ns()); });
    case OtlpSignal::traces:
      return export_with<otlp_collector::trace::v1::ExportTraceServiceRequest>(
          encoding, bytes, sink, [](const auto& request) { return translate_traces(request); });
  }
  return fail(Code::unsupported, "unknown OTLP signal");
}

std::string otlp_answer(OtlpSignal signal, OtlpEncoding encoding, const Receipt& receipt) {
  const Answer answer = answer_of(receipt);
  std::string out;
  if (encoding == OtlpEncoding::json) {
    JsonWriter w(out);
    w.begin_object();
    if (answer.rejected > 0) {
      w.key("partialSuccess").begin_object();
      w.field(rejected_key(signal), std::to_string(answer.rejected)).field("errorMessage", answer.message);
      w.end_object();
    }
    w.end_object();
  } else if (answer.rejected > 0) {
    // The three responses have one form: 1 partial_success {1 rejected_*, 2 error_message}.
    std::string partial;
    protozero::pbf_writer inner(partial);
    inner.add_int64(1, static_cast<std::int64_t>(answer.rejected));
    inner.add_string(2, answer.message);
    protozero::pbf_writer(out).add_message(1, partial);
  }
  return out;
}

std::string otlp_error(OtlpEncoding encoding, const Error& error) {
  std::string out;
  if (encoding == OtlpEncoding::json) {
    JsonWriter w(out);
    w.begin_object().field("code", grpc_status(error.code)).field("message", error.message).end_object();
  } else {
    protozero::pbf_writer w(out);
    w.add_int32(1, grpc_status(error.code));
    w.add_string(2, error.message);
  }
  return out;
}

}  // namespace plumbline::ingest
