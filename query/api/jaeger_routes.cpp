// Jaeger's v1 query API as Grafana's data source calls it. Times are Unix microseconds, durations as Go prints them (1.5ms).
#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <functional>
#include <set>

#include "daemon/base/json_writer.hpp"
#include "daemon/base/text.hpp"
#include "query/query.hpp"
#include "query/stopping_reader.hpp"
#include "query/traces/traces.hpp"

namespace plumbline::query {
namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t lookback_default_ns = 3600 * second_ns;
constexpr std::size_t limit_default = 100;

http::Response envelope(std::size_t total, const std::function<void(JsonWriter&)>& data) {
  std::string body;
  JsonWriter json(body);
  json.begin_object().key("data");
  data(json);
  json.field("total", static_cast<std::uint64_t>(total)).field("limit", 0).field("offset", 0).key("errors").null().end_object();
  return http::Response::json(std::move(body));
}

http::Response refuse(int status, std::string_view message) {
  std::string body;
  JsonWriter json(body);
  json.begin_object().key("data").null().field("total", 0).field("limit", 0).field("offset", 0).key("errors").begin_array();
  json.begin_object().field("code", status).field("msg", message).end_object().end_array().end_object();
  return http::Response::json(std::move(body), status);
}
http::Response refuse(const Error& error) { return refuse(http_status(error.code), error.message); }

// Go's durations: 1h2m3.5s, 100us, 2ms, 0. Prometheus' parser has no fractions, no us and no ns.
Result<std::int64_t> parse_go_duration(std::string_view name, std::string_view text) {
  static constexpr std::pair<std::string_view, double> units[] = {{"ns", 1},    {"us", 1e3}, {"\xc2\xb5s", 1e3}, {"ms", 1e6},
                                                                  {"s", 1e9},   {"m", 60e9}, {"h", 3600e9},      {"d", 86400e9}};
  const auto wrong = [&] {
    return fail(Code::invalid_input, "parameter '" + std::string(name) + "': " + json_quote(text) + " is no duration such as 1.5ms");
  };
  if (text == "0") return 0;
  if (text.empty()) return wrong();
  double total = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t digits = std::min(rest.find_first_not_of("0123456789."), rest.size());
    const auto number = parse_number(rest.substr(0, digits));
    if (!number) return wrong();
    rest.remove_prefix(digits);
    const std::size_t length = std::min(rest.find_first_of("0123456789."), rest.size());
    const auto* unit = std::find_if(std::begin(units), std::end(units), [&](const auto& u) { return u.first == rest.substr(0, length); });
    if (unit == std::end(units)) return wrong();
    total += *number * unit->second;
    rest.remove_prefix(length);
  }
  if (total > 9e18) return wrong();
  return static_cast<std::int64_t>(std::llround(total));
}

Result<std::int64_t> parse_micros(std::string_view name, std::string_view text) {
  const auto micros = parse_int(text);
  if (!micros || *micros > 9'000'000'000'000'000 || *micros < 0)
    return fail(Code::invalid_input, "parameter '" + std::string(name) + "': Unix microseconds are expected, not " + json_quote(text));
  return *micros * 1000;
}

// tags={"http.status_code":"500","error":"true"}; also tag=key:value, repeatable.
Result<traces::Tags> parse_tags(const http::Request& request) {
  traces::Tags tags;
  for (const std::string_view text : request.params("tags")) {
    if (trim(text).empty()) continue;
    boost::system::error_code error;
    const boost::json::value parsed = boost::json::parse(boost::json::string_view(text.data(), text.size()), error);
    if (error || !parsed.is_object())
      return fail(Code::invalid_input, "parameter 'tags': a JSON object of strings is expected");
    for (const auto& member : parsed.get_object()) {
      if (!member.value().is_string())
        return fail(Code::invalid_input, "parameter 'tags': the value of '" + std::string(member.key()) + "' is not a string");
      tags.emplace_back(std::string(member.key()), std::string(member.value().get_string()));
    }
  }
  for (const std::string_view text : request.params("tag")) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos || colon == 0)
      return fail(Code::invalid_input, "parameter 'tag': key:value is expected, not " + json_quote(text));
    tags.emplace_back(std::string(text.substr(0, colon)), std::string(text.substr(colon + 1)));
  }
  return tags;
}

Result<traces::Search> parse_search(const http::Request& request, const Clock& clock) {
  traces::Search search;
  search.service = std::string(request.param("service").value_or(""));
  if (search.service.empty()) return fail(Code::invalid_input, "parameter 'service' is required");
  search.operation = std::string(request.param("operation").value_or(""));
  if (search.operation == "all") search.operation.clear();
  PLUMBLINE_TRY(search.tags, parse_tags(request));
  search.end_ns = clock.now_ns();
  if (const auto end = request.param("end"); end && !end->empty()) {
    PLUMBLINE_TRY(search.end_ns, parse_micros("end", *end));
  }
  std::int64_t lookback = lookback_default_ns;
  if (const auto text = request.param("lookback"); text && !text->empty() && *text != "custom") {
    PLUMBLINE_TRY(lookback, parse_go_duration("lookback", *text));
  }
  search.start_ns = search.end_ns - lookback;
  if (const auto start = request.param("start"); start && !start->empty()) {
    PLUMBLINE_TRY(search.start_ns, parse_micros("start", *start));
  }
  if (search.end_ns < search.start_ns) return fail(Code::invalid_input, "parameter 'end' is before 'start'");
  if (const auto text = request.param("minDuration"); text && !text->empty()) {
    PLUMBLINE_TRY(search.duration_min_ns, parse_go_duration("minDuration", *text));
  }
  if (const auto text = request.param("maxDuration"); text && !text->empty()) {
    PLUMBLINE_TRY(const std::int64_t most, parse_go_duration("maxDuration", *text));
    search.duration_max_ns = most;
  }
  search.limit = limit_default;
  if (const auto text = request.param("limit"); text && !text->empty()) {
    const auto limit = parse_int(*text);
    if (!limit || *limit < 1 || static_cast<std::uint64_t>(*limit) > traces::traces_max)
      return fail(Code::invalid_input, "parameter 'limit': a whole number from 1 to " + std::to_string(traces::traces_max));
    search.limit = static_cast<std::size_t>(*limit);
  }
  return search;
}

http::Response show_traces(const std::vector<traces::Trace>& found) {
  return envelope(0, [&](JsonWriter& json) {  // Jaeger's v1 says total 0 for traces
    json.begin_array();
    for (const traces::Trace& trace : found) traces::write_trace(json, trace);
    json.end_array();
  });
}

http::Response one_trace(const storage::Reader& reader, const http::Request& request) {
  auto id = traces::pad_trace_id(request.path_value("id"));
  if (!id) return refuse(id.error());
  auto trace = traces::read_trace(reader, *id);
  if (!trace) return refuse(trace.error());
  if (trace->spans.empty()) return refuse(404, "trace not found");
  return show_traces({std::move(*trace)});
}

http::Response find_traces(const storage::Reader& reader, const Clock& clock, const http::Request& request) {
  if (const auto ids = request.params("traceID"); !ids.empty()) {  // look-up by ids, as Jaeger's UI does
    std::vector<traces::Trace> found;
    for (const std::string_view text : ids) {
      if (found.size() >= traces::traces_max) break;
      auto id = traces::pad_trace_id(text);
      if (!id) return refuse(id.error());
      auto trace = traces::read_trace(reader, *id);
      if (!trace) return refuse(trace.error());
      if (!trace->spans.empty()) found.push_back(std::move(*trace));
    }
    return show_traces(found);
  }
  auto search = parse_search(request, clock);
  if (!search) return refuse(search.error());
  auto found = traces::search(reader, *search);
  if (!found) return refuse(found.error());
  return show_traces(*found);
}

http::Response show_words(const std::set<std::string, std::less<>>& words) {
  return envelope(words.size(), [&](JsonWriter& json) {
    json.begin_array();
    for (const std::string& word : words) json.string(word);
    json.end_array();
  });
}

// The values of one stream label over all spans that are kept.
http::Response stream_words(const storage::Reader& reader, const model::Matchers& matchers, std::string_view label) {
  auto streams = reader.streams(model::EventKind::span, matchers, {});
  if (!streams) return refuse(streams.error());
  std::set<std::string, std::less<>> words;
  for (const Labels& stream : *streams)
    if (stream.has(label)) words.emplace(stream.get(label));
  return show_words(words);
}

}  // namespace

http::Routes jaeger_routes(const storage::Reader& reader, const Clock& clock) {
  http::Routes routes;
  // Each reads until it is done or its client has gone.
  const auto get = [&](const std::string& pattern, auto handle) {
    routes.push_back({"GET", pattern, [&reader, handle](const http::Request& request) {
                        return handle(StoppingReader(reader, request.gone), request);
                      }});
  };
  get("/jaeger/api/services", [](const storage::Reader& r, const http::Request&) { return stream_words(r, {}, "service_name"); });
  get("/jaeger/api/services/{service}/operations", [](const storage::Reader& r, const http::Request& request) {
    const auto matcher = model::Matcher::equal("service_name", std::string(request.path_value("service")));
    return stream_words(r, {matcher}, "span_name");
  });
  get("/jaeger/api/traces",
      [&clock](const storage::Reader& r, const http::Request& request) { return find_traces(r, clock, request); });
  get("/jaeger/api/traces/{id}", one_trace);
  return routes;
}

}  // namespace plumbline::query
