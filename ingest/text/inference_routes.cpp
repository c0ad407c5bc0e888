#include "daemon/base/text.hpp"
#include "ingest/text/inference_json.hpp"
#include "ingest/text/routes.hpp"

namespace plumbline::ingest {
namespace {

Status check_content_type(const http::Request& request) {
  const std::string type = request.content_type();
  if (type.empty() || type == "application/json" || type == "application/x-ndjson" ||
      type == "application/ndjson")
    return {};
  return fail(Code::unsupported,
              "content type " + json_quote(type) + ": application/json or application/x-ndjson is wanted");
}

http::Response answer(const Refusals& refusals, std::uint64_t accepted) {
  std::string body;
  JsonWriter json(body);
  json.begin_object();
  json.field("accepted", accepted).field("refused", refusals.count());
  refusals.write(json);
  json.end_object();
  return http::Response::json(std::move(body), accepted == 0 ? 400 : 200);
}

using Decode = JsonRows (*)(std::string_view, std::int64_t, Refusals&);

http::Response take(Sink& sink, const Clock& clock, Limits limits, const http::Request& request,
                    Decode decode) {
  if (auto status = check_content_type(request); !status) return http::Response::error(status.error());
  const auto body = request.decoded_body(limits.inflated_bytes_max);
  if (!body) return http::Response::error(body.error());
  Refusals refusals("row");
  JsonRows rows = decode(*body, clock.now_ns(), refusals);
  if (rows.rows == 0) return http::Response::error({Code::invalid_input, "the body has no rows"});
  Decoded decoded{std::move(rows.batch), refusals.by_reason(), std::move(rows.row_numbers)};
  const std::vector<Rejection> told = decoded.rejections;
  const auto receipt = sink.accept("inferences", std::move(decoded));
  if (!receipt) return http::Response::error(receipt.error());
  refusals.add_from_sink(*receipt, told);
  return answer(refusals, receipt->rows + receipt->labels);
}

}  // namespace

http::Routes inference_routes(Sink& sink, const Clock& clock, Limits limits) {
  const auto route = [&](std::string path, Decode decode) {
    return http::Route{"POST", std::move(path),
                       [&sink, &clock, limits, decode](const http::Request& r) {
                         return take(sink, clock, limits, r, decode);
                       },
                       http::Lane::ingest, limits.body_bytes_max};
  };
  return {route("/api/v1/inferences", decode_inferences), route("/api/v1/inferences/labels", decode_labels)};
}

http::Routes text_routes(Sink& sink, const Clock& clock, Limits limits) {
  http::Routes all = import_routes(sink, clock, limits);
  for (http::Routes more : {loki_routes(sink, clock, limits), inference_routes(sink, clock, limits)})
    for (http::Route& route : more) all.push_back(std::move(route));
  return all;
}

}  // namespace plumbline::ingest
