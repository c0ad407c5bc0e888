// GET /federate: the newest sample of each matching series in the text exposition format, for another Prometheus to scrape.
#include <algorithm>

#include "daemon/base/text.hpp"
#include "query/api/prometheus_json.hpp"
#include "query/api/prometheus_parameters.hpp"
#include "query/stopping_reader.hpp"

namespace plumbline::query {

namespace {

struct Newest {
  Labels labels;
  Sample sample;
};

void append_value(std::string& out, std::string_view value) {
  out += '"';
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  out += '"';
}

bool legacy_name(std::string_view name, bool metric) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::ranges::all_of(name, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (metric && c == ':');
  });
}

// Names that are not of the old alphabet stand quoted, the metric's inside the braces.
void append_name(std::string& out, std::string_view name, bool metric) {
  if (legacy_name(name, metric))
    out += name;
  else
    append_value(out, name);
}

void append_line(std::string& out, const Newest& newest) {
  const std::string_view metric = newest.labels.metric();
  const bool inside = !legacy_name(metric, true);
  if (!inside) out += metric;
  out += '{';
  if (inside) append_value(out, metric);
  bool first = !inside;
  const auto append = [&](std::string_view name, std::string_view value) {
    if (!first) out += ',';
    first = false;
    append_name(out, name, false);
    out += '=';
    append_value(out, value);
  };
  for (const model::Label& l : newest.labels)
    if (l.name != model::metric_name_label) append(l.name, l.value);
  // Without one the scraper would put its own target's instance on the series.
  if (!newest.labels.has("instance")) append("instance", "");
  out += "} " + format_number(newest.sample.v) + " " + std::to_string(newest.sample.t) + "\n";
}

Result<http::Response> federate(const Engine& engine, const storage::Reader& store, const Clock& clock, const http::Request& r) {
  const StoppingReader reader(store, r.gone);
  PLUMBLINE_TRY(const std::vector<model::Matchers> selectors, match_params(r));
  const std::int64_t now = clock.now_ms();
  std::vector<Newest> found;
  for (const model::Matchers& matchers : selectors) {
    storage::SeriesQuery query;
    query.matchers = matchers;
    query.range = {now - engine.options().lookback.count() + 1, now};
    query.samples_max = engine.options().samples_max;
    query.series_max = engine.options().series_max;
    PLUMBLINE_CHECK_OK(reader.select(query, [&](const Labels& labels, const storage::SeriesPoints& points) {
      // Text exposition has no form for native histograms: a series whose newest sample is one is left out, as upstream does.
      const bool newest_is_float = !points.samples.empty() &&
                                   (points.histograms.empty() || points.histograms.back().t < points.samples.back().t);
      if (newest_is_float && !model::is_stale(points.samples.back().v)) found.push_back({labels, points.samples.back()});
      return true;
    }));
  }
  // By metric, then labels; a series that several selectors match is there once.
  std::ranges::sort(found, [](const Newest& a, const Newest& b) {
    const auto metrics = a.labels.metric() <=> b.labels.metric();
    return metrics != 0 ? metrics < 0 : a.labels < b.labels;
  });
  const auto same = std::ranges::unique(found, {}, &Newest::labels);
  found.erase(same.begin(), same.end());
  std::string out;
  std::string_view metric;
  for (const Newest& newest : found) {
    PLUMBLINE_CHECK_OK(go_on(r.gone));
    if (newest.labels.metric() != metric || out.empty()) {
      metric = newest.labels.metric();
      out += "# TYPE ";
      append_name(out, metric, true);
      out += " untyped\n";
    }
    append_line(out, newest);
  }
  return http::Response{200, {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}}, std::move(out)};
}

}  // namespace

http::Routes federate_routes(const Engine& engine, const storage::Reader& reader, const Clock& clock) {
  const auto handle = [&](const http::Request& r) {
    Result<http::Response> response = federate(engine, reader, clock, r);
    return response ? std::move(*response) : http::Response::text(response.error().message + "\n", http_status(response.error().code));
  };
  return {{"GET", "/federate", handle}};
}

}  // namespace plumbline::query
