// OTLP: one decoder for both encodings, one translator per signal. The transports (otlp_http, grpc_services) meet here.
//
//   bytes -> decode_otlp -> Export*ServiceRequest -> translate_* -> Decoded -> Sink
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ingest/ingest.hpp"

namespace google::protobuf {
class Message;
}
namespace opentelemetry::proto::collector {
namespace metrics::v1 {
class ExportMetricsServiceRequest;
}
namespace logs::v1 {
class ExportLogsServiceRequest;
}
namespace trace::v1 {
class ExportTraceServiceRequest;
}
}  // namespace opentelemetry::proto::collector

namespace plumbline::ingest {

namespace otlp_collector = opentelemetry::proto::collector;

enum class OtlpSignal { metrics, logs, traces };
enum class OtlpEncoding { protobuf, json };

// Fails: invalid_input (not such a message; nested deeper than limit::nesting_max). JSON errors name the path:
// "resourceLogs[0].scopeLogs[0].logRecords[3].timeUnixNano: ...".
Status decode_otlp(OtlpEncoding encoding, std::string_view bytes, google::protobuf::Message& into);
// The JSON half: OTLP's mapping (hex ids, 64-bit integers as strings or numbers, unknown keys ignored) by reflection.
Status decode_otlp_json(std::string_view text, google::protobuf::Message& into);

// Pure. What cannot be stored is in the rejections, with its place.
Decoded translate_metrics(const otlp_collector::metrics::v1::ExportMetricsServiceRequest& request,
                          const OtlpOptions& options);
Decoded translate_logs(const otlp_collector::logs::v1::ExportLogsServiceRequest& request, std::int64_t now_ns);
Decoded translate_traces(const otlp_collector::trace::v1::ExportTraceServiceRequest& request);

// Decodes one Export request, translates it and hands it to the sink. The receipt's refusals are the partial success.
Result<Receipt> export_otlp(OtlpSignal signal, OtlpEncoding encoding, std::string_view bytes, Sink& sink,
                            const Clock& clock, const OtlpOptions& options);

// Export*ServiceResponse: empty on full success, with partial_success where something was refused.
std::string otlp_answer(OtlpSignal signal, OtlpEncoding encoding, const Receipt& receipt);
// google.rpc.Status, in the request's encoding.
std::string otlp_error(OtlpEncoding encoding, const Error& error);

// POST /v1/{metrics,logs,traces}, /api/v1/otlp/v1/metrics, /otlp/v1/logs.
http::Routes otlp_routes(Sink& sink, const Clock& clock, Limits limits, OtlpOptions options);

}  // namespace plumbline::ingest
