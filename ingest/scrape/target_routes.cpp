#include "ingest/scrape/target_routes.hpp"

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

}  // namespace

std::string targets_json(const std::vector<TargetStatus>& active, const std::vector<TargetStatus>& dropped,
                         std::string_view state, std::string_view pool) {
  const auto wanted = [&](const TargetStatus& t) { return pool.empty() || t.job == pool; };
  std::map<std::string, std::int64_t> counts;
  for (const TargetStatus& t : dropped)
    if (wanted(t)) ++counts[t.job];

  std::string out;
  JsonWriter json(out);
  json.begin_object().field("status", "success").key("data").begin_object();
  json.key("activeTargets").begin_array();
  if (state != "dropped")
    for (const TargetStatus& t : active)
      if (wanted(t)) write_active(json, t);
  json.end_array();
  json.key("droppedTargets").begin_array();
  if (state != "active")
    for (const TargetStatus& t : dropped)
      if (wanted(t)) write_dropped(json, t);
  json.end_array();
  json.key("droppedTargetCounts").begin_object();
  for (const auto& [job, count] : counts) json.field(job, count);
  json.end_object().end_object().end_object();
  return out;
}

http::Routes target_routes(const Scraper& scraper) {
  return {{"GET", "/api/v1/targets",
           [&scraper](const http::Request& request) {
             const std::string_view state = request.param("state").value_or("any");
             if (!state.empty() && state != "active" && state != "dropped" && state != "any")
               return http::Response::error(
                   {Code::invalid_input, "state " + json_quote(state) + " is not active, dropped or any"});
             return http::Response::json(targets_json(scraper.targets(), scraper.dropped_targets(), state,
                                                      request.param("scrapePool").value_or("")));
           },
           http::Lane::query}};
}

}  // namespace plumbline::ingest
