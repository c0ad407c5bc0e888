// /api/v1/status/*: what the daemon tells of itself, in the shapes that Prometheus' UI and Grafana read.
#include <limits>
#include <map>

#include "daemon/base/text.hpp"
#include "query/api/prometheus_json.hpp"
#include "query/query.hpp"

namespace plumbline::query {

namespace {

std::string runtime_json(const RuntimeInfo& info, std::int64_t now_ms) {
  std::string data;
  JsonWriter w(data);
  w.begin_object().field("startTime", format_rfc3339_ms(info.start_ms)).field("CWD", info.working_directory);
  w.field("hostname", info.host).field("serverTime", format_rfc3339_ms(now_ms));
  w.field("reloadConfigSuccess", info.reload_succeeded).field("lastConfigTime", format_rfc3339_ms(info.reloaded_ms));
  w.field("corruptionCount", info.corruptions);
  // Go's words, because the shape is Go's: threads are the nearest thing to goroutines, there is no memory limit, and no
  // garbage collector to tune.
  w.field("goroutineCount", info.threads).field("GOMAXPROCS", info.cores);
  w.field("GOMEMLIMIT", std::numeric_limits<std::int64_t>::max()).field("GOGC", "").field("GODEBUG", "");
  w.field("storageRetention", info.retention).end_object();
  return data;
}

std::string options_json(const std::vector<std::pair<std::string, std::string>>& options) {
  std::string data;
  JsonWriter w(data);
  w.begin_object();
  for (const auto& [name, value] : std::map(options.begin(), options.end())) w.field(name, value);
  w.end_object();
  return data;
}

}  // namespace

http::Routes status_routes(const Clock& clock, DaemonStatus status) {
  const auto get = [](std::string path, std::function<std::string()> data) {
    return http::Route{"GET", "/api/v1/" + std::move(path),
                       [data = std::move(data)](const http::Request&) { return prometheus_success(data()); }};
  };
  // Served only when the journal has been replayed: min, max and current are how far that went.
  std::string replayed;
  JsonWriter(replayed).begin_object().field("min", 0).field("max", status.journal_replayed).field("current", status.journal_replayed).end_object();
  // Alerts go from here to webhooks: there is no Alertmanager to discover.
  const std::string no_alertmanagers = R"({"activeAlertmanagers":[],"droppedAlertmanagers":[]})";
  http::Routes routes;
  routes.push_back(get("status/runtimeinfo", [&clock, runtime = std::move(status.runtime)] { return runtime_json(runtime(), clock.now_ms()); }));
  routes.push_back(get("status/config", [yaml = std::move(status.config_yaml)] {
    std::string data;
    JsonWriter(data).begin_object().field("yaml", yaml()).end_object();
    return data;
  }));
  routes.push_back(get("status/flags", [options = std::move(status.options)] { return options_json(options()); }));
  routes.push_back(get("status/walreplay", [replayed] { return replayed; }));
  routes.push_back(get("alertmanagers", [no_alertmanagers] { return no_alertmanagers; }));
  return routes;
}

}  // namespace plumbline::query
