#include <unordered_map>

#include "daemon/base/text.hpp"
#include "ingest/exemplar.hpp"
#include "ingest/limits.hpp"
#include "ingest/text/exposition.hpp"
#include "ingest/text/metadata.hpp"
#include "ingest/text/refusals.hpp"
#include "ingest/text/routes.hpp"

namespace plumbline::ingest {
namespace {

// What the query asks for.
struct ImportOptions {
  std::int64_t timestamp_ms = 0;
  std::vector<model::Label> extra_labels;
};

Result<ImportOptions> import_options(const http::Request& request, std::int64_t now_ms) {
  ImportOptions options;
  options.timestamp_ms = now_ms;
  if (const auto text = request.param("timestamp"); text && !text->empty()) {
    const auto ms = parse_int(*text);
    if (!ms)
      return fail(Code::invalid_input,
                  "timestamp " + json_quote(*text) + " is not a Unix time in milliseconds");
    options.timestamp_ms = *ms;
  }
  for (const std::string_view text : request.params("extra_label")) {
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0)
      return fail(Code::invalid_input, "extra_label " + json_quote(text) + " is not name=value");
    options.extra_labels.push_back(
        {std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))});
  }
  return options;
}

Result<ExpositionFormat> import_format(const http::Request& request) {
  const std::string type = request.content_type();
  // curl -d says x-www-form-urlencoded whatever it sends; everybody's first try is curl -d.
  if (type.empty() || type == "text/plain" || type == "application/octet-stream" ||
      type == "application/x-www-form-urlencoded")
    return ExpositionFormat::text;
  if (type == "application/openmetrics-text") return ExpositionFormat::openmetrics;
  return fail(Code::unsupported,
              "content type " + json_quote(type) + ": text/plain or application/openmetrics-text is wanted");
}

class Importer {
 public:
  Importer(ImportOptions options, Refusals& refusals) : options_(std::move(options)), refusals_(refusals) {}

  Decoded run(std::string_view body, ExpositionFormat format) {
    ExpositionParser parser(body, format);
    ExpositionLine line;
    while (true) {
      switch (parser.next(line)) {
        case ExpositionParser::Item::sample:
          add_sample(line);
          break;
        case ExpositionParser::Item::metadata:
          metadata_.add(line);
          break;
        case ExpositionParser::Item::error:
          refusals_.add(line.line, line.column, line.reason, line.message);
          break;
        case ExpositionParser::Item::end:
          return finish();
      }
    }
  }

 private:
  void add_sample(ExpositionLine& line) {
    for (const model::Label& extra : options_.extra_labels) {
      std::erase_if(line.labels, [&](const model::Label& l) { return l.name == extra.name; });
      line.labels.push_back(extra);
    }
    auto labels = series_labels(std::move(line.labels));
    line.labels.clear();
    if (!labels) {
      refusals_.add(line.line, 1, labels.error().reason,
                    "line " + std::to_string(line.line) + ": " + labels.error().message);
      return;
    }
    const model::Sample sample{line.timestamp_ms.value_or(options_.timestamp_ms), line.value};
    // A known series costs one sample more; a new one its labels too.
    const bool fits = index_.contains(*labels) ? budget_.take(sizeof(model::Sample)) : budget_.take(*labels);
    if (!fits) {
      const Rejection over = over_budget();
      refusals_.add(line.line, 1, over.reason, "line " + std::to_string(line.line) + ": " + over.message);
      return;
    }
    if (line.exemplar) {
      std::vector<Exemplar> exemplar;
      exemplar.push_back({std::move(line.exemplar->labels), line.exemplar->value, line.exemplar->timestamp_ms.value_or(sample.t)});
      add_exemplars(*labels, std::move(exemplar), "line " + std::to_string(line.line), budget_, decoded_.batch, exemplars_refused_);
    }
    const auto [place, fresh] = index_.try_emplace(*labels, decoded_.batch.series.size());
    if (fresh) decoded_.batch.series.push_back({std::move(*labels), {}});
    decoded_.batch.series[place->second].samples.push_back(sample);
  }
  Decoded finish() {
    decoded_.batch.metadata = metadata_.take();
    decoded_.rejections = refusals_.by_reason();
    for (Rejection& r : exemplars_refused_.take()) decoded_.rejections.push_back(std::move(r));
    return std::move(decoded_);
  }

  ImportOptions options_;
  Refusals& refusals_;
  Rejections exemplars_refused_;  // no reason for a 400
  ExpositionMetadata metadata_;
  Decoded decoded_;
  Budget budget_;
  std::unordered_map<model::Labels, std::size_t, model::LabelsHash> index_;
};

http::Response import_answer(const Refusals& refusals, std::uint64_t accepted) {
  if (refusals.count() == 0) return http::Response::empty(204);
  std::string body;
  JsonWriter json(body);
  json.begin_object();
  json.field("status", "error").field("errorType", "bad_data").field("error", refusals.summary());
  json.field("accepted", accepted).field("refused", refusals.count());
  refusals.write(json);
  json.end_object();
  return http::Response::json(std::move(body), 400);
}

http::Response import_exposition(Sink& sink, const Clock& clock, Limits limits,
                                 const http::Request& request) {
  const auto format = import_format(request);
  if (!format) return http::Response::error(format.error());
  auto options = import_options(request, clock.now_ms());
  if (!options) return http::Response::error(options.error());
  const auto body = request.decoded_body(limits.inflated_bytes_max);
  if (!body) return http::Response::error(body.error());

  Refusals refusals("line");
  Decoded decoded = Importer(std::move(*options), refusals).run(*body, *format);
  const std::vector<Rejection> told = decoded.rejections;
  auto receipt = sink.accept("text", std::move(decoded));
  if (!receipt) return http::Response::error(receipt.error());
  std::erase_if(receipt->rejections, is_of_exemplar);
  refusals.add_from_sink(*receipt, told);
  return import_answer(refusals, receipt->samples);
}

}  // namespace

http::Routes import_routes(Sink& sink, const Clock& clock, Limits limits) {
  return {
      {"POST", "/api/v1/import/prometheus",
       [&sink, &clock, limits](const http::Request& r) { return import_exposition(sink, clock, limits, r); },
       http::Lane::ingest, limits.body_bytes_max}};
}

}  // namespace plumbline::ingest
