// The whole YAML surface as plain values. What can turn out wrong later (an expression, a matcher, a URL) carries the
// Place where it stands in the file, so that every later error can still name file:line:column.
// The application maps these to each module's own Options; no other module reads this header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/base/clock.hpp"

namespace plumbline::config {

using StringPairs = std::vector<std::pair<std::string, std::string>>;  // in the order of the file

// One-based; line 0 means the file as a whole, an empty file the command line (--set).
struct Place {
  std::string file;
  int line = 0;
  int column = 0;
  std::string str() const;  // "plumbline.yaml:14:9"
  bool operator==(const Place&) const = default;
};

// -------------------------------------------------------------------------------------------------------- the process

struct ServerLimits {
  std::uint64_t connections_max = 4096;
  std::uint64_t connections_per_ip_max = 256;
  Millis header_timeout{10'000};
  Millis body_timeout{10'000};  // after it a body must come at body_rate_min bytes per second
  std::uint64_t body_rate_min = 1024;
  Millis idle_timeout{60'000};
  std::uint64_t body_bytes_max = 32u << 20;      // of ingest requests, as sent
  std::uint64_t inflated_bytes_max = 64u << 20;  // after decompression
  std::uint64_t ingest_threads = 2;
  std::uint64_t admin_threads = 1;
  std::uint64_t queue_length = 128;  // waiting requests per lane; more are answered 503
  bool operator==(const ServerLimits&) const = default;
};

struct Server {
  std::vector<std::string> http_listen{"127.0.0.1:9470", "127.0.0.1:4318"};
  std::string grpc_listen = "127.0.0.1:4317";  // "" switches gRPC off
  Millis shutdown_grace{10'000};
  std::string cors_origin;  // a regular expression; empty: none
  ServerLimits limits;
  bool operator==(const Server&) const = default;
};

struct RetentionOverride {
  std::string match;  // a PromQL selector
  Millis keep{0};
  Place place;
  bool operator==(const RetentionOverride& other) const { return match == other.match && keep == other.keep; }  // wherever it stands
};

struct Storage {
  std::string path = "data";
  std::string backup_directory;                          // empty: `backups` in the data directory
  Millis retention{std::chrono::hours(24 * 30)};         // of series
  Millis retention_events{std::chrono::hours(24 * 30)};  // of inference records, logs and spans
  std::uint64_t head_bytes_max = 256u << 20;
  Millis head_age_max{std::chrono::hours(2)};
  std::uint64_t series_active_max = 5'000'000;
  std::uint64_t series_per_metric_max = 0;  // 0: none
  std::vector<RetentionOverride> retention_overrides;
  Millis downsample_5m_retention{0};  // 0: off
  Millis downsample_1h_retention{0};
  std::uint64_t block_cache_bytes = 64u << 20;
  std::uint64_t decoded_cache_bytes = 128u << 20;
  Millis future_max{std::chrono::minutes(10)};
  bool operator==(const Storage&) const = default;
};

struct JournalSync {
  enum class Mode { always, interval, never };
  Mode mode = Mode::interval;
  Millis interval{100};  // with Mode::interval
  bool operator==(const JournalSync&) const = default;
};

struct Journal {
  JournalSync sync;
  bool operator==(const Journal&) const = default;
};

struct Query {
  Millis timeout{std::chrono::minutes(2)};
  Millis lookback{std::chrono::minutes(5)};
  std::uint64_t samples_max = 50'000'000;
  std::uint64_t series_max = 300'000;
  std::uint64_t result_cache_bytes = 64u << 20;
  std::uint64_t concurrency = 0;  // 0: two per core, at least 4
  Millis log_slower_than{10'000};  // 0: never
  bool operator==(const Query&) const = default;
};

struct Otlp {
  std::vector<std::string> promote_resource_attributes;
  bool operator==(const Otlp&) const = default;
};

struct LogConfig {
  std::string level = "info";  // debug, info, warn, error
  bool operator==(const LogConfig&) const = default;
};

struct Global {
  Millis scrape_interval{std::chrono::minutes(1)};
  Millis scrape_timeout{10'000};
  Millis evaluation_interval{std::chrono::minutes(1)};
  StringPairs external_labels;
  bool operator==(const Global&) const = default;
};

// ----------------------------------------------------------------------------------------------------------- scraping

// Prometheus' relabelling rule; the regular expression is compiled later, hence the place.
struct Relabel {
  std::vector<std::string> source_labels;
  std::string separator = ";";
  std::string regex = "(.*)";
  std::uint64_t modulus = 0;
  std::string target_label;
  std::string replacement = "$1";
  std::string action = "replace";  // one of Prometheus' eleven, lower case
  Place place;
  bool operator==(const Relabel&) const = default;
};

struct TargetGroup {
  std::vector<std::string> targets;  // host:port
  StringPairs labels;
  Place place;
  bool operator==(const TargetGroup&) const = default;
};

struct FileSd {
  std::vector<std::string> files;  // globs; relative ones are already resolved against the config file's folder
  Millis refresh_interval{std::chrono::minutes(5)};
  Place place;
  bool operator==(const FileSd&) const = default;
};

struct BasicAuth {
  std::string username;
  std::string password_file;
  Place place;
  bool operator==(const BasicAuth&) const = default;
};

struct Authorization {
  std::string type = "Bearer";
  std::string credentials_file;
  Place place;
  bool operator==(const Authorization&) const = default;
};

struct ScrapeConfig {
  std::string job_name;
  Millis scrape_interval{std::chrono::minutes(1)};  // from global when absent
  Millis scrape_timeout{10'000};                    // from global, at most the interval
  std::string metrics_path = "/metrics";
  std::string scheme = "http";
  StringPairs params;  // a name with several values appears several times
  bool honor_labels = false;
  bool honor_timestamps = true;
  std::uint64_t sample_limit = 0;     // 0: none
  std::uint64_t body_size_limit = 64u << 20;
  std::optional<BasicAuth> basic_auth;
  std::optional<Authorization> authorization;
  std::vector<TargetGroup> static_configs;
  std::vector<FileSd> file_sd_configs;
  std::vector<Relabel> relabel_configs;
  std::vector<Relabel> metric_relabel_configs;
  Place place;
  bool operator==(const ScrapeConfig&) const = default;
};

// -------------------------------------------------------------------------------------------------------------- rules

struct Rule {
  std::string record;  // exactly one of record and alert is set
  std::string alert;
  std::string expr;
  Millis hold{0};  // for
  Millis keep_firing_for{0};
  StringPairs labels;
  StringPairs annotations;
  Place place;
  Place expr_place;  // where the expression's text begins (inside the quotes, on the first line of a block)
  bool operator==(const Rule&) const = default;
};

struct RuleGroup {
  std::string name;
  std::string file;  // the file it stands in
  Millis interval{std::chrono::minutes(1)};  // global.evaluation_interval when absent
  Millis query_offset{0};
  std::uint64_t limit = 0;
  StringPairs labels;
  std::vector<Rule> rules;
  Place place;
  bool operator==(const RuleGroup&) const = default;
};

struct SloWindow {
  std::string severity;
  Millis long_window{0};   // long
  Millis short_window{0};  // short
  double factor = 0;
  Place place;
  bool operator==(const SloWindow&) const = default;
};

struct Slo {
  std::string name;
  std::string service;
  std::string description;
  std::string objective;  // percent, as the text in the file: "99.9"
  Millis window{std::chrono::hours(24 * 30)};
  std::string error_query;
  std::string total_query;
  Millis interval{std::chrono::minutes(1)};  // global.evaluation_interval when absent
  std::vector<SloWindow> windows;            // empty: the workbook's
  std::string alert_name;                    // empty: the SLO's name
  StringPairs alert_labels;
  StringPairs alert_annotations;
  Place place, objective_place, error_place, total_place;
  bool operator==(const Slo&) const = default;
};

struct Drift {
  std::string name;
  std::string model;
  std::vector<std::string> features;  // empty: all
  std::string statistic = "psi";      // psi, ks, chi_square, missing_rate
  std::string reference;
  std::string where;
  Millis window{std::chrono::hours(1)};
  Millis interval{std::chrono::minutes(1)};  // global.evaluation_interval when absent
  double threshold = 0.25;
  int consecutive = 1;
  std::uint64_t rows_min = 200;
  StringPairs labels;
  StringPairs annotations;
  Place place, where_place;
  bool operator==(const Drift&) const = default;
};

// ------------------------------------------------------------------------------------------------------ notifications

struct Webhook {
  std::string url;  // http or https, checked
  bool send_resolved = true;
  std::uint64_t max_alerts = 0;
  Millis timeout{10'000};
  StringPairs headers;
  Place place;
  bool operator==(const Webhook&) const = default;
};

struct Receiver {
  std::string name;
  std::vector<Webhook> webhook_configs;
  Place place;
  bool operator==(const Receiver&) const = default;
};

struct Route {
  std::string receiver;  // inherited when empty; always set at the root
  std::vector<std::string> matchers;
  std::vector<std::string> group_by;
  std::optional<Millis> group_wait, group_interval, repeat_interval;
  bool continue_matching = false;  // continue
  std::vector<Route> routes;
  Place place;
  bool operator==(const Route&) const = default;
};

// --------------------------------------------------------------------------------------------------------- everything

// How the configuration is shown to people: no setting, so that two configurations are equal whatever their texts.
struct Shown {
  std::string yaml;     // the file with its overrides, secrets replaced; without comments
  StringPairs options;  // the value in effect of every option that is not below a list
  bool operator==(const Shown&) const { return true; }
};

struct Config {
  Shown shown;
  std::string file;  // as it was named; empty when there is none
  Server server;
  Place cors_origin_place;
  Storage storage;
  Journal journal;
  Query query;
  Otlp otlp;
  LogConfig log;
  Global global;
  std::string external_url;
  std::vector<ScrapeConfig> scrape_configs;
  std::vector<std::string> rule_files;  // globs, resolved against the config file's folder
  Place rule_files_place;
  std::vector<RuleGroup> groups;  // of the config itself; load_rule_files() reads the others
  std::vector<Slo> slos;
  std::vector<Drift> drift;
  std::vector<Receiver> receivers;
  std::optional<Route> route;
  bool operator==(const Config&) const = default;
};

}  // namespace plumbline::config
