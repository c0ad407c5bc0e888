// GET and POST /api/v1/plan: what a query would read and how, without running it.
#include <algorithm>

#include "daemon/base/text.hpp"
#include "query/api/prometheus_json.hpp"
#include "query/api/prometheus_parameters.hpp"
#include "query/api/query_log.hpp"

namespace plumbline::query {

namespace {

// Of a node's text: enough to find it in the query.
constexpr std::size_t expression_bytes_max = 256;

void write(JsonWriter& w, const PlanRead& read) {
  w.begin_object().key("matchers");
  write_matchers(w, read.matchers);
  w.key("start").raw(json_time(read.range.min)).key("end").raw(json_time(read.range.max)).field("series", read.series).key("samples");
  if (read.samples)
    w.integer(static_cast<std::int64_t>(*read.samples));
  else
    w.null();
  w.field("from", read.resolution_ms > 0 ? "downsampled" : read.summaries ? "summaries" : "samples");
  if (read.resolution_ms > 0) w.key("resolution").raw(json_time(read.resolution_ms));
  w.field("shared", read.shared).end_object();
}

void write(JsonWriter& w, const PlanNode& node) {
  w.begin_object().field("node", node.kind).field("expr", shortened(node.expression, expression_bytes_max));
  w.field("steps", static_cast<std::uint64_t>(node.steps)).field("constant", node.constant).field("fused", node.fused);
  if (node.read) {
    w.key("read");
    write(w, *node.read);
  }
  w.key("children").begin_array();
  for (const PlanNode& child : node.children) write(w, child);
  w.end_array().end_object();
}

// What evaluation would hold of samples at least, and of series.
struct Total {
  std::uint64_t series = 0, samples = 0;
  std::optional<std::int64_t> reads_since;
  void add(const PlanNode& node) {
    if (node.read && node.read->range.min <= node.read->range.max)
      reads_since = std::min(reads_since.value_or(node.read->range.min), node.read->range.min);
    if (node.read && !node.read->shared) {
      series += node.read->series;
      if (!node.read->summaries) samples += node.read->samples.value_or(0);
    }
    for (const PlanNode& child : node.children) add(child);
  }
};

Result<http::Response> plan(const Engine& engine, const storage::Reader& reader, const Clock& clock, const http::Request& r) {
  RangeQuery asked;
  const bool is_range = r.param("start") || r.param("end") || r.param("step");
  if (is_range) {
    PLUMBLINE_TRY(asked, range_query_params(r, engine.options().points_max));
  } else {
    PLUMBLINE_TRY(asked.start_ms, time_param(r, "time", clock.now_ms()));
    asked.end_ms = asked.start_ms;
  }
  PLUMBLINE_TRY(EngineOptions options, engine_params(r, engine.options()));
  PLUMBLINE_TRY(const std::optional<Millis> resolution, resolution_param(r, asked.step_ms));
  options.resolution_max = resolution.value_or(Millis(0));
  const std::string_view query = text_param(r, "query");
  const Result<PlanNode> root = Engine(reader, clock, options).plan(query, asked.start_ms, asked.end_ms, asked.step_ms);
  if (!root) return fail(root.error().code == Code::invalid_input ? bad_parameter("query", root.error().message) : root.error());
  Total total;
  total.add(*root);
  std::string data;
  JsonWriter w(data);
  w.begin_object().key("start").raw(json_time(asked.start_ms)).key("end").raw(json_time(asked.end_ms));
  w.key("step").raw(json_time(asked.step_ms)).field("seriesRead", total.series).field("seriesMax", options.series_max);
  w.field("samplesRead", total.samples).field("samplesMax", options.samples_max).key("plan");
  write(w, *root);
  w.end_object();
  std::vector<std::string> warnings;
  if (!resolution)
    if (std::optional<std::string> warning = samples_gone(reader, total.reads_since)) warnings.push_back(std::move(*warning));
  return prometheus_success(data, warnings);
}

}  // namespace

http::Routes plan_routes(const Engine& engine, const storage::Reader& reader, const Clock& clock) {
  const auto handle = [&engine, &reader, &clock](const http::Request& r) { return prometheus_answer(plan(engine, reader, clock, r)); };
  return {{"GET", "/api/v1/plan", handle}, {"POST", "/api/v1/plan", handle}};
}

}  // namespace plumbline::query
