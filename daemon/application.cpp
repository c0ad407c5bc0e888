#include "daemon/application.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "daemon/base/json_writer.hpp"
#include "daemon/base/text.hpp"
#include "daemon/runtime/notify.hpp"
#include "query/promql/ast.hpp"
#include "storage/offline.hpp"

namespace plumbline::daemon {
namespace {

LogLevel level_of(const std::string& name) {
  if (name == "debug") return LogLevel::debug;
  if (name == "warn") return LogLevel::warn;
  if (name == "error") return LogLevel::error;
  return LogLevel::info;
}

double resident_bytes() {
  // /proc/self/statm is there under ProcSubset=pid too; the second field is resident pages.
  std::ifstream in("/proc/self/statm");
  double size = 0, resident = 0;
  in >> size >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Puts what only a start can change back into `loaded`, so that it says what runs. Gives the options that wait for a restart.
std::vector<std::string> keep_running_options(const config::Config& running, config::Config& loaded) {
  std::vector<std::string> waiting;
  const auto keep = [&](const std::string& section, const auto& was, auto& is) {
    if (was == is) return;
    for (auto& [option, value] : loaded.shown.options) {
      if (!option.starts_with(section + ".") || option == "server.shutdown_grace") continue;
      const auto old = std::ranges::find(running.shown.options, option, [](const auto& pair) { return pair.first; });
      if (old == running.shown.options.end() || old->second == value) continue;
      waiting.push_back(option);
      value = old->second;
    }
    is = was;
  };
  if (running.storage.retention_overrides != loaded.storage.retention_overrides) waiting.push_back("storage.retention_overrides");  // a list: not shown
  config::Server server = running.server;
  server.shutdown_grace = loaded.server.shutdown_grace;  // read when the daemon stops
  keep("server", server, loaded.server);
  keep("storage", running.storage, loaded.storage);
  keep("journal", running.journal, loaded.journal);
  keep("query", running.query, loaded.query);
  keep("otlp", running.otlp, loaded.otlp);
  keep("log", running.log, loaded.log);
  return waiting;
}

void tell_of_doubts(const config::Config& config, Log& log) {
  for (const config::Problem& warning : config::warnings_of(config)) log.warn("a doubtful option", {{"warning", warning.str()}});
}

// They take the space of what was damaged for ever, if nobody says so.
void tell_of_salvages(const storage::Options& options, Log& log) {
  const auto folders = storage::damaged_folders(options.path, options.file_system);
  if (!folders) return log.warn("folders of damaged files cannot be looked for", {{"path", options.path}, {"error", folders.error().message}});
  if (folders->empty()) return;
  log.info("salvages left folders of damaged files: read the REPORT in each, then they may be removed",
           {{"path", options.path}, {"folders", fmt::format("{}", fmt::join(*folders, " "))}});
}

}  // namespace

query::BuildInfo build_info() { return {PLUMBLINE_VERSION, PLUMBLINE_REVISION}; }

Application::Application(std::string config_file, config::Overrides overrides, CheckedConfig config)
    : config_file_(std::move(config_file)),
      overrides_(std::move(overrides)),
      log_(make_stderr_log(level_of(config.config.log.level))),
      config_(std::move(config)) {}

Application::~Application() { stop(); }

Status Application::start() {
  Lock lock(reload_mutex_);
  const config::Config& config = config_.config;
  register_process_metrics();
  started_ms_ = clock_.now_ms();

  // Replay of a large journal may pass systemd's start-up limit; five minutes are asked for at once.
  runtime::notify_extend_timeout(std::chrono::minutes(5), "replaying the journal");
  const Steady open_start = clock_.steady();
  auto store = storage::Store::open(config_.storage, clock_, *log_, registry_);
  if (!store) return fail(store.error().in("storage at '" + config.storage.path + "'"));
  store_ = std::move(*store);
  journal_replayed_ = store_->stats().journal_sequence;
  const auto open_ms = std::chrono::duration_cast<Millis>(clock_.steady() - open_start).count();
  log_->info("store open", {{"path", config.storage.path}, {"series_in_memory", store_->stats().series_active}, {"ms", open_ms}});
  tell_of_salvages(config_.storage, *log_);
  tell_of_doubts(config, *log_);

  sink_ = std::make_unique<ingest::Sink>(*store_, *store_, clock_, *log_, registry_);
  if (auto loaded = sink_->load(); !loaded) return fail(loaded.error().in("feature types"));
  engine_ = std::make_unique<query::Engine>(*store_, clock_, engine_options(config));
  models_ = std::make_unique<query::Models>(*store_, *store_, clock_);
  auto client = runtime::HttpClient::make({.ca_file = {}, .user_agent = std::string("plumbline/") + PLUMBLINE_VERSION});
  if (!client) return fail(client.error().in("http client"));
  client_ = std::move(*client);
  scraper_ = std::make_unique<ingest::Scraper>(
      *sink_, *client_, clock_, *log_, registry_, config.global.external_labels,
      [](const std::string& path) -> Result<std::vector<ingest::TargetGroup>> {
        PLUMBLINE_TRY(const auto groups, config::read_target_file(path));
        std::vector<ingest::TargetGroup> out;
        for (const config::TargetGroup& g : groups) out.push_back({g.targets, g.labels});
        return out;
      });
  alerts_ = std::make_unique<alerting::Service>(
      alerting::Service::Needs{*engine_, *models_, *store_, *store_, *client_, clock_, *log_, registry_});

  auto server = runtime::HttpServer::start(config_.server, all_routes(), *log_, registry_);
  if (!server) return fail(server.error().in("http"));
  http_ = std::move(*server);
  if (!config.server.grpc_listen.empty()) {
    auto grpc = ingest::GrpcServer::start(config.server.grpc_listen, *sink_, clock_, *log_, registry_,
                                          ingest_limits(config), {config.otlp.promote_resource_attributes});
    if (!grpc) return fail(grpc.error().in("grpc"));
    grpc_ = std::move(*grpc);
  }
  PLUMBLINE_CHECK_OK(scraper_->set_jobs(config_.jobs));
  PLUMBLINE_CHECK_OK(alerts_->start(config_.rules));
  upkeep_thread_ = std::thread([this] { upkeep(); });

  reload_done(true);
  ready_ = true;
  for (std::size_t i = 0; i < config.server.http_listen.size(); ++i)
    log_->info("listening", {{"protocol", "http"}, {"address", config.server.http_listen[i]}, {"port", http_->ports()[i]}});
  if (grpc_) log_->info("listening", {{"protocol", "grpc"}, {"address", config.server.grpc_listen}, {"port", grpc_->port()}});
  runtime::notify_ready("serving");
  return {};
}

std::expected<std::vector<std::string>, std::vector<std::string>> Application::reload() {
  Lock lock(reload_mutex_);
  // SIGHUP may come while starting or stopping, when there is nothing to reload into.
  if (!ready_) return std::unexpected(std::vector<std::string>{"the daemon is starting or stopping; reload again when it is ready"});
  runtime::notify_reloading();
  const auto refuse = [&](std::vector<std::string> errors) {
    reload_done(false);
    for (const std::string& e : errors) log_->error("reload refused, the old configuration stays", {{"error", e}});
    runtime::notify_ready("serving; last reload refused");
    return std::unexpected(std::move(errors));
  };
  auto loaded = load_and_check(config_file_, overrides_);
  if (!loaded) return refuse(std::move(loaded.error()));
  const std::vector<std::string> waiting = keep_running_options(config_.config, loaded->config);
  loaded->rules.external_url = external_url(loaded->config);  // without the option, of the address that HTTP listens on now
  // Rules first: they alone can still refuse (state in the store). Nothing is half applied: jobs go back when they do.
  if (auto jobs = scraper_->set_jobs(loaded->jobs); !jobs) return refuse({jobs.error().message});
  if (auto rules = alerts_->reload(loaded->rules); !rules) {
    if (auto back = scraper_->set_jobs(config_.jobs); !back)
      log_->error("old scrape jobs could not be restored", {{"error", back.error().message}});
    return refuse({rules.error().message});
  }
  if (!waiting.empty())
    log_->warn("these changes take effect at the next restart", {{"options", fmt::format("{}", fmt::join(waiting, ", "))}});
  config_ = std::move(*loaded);
  tell_of_doubts(config_.config, *log_);
  reload_done(true);
  log_->info("configuration reloaded", {{"file", config_file_}, {"groups", config_.rules.groups.size()},
                                        {"slos", config_.rules.slos.size()}, {"drift", config_.rules.drift.size()},
                                        {"scrape_jobs", config_.jobs.size()}});
  runtime::notify_ready("serving");
  return waiting;
}

void Application::reload_done(bool applied) {
  reload_succeeded_ = applied;
  registry_.gauge("plumbline_config_last_reload_successful", "Whether the last configuration reload was applied").set(applied ? 1 : 0);
  if (!applied) return;
  reloaded_ms_ = clock_.now_ms();
  registry_.gauge("plumbline_config_last_reload_success_timestamp_seconds", "When the configuration was last applied")
      .set(static_cast<double>(reloaded_ms_) / 1000.0);
}

query::RuntimeInfo Application::runtime_info() {
  query::RuntimeInfo out;
  out.start_ms = started_ms_;
  std::error_code ignored;  // of a directory that was removed under us: nothing is told
  out.working_directory = std::filesystem::current_path(ignored).string();
  std::array<char, HOST_NAME_MAX + 1> host{};
  if (::gethostname(host.data(), host.size() - 1) == 0) out.host = host.data();
  out.reload_succeeded = reload_succeeded_;
  out.reloaded_ms = reloaded_ms_;
  for (std::filesystem::directory_iterator task("/proc/self/task", ignored), end; !ignored && task != end; task.increment(ignored)) ++out.threads;
  out.cores = std::thread::hardware_concurrency();
  out.corruptions = registry_.counter("plumbline_events_corrupt_total", "Queries that met a damaged event block.").value();
  Lock lock(reload_mutex_);
  out.retention = format_duration_ms(config_.config.storage.retention.count());
  return out;
}

query::DaemonStatus Application::status() {
  query::DaemonStatus out;
  out.runtime = [this] { return runtime_info(); };
  out.config_yaml = [this] {
    Lock lock(reload_mutex_);
    return config_.config.shown.yaml;
  };
  out.options = [this] {
    Lock lock(reload_mutex_);
    auto options = config_.config.shown.options;
    options.emplace_back("config.file", config_file_);
    return options;
  };
  out.journal_replayed = journal_replayed_;
  return out;
}

http::Routes Application::all_routes() {
  http::Routes routes = own_routes();
  const auto add = [&](http::Routes more) {
    routes.insert(routes.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  };
  const config::Config& config = config_.config;
  add(ingest::routes(*sink_, clock_, ingest_limits(config), {config.otlp.promote_resource_attributes}));
  add(ingest::target_routes(*scraper_, query::promql::parse_selector));
  add(query::prometheus_routes(*engine_, *store_, clock_, build_info(), {log_.get(), &registry_, config.query.log_slower_than}, config.query.result_cache_bytes));
  add(query::plan_routes(*engine_, *store_, clock_));
  add(query::remote_read_routes(*store_));
  add(query::parse_query_routes());
  add(query::exemplar_routes(*store_));
  add(query::status_routes(clock_, status()));
  add(query::tsdb_status_routes(*store_));
  add(query::federate_routes(*engine_, *store_, clock_));
  add(query::prometheus_admin_routes([this](const std::vector<model::Matchers>& selectors, model::TimeRange range) {
    return store_->erase(selectors, range);
  }));
  add(query::backup_routes([this](const std::string& name) { return store_->backup(name); }));
  add(query::loki_routes(*store_, clock_));
  add(query::jaeger_routes(*store_, clock_));
  add(query::ml_routes(*models_, *store_, clock_));
  add(alerts_->routes());
  return routes;
}

http::Routes Application::own_routes() {
  using http::Lane;
  using http::Request;
  using http::Response;
  http::Routes routes;
  routes.push_back({"GET", "/", [](const Request&) {
                      return Response::text(fmt::format(
                          "plumbline {}\n\nPOST /api/v1/write  /v1/metrics  /v1/logs  /v1/traces  /loki/api/v1/push\n"
                          "POST /api/v1/import/prometheus  /api/v1/inferences  /api/v1/inferences/labels\n"
                          "GET  /api/v1/query  /api/v1/query_range  /loki/api/v1/query_range  /jaeger/api/traces/<id>\n"
                          "GET  /api/v1/series  /api/v1/labels  /api/v1/label/<name>/values  /api/v1/metadata  /federate\n"
                          "POST /api/v1/read\n"
                          "GET  /api/v1/models  /api/v1/models/<model>/{{drift,performance,references}}\n"
                          "GET  /api/v1/rules  /api/v1/alerts  /api/v1/slos  /api/v1/notifications  /api/v1/targets\n"
                          "GET  /metrics  /-/healthy  /-/ready  /api/v1/status/{{runtimeinfo,config,flags,buildinfo,tsdb}}\n"
                          "POST /-/reload  /-/seal  /api/v1/admin/backup  /api/v1/admin/tsdb/delete_series\n",
                          PLUMBLINE_VERSION));
                    }, Lane::admin});
  routes.push_back({"GET", "/-/healthy", [](const Request&) { return Response::text("Plumbline is healthy.\n"); }, Lane::admin});
  routes.push_back({"GET", "/-/ready", [this](const Request&) {
                      return ready_ ? Response::text("Plumbline is ready.\n") : Response::text("Plumbline is not ready.\n", 503);
                    }, Lane::admin});
  const auto reload_handler = [this](const Request&) {
    const auto done = reload();
    if (done)
      return Response::text(done->empty() ? std::string("configuration reloaded\n")
                                          : fmt::format("configuration reloaded; at the next restart: {}\n", fmt::join(*done, ", ")));
    std::string text;
    for (const std::string& e : done.error()) text += e + "\n";
    return Response::text("reload refused, the old configuration stays:\n" + text, 400);
  };
  routes.push_back({"POST", "/-/reload", reload_handler, Lane::admin});
  routes.push_back({"PUT", "/-/reload", reload_handler, Lane::admin});
  routes.push_back({"POST", "/-/seal", [this](const Request&) {
                      const Status sealed = store_->seal();
                      return sealed ? Response::text("sealed\n") : Response::error(sealed.error());
                    }, Lane::admin});
  routes.push_back({"GET", "/metrics", [this](const Request&) {
                      return Response{200, {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}}, registry_.render()};
                    }, Lane::admin});
  return routes;
}

void Application::upkeep() {
  // A second: the finest step that sealing, retention and the journal's self-metrics need; an idle pass costs microseconds.
  constexpr auto period = std::chrono::seconds(1);
  const std::optional<Millis> watchdog = runtime::watchdog_interval();
  Steady watchdog_due = clock_.steady();
  std::string last_error;
  for (;;) {
    if (const auto kept = store_->maintain(); !kept) {
      if (kept.error().message != last_error) log_->error("store upkeep failed", {{"error", kept.error().message}});
      last_error = kept.error().message;
    } else {
      last_error.clear();
    }
    // The watchdog is fed from here: a store that hangs must not look alive.
    if (watchdog && clock_.steady() >= watchdog_due) {
      runtime::notify_watchdog();
      watchdog_due = clock_.steady() + *watchdog;
    }
    Lock lock(upkeep_mutex_);
    const Steady wake = clock_.steady() + (watchdog ? std::min<Millis>(period, *watchdog) : Millis(period));
    while (!upkeep_stop_ && upkeep_wake_.wait_until(upkeep_mutex_, wake) != std::cv_status::timeout) {
    }
    if (upkeep_stop_) return;
  }
}

void Application::register_process_metrics() {
  const query::BuildInfo build = build_info();
  registry_.gauge("plumbline_build_info", "Always 1; what runs", {{"version", build.version}, {"revision", build.revision}}).set(1);
  registry_.gauge("process_start_time_seconds", "Start time of the process, Unix seconds")
      .set(static_cast<double>(clock_.now_ms()) / 1000.0);
  registry_.gauge_function("process_resident_memory_bytes", "Resident memory", {}, resident_bytes);
  registry_.gauge_function("plumbline_process_cpu_seconds", "User and system CPU time spent", {}, cpu_seconds);
}

std::vector<int> Application::http_ports() const { return http_ ? http_->ports() : std::vector<int>(); }
int Application::grpc_port() const { return grpc_ ? grpc_->port() : 0; }

void Application::stop() {
  if (stopped_.exchange(true)) return;
  Millis grace{10'000};
  {
    Lock lock(reload_mutex_);
    grace = config_.config.server.shutdown_grace;
  }
  // 1. Say so: load balancers look at readiness before the doors close.
  ready_ = false;
  runtime::notify_stopping("draining");
  // 2. No new work of our own: a scrape that ran later would meet a closed sink.
  if (scraper_) scraper_->stop();
  // 3. Close the doors and let what is inside finish: an acknowledged write must be in the journal before the store closes.
  if (grpc_) grpc_->stop(grace);
  if (http_) http_->stop(grace);
  // 4. Persist alert state and outbox: needs the store open, and the client for a delivery under way.
  if (alerts_) alerts_->stop();
  // 5. Upkeep last but one: it keeps the watchdog fed while the above drains.
  if (upkeep_thread_.joinable()) {
    {
      Lock lock(upkeep_mutex_);
      upkeep_stop_ = true;
    }
    upkeep_wake_.notify_all();
    upkeep_thread_.join();
  }
  // 6. Seal, so that the next start has nothing to replay.
  if (store_) {
    runtime::notify_status("sealing");
    if (const auto closed = store_->close(); !closed)
      log_->error("store did not close cleanly; the journal will be replayed", {{"error", closed.error().message}});
  }
  log_->info("stopped");
}

}  // namespace plumbline::daemon
