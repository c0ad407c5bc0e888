// GET /api/v1/status/tsdb: what the label index holds, and who makes it large.
#include "daemon/base/text.hpp"
#include "query/api/prometheus_json.hpp"
#include "query/api/prometheus_parameters.hpp"

namespace plumbline::query {

namespace {

void write(JsonWriter& w, std::string_view key, const std::vector<model::Count>& counts) {
  w.key(key).begin_array();
  for (const model::Count& c : counts) w.begin_object().field("name", c.name).field("value", c.count).end_object();
  w.end_array();
}

Result<http::Response> tsdb_status(const storage::Store& store, const http::Request& r) {
  std::int64_t limit = 10;
  if (const std::string_view text = text_param(r, "limit"); !text.empty()) {
    const std::optional<std::int64_t> n = parse_int(text);
    if (!n || *n < 1) return fail(Code::invalid_input, "limit must be a positive number");
    if (*n > 10'000) return fail(Code::invalid_input, "limit must not exceed 10000");
    limit = *n;
  }
  PLUMBLINE_TRY(const model::Cardinality found, store.cardinality(static_cast<std::size_t>(limit)));
  const storage::Stats stats = store.stats();
  std::string data;
  JsonWriter w(data);
  w.begin_object().key("headStats").begin_object();
  w.field("numSeries", stats.series_active).field("numLabelPairs", found.label_pairs);
  // An open column of a series is what a head chunk is elsewhere.
  w.field("chunkCount", stats.series_active).field("minTime", stats.time_min_ms).field("maxTime", stats.time_max_ms).end_object();
  write(w, "seriesCountByMetricName", found.series_by_metric);
  write(w, "labelValueCountByLabelName", found.values_by_label);
  write(w, "memoryInBytesByLabelName", found.bytes_by_label);
  write(w, "seriesCountByLabelValuePair", found.series_by_pair);
  w.end_object();
  return prometheus_success(data);
}

}  // namespace

http::Routes tsdb_status_routes(const storage::Store& store) {
  const auto handle = [&store](const http::Request& r) { return prometheus_answer(tsdb_status(store, r)); };
  return {{"GET", "/api/v1/status/tsdb", handle}};
}

}  // namespace plumbline::query
