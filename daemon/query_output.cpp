#include "daemon/query_output.hpp"

#include <algorithm>
#include <set>
#include <vector>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "daemon/base/text.hpp"
#include "storage/model/labels.hpp"

namespace plumbline::daemon {
namespace {

struct Point {
  double t = 0;  // Unix seconds
  std::string value;
};
struct Series {
  model::Labels labels;
  std::vector<Point> points;
};

std::string text_at(const boost::json::value& pair, std::size_t i) { return std::string(pair.as_array().at(i).as_string()); }

// {"count": "3", "sum": "2", "buckets": [[0, "0.5", "1", "3"]]}; the number says which bounds belong to the bucket.
std::string histogram_text(const boost::json::object& h) {
  std::string out = fmt::format("{{count:{}, sum:{}", std::string_view(h.at("count").as_string()), std::string_view(h.at("sum").as_string()));
  if (const auto* buckets = h.if_contains("buckets"))
    for (const auto& bucket : buckets->as_array()) {
      const auto rule = bucket.as_array().at(0).to_number<int>();
      out += fmt::format(", {}{},{}{}:{}", rule == 1 || rule == 3 ? '[' : '(', text_at(bucket, 1), text_at(bucket, 2),
                         rule == 0 || rule == 3 ? ']' : ')', text_at(bucket, 3));
    }
  return out + "}";
}

Point point_of(const boost::json::value& pair) {
  const auto& array = pair.as_array();
  const boost::json::value& value = array.at(1);
  return {array.at(0).to_number<double>(),
          value.is_object() ? histogram_text(value.as_object()) : std::string(value.as_string())};
}

Series series_of(const boost::json::object& from) {
  Series out;
  std::vector<model::Label> labels;
  for (const auto& [name, value] : from.at("metric").as_object()) labels.push_back({std::string(name), std::string(value.as_string())});
  out.labels = model::Labels::trusted(std::move(labels));
  for (const std::string_view one : {"value", "histogram"})
    if (const auto* point = from.if_contains(one)) out.points.push_back(point_of(*point));
  for (const std::string_view many : {"values", "histograms"})
    if (const auto* points = from.if_contains(many))
      for (const auto& point : points->as_array()) out.points.push_back(point_of(point));
  std::ranges::stable_sort(out.points, {}, &Point::t);
  return out;
}

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

std::string csv(const std::vector<Series>& series) {
  std::set<std::string> names;
  for (const Series& s : series)
    for (const model::Label& l : s.labels) names.insert(l.name);
  std::vector<std::string> columns;
  if (names.erase(std::string(model::metric_name_label)) > 0) columns.emplace_back(model::metric_name_label);
  columns.insert(columns.end(), names.begin(), names.end());
  std::string out;
  for (const std::string& name : columns) out += csv_field(name) + ",";
  out += "timestamp,value\r\n";
  for (const Series& s : series) {
    std::string prefix;
    for (const std::string& name : columns) prefix += csv_field(s.labels.get(name)) + ",";
    for (const Point& p : s.points) out += prefix + format_number(p.t) + "," + csv_field(p.value) + "\r\n";
  }
  return out;
}

std::string promql(const std::vector<Series>& series, bool labelled) {
  std::string out;
  for (const Series& s : series)
    for (const Point& p : s.points)
      out += fmt::format("{}{} @ {}\n", labelled ? s.labels.str() + " " : "", p.value, format_number(p.t));
  return out;
}

std::string table(const std::vector<Series>& series, std::string_view type) {
  std::string out;
  for (const Series& s : series) {
    if (type == "matrix") out += s.labels.str() + " =>\n";
    else if (type == "vector") out += s.labels.str() + " => ";
    for (const Point& p : s.points) out += fmt::format("{} @[{}]\n", p.value, format_number(p.t));
  }
  return out;
}

}  // namespace

Result<QueryFormat> parse_query_format(std::string_view name) {
  if (name == "table") return QueryFormat::table;
  if (name == "json") return QueryFormat::json;
  if (name == "csv") return QueryFormat::csv;
  if (name == "promql") return QueryFormat::promql;
  return fail(Code::invalid_input, fmt::format("{} is no format; write table, json, csv or promql", json_quote(name)));
}

Result<std::string> render(const boost::json::object& data, QueryFormat format) {
  try {
    const std::string_view type = data.at("resultType").as_string();
    const boost::json::value& result = data.at("result");
    std::vector<Series> series;
    if (type == "scalar" || type == "string") {
      series.push_back({{}, {point_of(result)}});
      // In PromQL's own text a string has quotes: a number is something else.
      if (type == "string" && format == QueryFormat::promql) series[0].points[0].value = json_quote(series[0].points[0].value);
    } else {
      for (const auto& item : result.as_array()) series.push_back(series_of(item.as_object()));
    }
    switch (format) {
      case QueryFormat::csv: return csv(series);
      case QueryFormat::promql: return promql(series, type == "vector" || type == "matrix");
      case QueryFormat::table:
      case QueryFormat::json: break;
    }
    return table(series, type);
  } catch (const std::exception& e) {  // Boost.JSON's way to say that something is missing or of another type
    return fail(Code::invalid_input, e.what());
  }
}

}  // namespace plumbline::daemon
