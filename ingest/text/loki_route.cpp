#include "daemon/base/compression.hpp"
#include "daemon/base/text.hpp"
#include "ingest/text/loki.hpp"
#include "ingest/text/routes.hpp"

namespace plumbline::ingest {
namespace {

Status decode(const http::Request& request, std::size_t bytes_max, LokiRows& rows) {
  const std::string type = request.content_type();
  if (type == "application/json") {
    PLUMBLINE_TRY(const std::string body, request.decoded_body(bytes_max));
    return decode_loki_json(body, rows);
  }
  // Protobuf is Loki's default. It is snappy whether Content-Encoding says so or not; another encoding would
  // lie around it.
  if (type == "application/x-protobuf" || type.empty()) {
    const std::string encoding = to_lower(trim(request.header("content-encoding")));
    if (encoding.empty() || encoding == "snappy") {
      PLUMBLINE_TRY(const std::string body, unsnappy(request.body, bytes_max));
      return decode_loki_protobuf(body, rows);
    }
    PLUMBLINE_TRY(const std::string packed, request.decoded_body(bytes_max));
    PLUMBLINE_TRY(const std::string body, unsnappy(packed, bytes_max));
    return decode_loki_protobuf(body, rows);
  }
  return fail(Code::unsupported,
              "content type " + json_quote(type) + ": application/json or application/x-protobuf is wanted");
}

// Loki's clients log the body of an error as it is; plain text is what Loki sends.
http::Response plain(const Error& error) {
  http::Response out = http::Response::error(error);
  out.body = error.message + "\n";
  std::erase_if(out.headers, [](const auto& h) { return to_lower(h.first) == "content-type"; });
  return std::move(out.with("Content-Type", "text/plain; charset=utf-8"));
}

http::Response push(Sink& sink, Limits limits, const http::Request& request) {
  Refusals refusals("entry");
  LokiRows rows(refusals);
  // A broken message is refused whole: where it breaks off, nobody knows what its last entry was meant to be.
  if (auto status = decode(request, limits.inflated_bytes_max, rows); !status) return plain(status.error());
  if (rows.streams() == 0) return http::Response::text("no streams in the request\n", 422);

  Decoded decoded{rows.take(), refusals.by_reason()};
  const std::vector<Rejection> told = decoded.rejections;
  const auto receipt = sink.accept("loki", std::move(decoded));
  if (!receipt) return plain(receipt.error());
  refusals.add_from_sink(*receipt, told);
  if (refusals.count() == 0) return http::Response::empty(204);
  return http::Response::text(refusals.summary() + " (" + std::to_string(receipt->rows) + " stored)\n", 400);
}

}  // namespace

http::Routes loki_routes(Sink& sink, const Clock&, Limits limits) {
  const http::Handler handler = [&sink, limits](const http::Request& r) { return push(sink, limits, r); };
  return {{"POST", "/loki/api/v1/push", handler, http::Lane::ingest, limits.body_bytes_max},
          {"POST", "/api/prom/push", handler, http::Lane::ingest, limits.body_bytes_max}};
}

}  // namespace plumbline::ingest
