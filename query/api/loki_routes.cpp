// Loki's query API as Grafana's data source calls it. Times: whole numbers are nanoseconds (ten digits or fewer: seconds),
// numbers with a point are seconds, else RFC 3339; start is inclusive, end exclusive.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "daemon/base/json_writer.hpp"
#include "daemon/base/text.hpp"
#include "query/logql/logql.hpp"
#include "query/query.hpp"
#include "query/stopping_reader.hpp"

namespace plumbline::query {
namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t logs_default_ns = 3600 * second_ns;        // Loki's default for queries
constexpr std::int64_t labels_default_ns = 6 * 3600 * second_ns;  // and for labels
constexpr std::size_t limit_default = 100;
constexpr std::string_view api_level = "3.0.0";  // the Loki whose API these answers follow; Grafana asks before it queries

// `message` is what Grafana shows; `error` is what the other APIs of this daemon say.
http::Response refuse(const Error& error) {
  const int status = error.code == Code::unsupported ? 400 : http_status(error.code);
  std::string body;
  JsonWriter json(body);
  json.begin_object().field("status", "error").field("errorType", name_of(error.code));
  json.field("error", error.message).field("message", error.message).end_object();
  return http::Response::json(std::move(body), status);
}

Result<std::int64_t> parse_time(std::string_view name, std::string_view text) {
  const bool has_point = text.find('.') != std::string_view::npos;
  if (const auto whole = parse_int(text)) {
    constexpr std::int64_t seconds_max = std::numeric_limits<std::int64_t>::max() / second_ns;
    if (text.size() <= 10 && std::abs(*whole) < seconds_max) return *whole * second_ns;
    return *whole;
  }
  if (const auto number = parse_number(text)) {
    if (has_point && std::fabs(*number) < 9e9) {
      const double seconds = std::floor(*number);
      return static_cast<std::int64_t>(seconds) * second_ns + static_cast<std::int64_t>((*number - seconds) * 1e9);
    }
    if (std::fabs(*number) < 9e18) return static_cast<std::int64_t>(*number);  // 1.7e+18, as some clients print nanoseconds
  }
  auto parsed = parse_rfc3339_ns(text);
  if (!parsed) return fail(parsed.error().in("parameter '" + std::string(name) + "'"));
  return parsed;
}

struct Span {
  std::int64_t start = 0, end = 0;
};

Result<Span> parse_span(const http::Request& request, const Clock& clock, std::int64_t default_ns) {
  Span span;
  span.end = clock.now_ns();
  if (const auto end = request.param("end")) {
    PLUMBLINE_TRY(span.end, parse_time("end", *end));
  }
  span.start = span.end - default_ns;
  if (const auto since = request.param("since")) {
    auto ms = parse_duration_ms(*since);
    if (!ms) return fail(ms.error().in("parameter 'since'"));
    span.start = span.end - *ms * 1'000'000;
  }
  if (const auto start = request.param("start")) {
    PLUMBLINE_TRY(span.start, parse_time("start", *start));
  }
  if (span.end < span.start) return fail(Code::invalid_input, "parameter 'end' is before 'start'");
  return span;
}

Result<std::size_t> parse_limit(const http::Request& request) {
  const auto text = request.param("limit");
  if (!text) return limit_default;
  const auto limit = parse_int(*text);
  if (!limit || *limit < 0) return fail(Code::invalid_input, "parameter 'limit': a whole number of at least 0");
  if (static_cast<std::uint64_t>(*limit) > logql::entries_max)
    return fail(Code::invalid_input, "max entries limit per query exceeded, limit > entries_max (" + std::to_string(*limit) +
                                         " > " + std::to_string(logql::entries_max) + ")");
  return *limit == 0 ? limit_default : static_cast<std::size_t>(*limit);
}

void write_labels(JsonWriter& json, const Labels& labels) {
  json.begin_object();
  for (const model::Label& l : labels) json.field(l.name, l.value);
  json.end_object();
}

http::Response success(std::string_view result_type, bool categorized, const std::function<void(JsonWriter&)>& result) {
  std::string body;
  JsonWriter json(body);
  json.begin_object().field("status", "success").key("data").begin_object();
  json.field("resultType", result_type);
  if (categorized) json.key("encodingFlags").begin_array().string("categorize-labels").end_array();
  json.key("result");
  result(json);
  json.key("stats").begin_object().end_object().end_object().end_object();
  return http::Response::json(std::move(body));
}

// Without the flag a line's metadata joins its stream's labels, so that one stored stream may come back as several.
http::Response show_streams(const std::vector<logql::Entry>& entries, bool categorized) {
  std::map<Labels, std::vector<const logql::Entry*>> streams;
  for (const logql::Entry& entry : entries) {
    std::vector<model::Label> labels(entry.stream.begin(), entry.stream.end());
    if (!categorized) labels.insert(labels.end(), entry.metadata.begin(), entry.metadata.end());
    streams[Labels::trusted(std::move(labels))].push_back(&entry);
  }
  return success("streams", categorized, [&](JsonWriter& json) {
    json.begin_array();
    for (const auto& [labels, lines] : streams) {
      json.begin_object().key("stream");
      write_labels(json, labels);
      json.key("values").begin_array();
      for (const logql::Entry* entry : lines) {
        json.begin_array().string(std::to_string(entry->time_ns)).string(entry->line);
        if (categorized) {
          json.begin_object();
          if (!entry->metadata.empty()) {
            json.key("structuredMetadata").begin_object();
            for (const model::Label& l : entry->metadata) json.field(l.name, l.value);
            json.end_object();
          }
          json.end_object();
        }
        json.end_array();
      }
      json.end_array().end_object();
    }
    json.end_array();
  });
}

void write_point(JsonWriter& json, const logql::MetricPoint& point) {
  // Seconds with a fraction only where there is one, never with an exponent.
  json.begin_array().raw(format_number(static_cast<double>(point.t_ms) / 1000)).string(format_number(point.v)).end_array();
}

bool wants_categories(const http::Request& request) {
  return request.header("x-loki-response-encoding-flags").find("categorize-labels") != std::string_view::npos;
}

Result<std::int64_t> parse_step(const http::Request& request, const Span& span) {
  const auto text = request.param("step");
  if (!text) return std::max<std::int64_t>((span.end - span.start) / 250 / second_ns, 1) * second_ns;
  if (const auto number = parse_number(*text)) {
    if (*number > 0 && *number < 9e9) return std::max<std::int64_t>(static_cast<std::int64_t>(*number * 1e9), 1'000'000);
    return fail(Code::invalid_input, "parameter 'step': a duration above 0");
  }
  auto ms = parse_duration_ms(*text);
  if (!ms) return fail(ms.error().in("parameter 'step'"));
  if (*ms <= 0) return fail(Code::invalid_input, "parameter 'step': a duration above 0");
  return *ms * 1'000'000;
}

Result<logql::Query> parse_query(const http::Request& request) {
  const auto text = request.param("query");
  if (!text || trim(*text).empty()) return fail(Code::invalid_input, "parameter 'query' is missing");
  auto query = logql::parse(*text);
  if (!query) return fail(query.error().code == Code::unsupported ? query.error() : query.error().in("parse error"));
  return query;
}

Result<http::Response> query_range(const StoppingReader& reader, const Clock& clock, const http::Request& request) {
  PLUMBLINE_TRY(const logql::Query query, parse_query(request));
  PLUMBLINE_TRY(const Span span, parse_span(request, clock, logs_default_ns));
  if (const auto* logs = std::get_if<logql::LogQuery>(&query)) {
    logql::LogRange range{span.start, span.end, limit_default, false};
    PLUMBLINE_TRY(range.limit, parse_limit(request));
    const std::string_view direction = request.param("direction").value_or("backward");
    if (to_lower(direction) == "forward") range.forward = true;
    else if (to_lower(direction) != "backward")
      return fail(Code::invalid_input, "parameter 'direction': forward or backward, not " + json_quote(direction));
    PLUMBLINE_TRY(const auto entries, logql::run_logs(reader, *logs, range));
    return show_streams(entries, wants_categories(request));
  }
  PLUMBLINE_TRY(const std::int64_t step, parse_step(request, span));
  const logql::Metric& metric = *std::get<logql::MetricPtr>(query);
  PLUMBLINE_TRY(const auto series, logql::run_metric(reader, metric, span.start, span.end, step));
  return success("matrix", false, [&](JsonWriter& json) {
    json.begin_array();
    for (const logql::MetricSeries& s : series) {
      json.begin_object().key("metric");
      write_labels(json, s.labels);
      json.key("values").begin_array();
      for (const logql::MetricPoint& p : s.points) write_point(json, p);
      json.end_array().end_object();
    }
    json.end_array();
  });
}

Result<http::Response> query_instant(const StoppingReader& reader, const Clock& clock, const http::Request& request) {
  PLUMBLINE_TRY(const logql::Query query, parse_query(request));
  std::int64_t t = clock.now_ns();
  if (const auto time = request.param("time")) {
    PLUMBLINE_TRY(t, parse_time("time", *time));
  }
  if (std::holds_alternative<logql::LogQuery>(query))
    return fail(Code::invalid_input, "log queries are not supported as an instant query type, please change your query to a "
                                     "range query type");
  const logql::Metric& metric = *std::get<logql::MetricPtr>(query);
  PLUMBLINE_TRY(const auto series, logql::run_metric(reader, metric, t, t, second_ns));
  if (logql::is_scalar(metric))
    return success("scalar", false, [&](JsonWriter& json) { write_point(json, series.at(0).points.at(0)); });
  return success("vector", false, [&](JsonWriter& json) {
    json.begin_array();
    for (const logql::MetricSeries& s : series) {
      json.begin_object().key("metric");
      write_labels(json, s.labels);
      json.key("value");
      write_point(json, s.points.at(0));
      json.end_object();
    }
    json.end_array();
  });
}

Result<std::vector<Labels>> streams_of(const storage::Reader& reader, const Clock& clock, const http::Request& request,
                                       std::string_view selector_parameter) {
  PLUMBLINE_TRY(const Span span, parse_span(request, clock, labels_default_ns));
  const model::TimeRange range{span.start, std::max(span.start, span.end - 1)};
  std::set<Labels> found;
  std::vector<model::Matchers> selectors;
  for (const std::string_view text : request.params(selector_parameter)) {
    if (trim(text).empty()) continue;
    auto selector = logql::parse_selector(text);
    if (!selector) return fail(selector.error().in("parameter '" + std::string(selector_parameter) + "'"));
    selectors.push_back(std::move(*selector));
  }
  if (selectors.empty()) selectors.emplace_back();
  for (const model::Matchers& selector : selectors) {
    PLUMBLINE_TRY(const std::vector<Labels> streams, reader.streams(model::EventKind::log, selector, range));
    found.insert(streams.begin(), streams.end());
  }
  return std::vector<Labels>(found.begin(), found.end());
}

http::Response show_words(const std::set<std::string, std::less<>>& words) {
  std::string body;
  JsonWriter json(body);
  json.begin_object().field("status", "success").key("data").begin_array();
  for (const std::string& word : words) json.string(word);
  json.end_array().end_object();
  return http::Response::json(std::move(body));
}

Result<http::Response> label_names(const StoppingReader& reader, const Clock& clock, const http::Request& request) {
  PLUMBLINE_TRY(const std::vector<Labels> streams, streams_of(reader, clock, request, "query"));
  std::set<std::string, std::less<>> names;
  for (const Labels& stream : streams)
    for (const model::Label& l : stream) names.insert(l.name);
  return show_words(names);
}

Result<http::Response> label_values(const StoppingReader& reader, const Clock& clock, const http::Request& request) {
  PLUMBLINE_TRY(const std::vector<Labels> streams, streams_of(reader, clock, request, "query"));
  std::set<std::string, std::less<>> values;
  for (const Labels& stream : streams)
    if (const std::string_view value = stream.get(request.path_value("name")); !value.empty()) values.emplace(value);
  return show_words(values);
}

Result<http::Response> series(const StoppingReader& reader, const Clock& clock, const http::Request& request) {
  PLUMBLINE_TRY(const std::vector<Labels> streams, streams_of(reader, clock, request, "match[]"));
  std::string body;
  JsonWriter json(body);
  json.begin_object().field("status", "success").key("data").begin_array();
  for (const Labels& stream : streams) write_labels(json, stream);
  json.end_array().end_object();
  return http::Response::json(std::move(body));
}

http::Response build_info() {
  std::string body;
  JsonWriter json(body);
  json.begin_object().field("version", api_level).field("revision", "plumbline").field("branch", "").field("buildUser", "");
  json.field("buildDate", "").field("goVersion", "").end_object();
  return http::Response::json(std::move(body));
}

}  // namespace

http::Routes loki_routes(const storage::Reader& reader, const Clock& clock) {
  using Handle = Result<http::Response> (*)(const StoppingReader&, const Clock&, const http::Request&);
  http::Routes routes;
  const auto both = [&](const std::string& pattern, Handle handle) {
    for (const char* method : {"GET", "POST"})
      routes.push_back({method, pattern, [&reader, &clock, handle](const http::Request& request) {
                          auto response = handle(StoppingReader(reader, request.gone), clock, request);
                          return response ? std::move(*response) : refuse(response.error());
                        }});
  };
  both("/loki/api/v1/query_range", query_range);
  both("/loki/api/v1/query", query_instant);
  both("/loki/api/v1/labels", label_names);
  both("/loki/api/v1/label/{name}/values", label_values);
  both("/loki/api/v1/series", series);
  routes.push_back({"GET", "/loki/api/v1/status/buildinfo", [](const http::Request&) { return build_info(); }});
  return routes;
}

}  // namespace plumbline::query
