// The one place that builds, connects and stops everything.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "alerting/alerting.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/base/log.hpp"
#include "daemon/base/meters.hpp"
#include "daemon/base/mutex.hpp"
#include "daemon/mapping.hpp"
#include "daemon/runtime/http_client.hpp"
#include "daemon/runtime/http_server.hpp"
#include "ingest/ingest.hpp"
#include "query/query.hpp"
#include "storage/storage.hpp"

namespace plumbline::daemon {

query::BuildInfo build_info();

// Threads: start() and stop() from one thread (main); reload() from any.
// Blocks: start() on journal replay, stop() until everything is drained and sealed.
// Owns: every module; built bottom-up, stopped top-down (stop() says why in which order).
class Application {
 public:
  Application(std::string config_file, config::Overrides overrides, CheckedConfig config);
  ~Application();  // stops
  // Fails: the first thing that cannot start, naming it.
  Status start();
  // Reads the config file again and applies scrape jobs, rules and receivers. Gives the changed options that need a restart: they
  // are logged, and stay as they run.
  // Fails (one line per problem): the old configuration stays as a whole.
  std::expected<std::vector<std::string>, std::vector<std::string>> reload();
  void stop();
  std::vector<int> http_ports() const;
  int grpc_port() const;
  Log& log() { return *log_; }

 private:
  http::Routes all_routes();
  http::Routes own_routes();
  void reload_done(bool applied);
  query::DaemonStatus status();
  query::RuntimeInfo runtime_info();
  void upkeep();
  void register_process_metrics();

  // Fixed after construction.
  const std::string config_file_;
  const config::Overrides overrides_;
  std::unique_ptr<Log> log_;

  // Built by start(), in this order.
  SystemClock clock_;
  Registry registry_;
  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<ingest::Sink> sink_;
  std::unique_ptr<query::Engine> engine_;
  std::unique_ptr<query::Models> models_;
  std::unique_ptr<runtime::HttpClient> client_;
  std::unique_ptr<ingest::Scraper> scraper_;
  std::unique_ptr<alerting::Service> alerts_;
  std::unique_ptr<runtime::HttpServer> http_;
  std::unique_ptr<ingest::GrpcServer> grpc_;
  std::thread upkeep_thread_;

  std::int64_t started_ms_ = 0;
  std::uint64_t journal_replayed_ = 0;
  std::atomic<bool> ready_{false};
  std::atomic<bool> reload_succeeded_{true};
  std::atomic<std::int64_t> reloaded_ms_{0};
  std::atomic<bool> stopped_{false};
  Mutex upkeep_mutex_;
  Condition upkeep_wake_;
  bool upkeep_stop_ PLUMBLINE_GUARDED_BY(upkeep_mutex_) = false;
  Mutex reload_mutex_;
  CheckedConfig config_ PLUMBLINE_GUARDED_BY(reload_mutex_);
};

}  // namespace plumbline::daemon
