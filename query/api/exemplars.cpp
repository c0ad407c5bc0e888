// GET and POST /api/v1/query_exemplars: the exemplars of every series that an expression selects.
#include <algorithm>
#include <bit>
#include <map>
#include <tuple>

#include "daemon/base/text.hpp"
#include "query/api/prometheus_json.hpp"
#include "query/api/prometheus_parameters.hpp"
#include "query/promql/ast.hpp"

namespace plumbline::query {

namespace {

// What Prometheus keeps in all by default: nobody looks at a graph of more. Of more the newest are told.
constexpr std::size_t exemplars_max = 100'000;

struct Told {
  std::int64_t time_ns = 0;
  double value = 0;
  Labels labels;
  bool operator<(const Told& other) const {
    const auto a = std::tuple(time_ns, std::bit_cast<std::uint64_t>(value));
    const auto b = std::tuple(other.time_ns, std::bit_cast<std::uint64_t>(other.value));
    return a != b ? a < b : labels < other.labels;
  }
  bool operator==(const Told& other) const { return !(*this < other) && !(other < *this); }
};

using ToldBySeries = std::map<Labels, std::vector<Told>>;

// The label that a column of an exemplar's row holds; nullopt for its value.
std::optional<std::string_view> label_of(std::string_view column) {
  if (column == model::field::trace_id || column == model::field::span_id) return column;
  if (!column.starts_with(model::field::exemplar_prefix)) return std::nullopt;
  return column.substr(model::field::exemplar_prefix.size());
}

Told told(const storage::RowBlock& block, std::size_t row) {
  Told out;
  out.time_ns = block.times_ns[row];
  std::vector<model::Label> labels;
  for (const storage::Column& column : block.columns) {
    const model::Value& value = column.values[row];
    if (const auto* text = std::get_if<std::string>(&value)) {
      if (const auto name = label_of(column.name)) labels.push_back({std::string(*name), *text});
    } else if (const auto* number = std::get_if<double>(&value)) {
      out.value = *number;
    }
  }
  std::ranges::sort(labels, {}, &model::Label::name);
  out.labels = Labels::trusted(std::move(labels));
  return out;
}

// True when there were more than could be told.
Result<bool> collect(const storage::Reader& reader, const model::Matchers& matchers, model::TimeRange range_ns, ToldBySeries& out) {
  storage::EventQuery query;
  query.kind = model::EventKind::exemplar;
  query.stream = matchers;
  query.range_ns = range_ns;
  query.newest_first = true;
  std::size_t count = 0;
  PLUMBLINE_CHECK_OK(reader.scan(query, [&](const storage::RowBlock& block) {
    std::vector<Told>& series = out[*block.stream];
    for (std::size_t i = block.times_ns.size(); i > 0 && count < exemplars_max; --i, ++count) series.push_back(told(block, i - 1));
    return count < exemplars_max;
  }));
  return count >= exemplars_max;
}

void write(JsonWriter& w, const Labels& series, std::vector<Told>& exemplars) {
  // Sent once more after a seal, or asked for by two selectors.
  std::sort(exemplars.begin(), exemplars.end());
  exemplars.erase(std::unique(exemplars.begin(), exemplars.end()), exemplars.end());
  w.begin_object().key("seriesLabels");
  write_labels(w, series);
  w.key("exemplars").begin_array();
  for (const Told& e : exemplars) {
    w.begin_object().key("labels");
    write_labels(w, e.labels);
    w.field("value", format_number(e.value)).key("timestamp").raw(json_time(e.time_ns / 1'000'000));
    w.end_object();
  }
  w.end_array().end_object();
}

Result<http::Response> query_exemplars(const storage::Reader& reader, const http::Request& r) {
  PLUMBLINE_TRY(const model::TimeRange range, range_params(r));
  Result<promql::ExprPtr> expr = promql::parse(text_param(r, "query"));
  if (!expr) return fail(bad_parameter("query", expr.error().message));
  // From ms to the last ns of the last ms; what ns cannot say is all time.
  constexpr std::int64_t ns = 1'000'000;
  const auto bound = [&](std::int64_t ms) { return std::clamp(ms, model::TimeRange{}.min / ns, model::TimeRange{}.max / ns - 1); };
  const model::TimeRange range_ns{bound(range.min) * ns, bound(range.max) * ns + ns - 1};
  ToldBySeries found;
  bool cut = false;
  for (const promql::Selector* selector : promql::selectors_of(**expr)) {
    PLUMBLINE_TRY(const bool more, collect(reader, selector->matchers, range_ns, found));
    cut |= more;
  }
  std::string data;
  JsonWriter w(data);
  w.begin_array();
  for (auto& [series, exemplars] : found)
    if (!exemplars.empty()) write(w, series, exemplars);
  w.end_array();
  std::vector<std::string> warnings;
  if (cut) warnings.emplace_back("results truncated due to limit");
  return prometheus_success(data, warnings);
}

}  // namespace

http::Routes exemplar_routes(const storage::Reader& reader) {
  const auto handle = [&reader](const http::Request& r) { return prometheus_answer(query_exemplars(reader, r)); };
  return {{"GET", "/api/v1/query_exemplars", handle}, {"POST", "/api/v1/query_exemplars", handle}};
}

}  // namespace plumbline::query
