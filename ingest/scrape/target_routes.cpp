#include "ingest/scrape/target_routes.hpp"

#include <algorithm>
#include <map>

#include "daemon/base/json_writer.hpp"
#include "daemon/base/text.hpp"

namespace plumbline::ingest {
namespace {

void write_labels(JsonWriter& json, std::string_view key, const model::Labels& labels) {
  json.key(key).begin_object();
  for (const model::Label& l : labels) json.field(l.name, l.value);
  json.end_object();
}

void write_active(JsonWriter& json, const TargetStatus& t) {
  json.begin_object();
  write_labels(json, "discoveredLabels", t.discovered);
  write_labels(json, "labels", t.labels);
  json.field("scrapePool", t.job).field("scrapeUrl", t.url).field("globalUrl", t.url);
  json.field("lastError", t.last_error);
  // Go's zero time: never scraped.
  json.field("lastScrape",
             t.last_scrape_ms == 0 ? "0001-01-01T00:00:00Z" : format_rfc3339_ms(t.last_scrape_ms));
  json.field("lastScrapeDuration", t.last_duration_s).field("health", t.health);
  json.field("scrapeInterval", format_duration_ms(t.interval.count()));
  json.field("scrapeTimeout", format_duration_ms(t.timeout.count()));
  json.end_object();
}

void write_dropped(JsonWriter& json, const TargetStatus& t) {
  json.begin_object();
  write_labels(json, "discoveredLabels", t.discovered);
  json.field("scrapePool", t.job);
  json.end_object();
}

// By name, as Go's maps are written.
std::map<std::string, std::uint64_t> in_order(const std::vector<ScrapePool>& pools) {
  std::map<std::string, std::uint64_t> out;
  for (const ScrapePool& pool : pools) out[pool.name] = pool.dropped;
  return out;
}

}  // namespace

std::string targets_json(const std::vector<TargetStatus>& active, const std::vector<TargetStatus>& dropped,
                         const std::vector<ScrapePool>& pools, std::string_view state, std::string_view pool) {
  const auto wanted = [&](const TargetStatus& t) { return pool.empty() || t.job == pool; };
  const std::string asked = to_lower(state);
  const bool both = asked.empty() || asked == "any";
  const bool with_active = both || asked == "active", with_dropped = both || asked == "dropped";

  std::string out;
  JsonWriter json(out);
  json.begin_object().field("status", "success").key("data").begin_object();
  json.key("activeTargets").begin_array();
  if (with_active)
    for (const TargetStatus& t : active)
      if (wanted(t)) write_active(json, t);
  json.end_array();
  json.key("droppedTargets").begin_array();
  if (with_dropped)
    for (const TargetStatus& t : dropped)
      if (wanted(t)) write_dropped(json, t);
  json.end_array();
  json.key("droppedTargetCounts");
  if (with_dropped) {
    json.begin_object();
    for (const auto& [name, count] : in_order(pools)) json.field(name, count);
    json.end_object();
  } else {
    json.null();
  }
  json.end_object().end_object();
  return out;
}

Result<std::string> target_metadata_json(const std::vector<TargetStatus>& active, const TargetMetadataQuery& query) {
  std::string out;
  JsonWriter json(out);
  std::int64_t told = 0;
  const auto write = [&](const TargetStatus& target, const storage::MetricMetadata& m, bool with_name) {
    json.begin_object();
    write_labels(json, "target", target.labels);
    if (with_name) json.field("metric", m.metric);
    json.field("type", m.type).field("help", m.help).field("unit", m.unit).end_object();
    ++told;
  };
  json.begin_object().field("status", "success").key("data").begin_array();
  for (const TargetStatus& target : active) {
    if (query.limit >= 0 && told >= query.limit) break;
    if (!target.metadata || !model::matches_all(query.target, target.labels)) continue;
    if (query.metric.empty()) {
      for (const storage::MetricMetadata& m : *target.metadata) write(target, m, true);
      continue;
    }
    const auto found = std::ranges::lower_bound(*target.metadata, query.metric, {}, &storage::MetricMetadata::metric);
    if (found != target.metadata->end() && found->metric == query.metric) write(target, *found, false);
  }
  json.end_array().end_object();
  if (told == 0) return fail(Code::not_found, "specified metadata not found");
  return out;
}

std::string scrape_pools_json(const std::vector<ScrapePool>& pools) {
  std::string out;
  JsonWriter json(out);
  json.begin_object().field("status", "success").key("data").begin_object().key("scrapePools").begin_array();
  for (const auto& [name, dropped] : in_order(pools)) json.string(name);
  json.end_array().end_object().end_object();
  return out;
}

namespace {

Result<std::string> target_metadata(const Scraper& scraper, const SelectorReader& read_selector, const http::Request& request) {
  TargetMetadataQuery query;
  if (const std::string_view limit = request.param("limit").value_or(""); !limit.empty()) {
    const std::optional<std::int64_t> n = parse_int(limit);
    if (!n) return fail(Code::invalid_input, "limit must be a number");
    query.limit = *n;
  }
  if (const std::string_view match = request.param("match_target").value_or(""); !match.empty()) {
    PLUMBLINE_TRY(query.target, read_selector(match));
  }
  query.metric = request.param("metric").value_or("");
  return target_metadata_json(scraper.targets(), query);
}

}  // namespace

http::Routes target_routes(const Scraper& scraper, SelectorReader read_selector) {
  using http::Request;
  using http::Response;
  const auto targets = [&scraper](const Request& request) {
    return Response::json(targets_json(scraper.targets(), scraper.dropped_targets(), scraper.pools(),
                                       request.param("state").value_or(""), request.param("scrapePool").value_or("")));
  };
  const auto metadata = [&scraper, read_selector = std::move(read_selector)](const Request& request) {
    Result<std::string> json = target_metadata(scraper, read_selector, request);
    return json ? Response::json(std::move(*json)) : Response::error(json.error());
  };
  const auto pools = [&scraper](const Request&) { return Response::json(scrape_pools_json(scraper.pools())); };
  return {{"GET", "/api/v1/targets", targets},
          {"GET", "/api/v1/targets/metadata", metadata},
          {"GET", "/api/v1/scrape_pools", pools}};
}

}  // namespace plumbline::ingest
