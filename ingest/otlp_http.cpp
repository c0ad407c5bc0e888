// OTLP over HTTP: content types in, the same encoding out.
#include "daemon/base/text.hpp"
#include "ingest/limits.hpp"
#include "ingest/otlp.hpp"

namespace plumbline::ingest {
namespace {

std::string_view content_type_of(OtlpEncoding encoding) {
  return encoding == OtlpEncoding::json ? "application/json" : "application/x-protobuf";
}

http::Response respond(OtlpEncoding encoding, int status, std::string body) {
  return {status, {{"Content-Type", std::string(content_type_of(encoding))}}, std::move(body)};
}

http::Response respond_error(OtlpEncoding encoding, const Error& error) {
  http::Response response = respond(encoding, http_status(error.code), otlp_error(encoding, error));
  // OTLP clients repeat 429 and 503 after this many seconds; one keeps a fleet from spinning.
  if (response.status == 429 || response.status == 503) response.with("Retry-After", "1");
  return response;
}

std::optional<OtlpEncoding> encoding_of(const http::Request& request) {
  const std::string type = request.content_type();
  if (type == "application/x-protobuf" || type == "application/protobuf") return OtlpEncoding::protobuf;
  if (type == "application/json") return OtlpEncoding::json;
  return std::nullopt;
}

struct Door {
  Sink& sink;
  const Clock& clock;
  Limits limits;
  OtlpOptions options;
};

http::Response receive(const Door& door, OtlpSignal signal, const http::Request& request) {
  const std::optional<OtlpEncoding> encoding = encoding_of(request);
  if (!encoding)
    return respond_error(OtlpEncoding::json,
                         {Code::unsupported, "OTLP wants Content-Type application/x-protobuf or application/json, got " +
                                                 printable(request.content_type())});
  const std::string content_encoding = to_lower(trim(request.header("content-encoding")));
  if (!content_encoding.empty() && content_encoding != "identity" && content_encoding != "gzip")
    return respond_error(*encoding, {Code::unsupported, "OTLP wants Content-Encoding gzip or none, got " +
                                                            printable(content_encoding)});
  const Result<std::string> body = request.decoded_body(door.limits.inflated_bytes_max);
  if (!body) return respond_error(*encoding, body.error());
  const Result<Receipt> receipt = export_otlp(signal, *encoding, *body, door.sink, door.clock, door.options);
  if (!receipt) return respond_error(*encoding, receipt.error());
  return respond(*encoding, 200, otlp_answer(signal, *encoding, *receipt));
}

}  // namespace

http::Routes otlp_routes(Sink& sink, const Clock& clock, Limits limits, OtlpOptions options) {
  const Door door{sink, clock, limits, std::move(options)};
  const auto route = [&](std::string path, OtlpSignal signal) {
    return http::Route{"POST", std::move(path), [door, signal](const http::Request& r) { return receive(door, signal, r); },
                       http::Lane::ingest, limits.body_bytes_max};
  };
  return {route("/v1/metrics", OtlpSignal::metrics), route("/v1/logs", OtlpSignal::logs),
          route("/v1/traces", OtlpSignal::traces),
          // Where Prometheus and Loki have theirs: senders append /v1/<signal> to a base they already know.
          route("/api/v1/otlp/v1/metrics", OtlpSignal::metrics), route("/otlp/v1/logs", OtlpSignal::logs)};
}

}  // namespace plumbline::ingest
